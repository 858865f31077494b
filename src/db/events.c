#include "db/events.h"
#include "db/call.h"

enum { POSITION, READ_PROJECT, READ_ALL, CHECK_PROJECT, CHECK_ALL };
/* $1 project, $2 scope, $3 xact, $4 seq, $5 rows, $6 stack, $7 kinds. One statement: what is read and the horizon are of one
 * snapshot. There is always a row, with where it goes on: behind the last event of anybody's below the horizon, not at the
 * horizon itself. What was seen is on the disk, so no later transaction has its number; those above it are given out again
 * after a crash, when nothing of them was written. */
#define READ(project) \
	"with h as materialized (select pg_snapshot_xmin(pg_current_snapshot()) as xmin)," \
	" k as materialized (select o.id from orchestration_stacks o where $6 <> ''" \
	"  and (o.id = skep_uuid($6) or o.name = $6 and ((select skep_project_or_all($1, $2)) is null" \
	"   or o.project_id = (select skep_project_or_all($1, $2))))" \
	"  union select skep_uuid($6))" \
	" select coalesce((select l.xact::text::bigint + 1 from events l where (l.xact, l.seq) > ($3::text::xid8, $4)" \
	"  and l.xact < (select xmin from h) order by l.xact desc, l.seq desc limit 1), 0)," \
	"  exists (select from events x where x.xact >= h.xmin), e.xact::text, e.seq," \
	"  e.project_id, e.stack_id, e.job_id, coalesce(p.name, ''), coalesce(s.name, ''), e.job_sequence," \
	"  skep_us(e.created_at), e.kind, e.message, e.service, e.step, e.state, e.percent, e.running, e.wanted" \
	" from h left join lateral (" \
	"  select * from events v where (v.xact, v.seq) > ($3::text::xid8, $4) and v.xact < (select xmin from h)" \
	project \
	"  and ($6 = '' or v.stack_id in (select id from k))" \
	"  and (cardinality($7::text[]) = 0 or v.kind = any ($7) or split_part(v.kind, '.', 1) = any ($7))" \
	"  order by v.xact, v.seq limit $5) e on true" \
	" left join projects p on p.id = e.project_id left join orchestration_stacks s on s.id = e.stack_id" \
	" order by e.xact, e.seq"
/* $1 xact, $2 seq, $3 project, $4 scope. Behind READ, whose lock keeps months from being dropped meanwhile. */
#define CHECK(project) \
	"select skep_raise(11, 'this position is none of this database: it was restored from a dump, or the token is another" \
	" database''s. Begin anew, without a token') where $1::text::xid8 > pg_snapshot_xmax(pg_current_snapshot())" \
	" union all " \
	"select skep_raise(11, 'events behind this position are not kept any more: to go on would be to miss them. Begin anew," \
	" without a token') where exists (select from events_dropped d where (d.xact, d.seq) > ($1::text::xid8, $2::bigint)" \
	" and d.project_id " project ")"
static const struct pg_stmt sql[] = {
	/* $1 µs, 0 = now */
	[POSITION] = {"events_position",
		"select skep_events_since(case when $1::bigint > 0 then to_timestamp($1::bigint / 1e6) end)::text"},
	[READ_PROJECT] = {"events_read", READ("  and v.project_id = (select skep_project($1, $2))")},
	[READ_ALL] = {"events_read_all", READ("")},
	[CHECK_PROJECT] = {"events_check", CHECK("= (select skep_project($3, $4))")},
	[CHECK_ALL] = {"events_check_all", CHECK("is null")},
};

static void deliver_position(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	const struct db_stream_position at = {r ? pg_i64(r, 0, 0, 0) : 0, 0};
	c->done.position(c->data, st, at);
}

static void read_row(struct db_call *c, const struct pg_results *r, int row, struct db_stream_event *e)
{
	struct cursor at = {c, r, 0, row, 2};
	e->at.xact = next_i64(&at);
	e->at.seq = next_i64(&at);
	e->project_id = next_uuid(&at);
	e->stack_id = next_uuid(&at);
	e->job_id = next_uuid(&at);
	e->project = next_text(&at);
	e->stack = next_text(&at);
	e->e.sequence = next_i64(&at);
	e->e.time_us = next_i64(&at);
	e->e.kind = next_text(&at);
	e->e.message = next_text(&at);
	e->e.service = next_text(&at);
	e->e.step = next_text(&at);
	e->e.state = next_text(&at);
	e->e.percent = next_int(&at);
	e->e.running = next_int(&at);
	e->e.wanted = next_int(&at);
}

/* Behind the filter, too. Nothing new: where it was. */
static struct db_stream_position behind_all(const struct pg_results *r, struct db_stream_position after)
{
	int64_t xact = pg_i64(r, 0, 0, 0);
	return xact ? (struct db_stream_position){xact, 0} : after;
}

static void deliver_batch(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	if (!r) {
		c->done.stream(c->data, st, NULL);
		return;
	}
	struct db_stream_batch b = {.n = pg_is_null(r, 0, 0, 2) ? 0 : (size_t)pg_rows(r, 0)};
	struct db_stream_event *events = arena_array(c->arena, struct db_stream_event, b.n);
	for (size_t i = 0; i < b.n; i++)
		read_row(c, r, (int)i, &events[i]);
	b.events = events;
	b.more = b.n == c->page_size;
	b.held = pg_bool(r, 0, 0, 1);
	b.next = b.more ? events[b.n - 1].at : behind_all(r, *(const struct db_stream_position *)c->params);
	c->done.stream(c->data, st, &b);
}

static struct db_call *position(struct db *db, int64_t since_us, db_position_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.position = done;
	call_add(c, &sql[POSITION]);
	pg_bind_i64(c->batch, since_us);
	return call_run(c, deliver_position);
}

static struct db_call *read_(struct db *db, const struct db_scope *s, const struct db_stream_filter *f,
	struct db_stream_position after, unsigned limit, db_stream_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	bool all = !f->project[0] && !s->project_id[0];
	const char *xact = arena_fmt(c->arena, "%lld", (long long)after.xact);
	c->done.stream = done;
	c->page_size = limit;
	c->params = arena_memdup(c->arena, &after, sizeof(after));
	call_add_text(c, &sql[all ? READ_ALL : READ_PROJECT], f->project);
	call_bind_scope(c, s);
	call_bind(c, xact);
	pg_bind_i64(c->batch, after.seq);
	pg_bind_i64(c->batch, limit);
	call_bind(c, f->stack);
	pg_bind_text_array(c->batch, f->kinds, f->n_kinds);
	call_add_text(c, &sql[all ? CHECK_ALL : CHECK_PROJECT], xact);
	pg_bind_i64(c->batch, after.seq);
	if (!all) {
		call_bind(c, f->project);
		call_bind_scope(c, s);
	}
	return call_run(c, deliver_batch);
}

const struct db_event_ops db_pg_events = {position, read_};
