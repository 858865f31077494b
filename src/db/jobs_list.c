/* Pages of jobs. Each is merged from walks, one for each state and kind that may be in it. A walk follows an index in which its
 * jobs lie side by side, newest first, and takes a page of it. First through deployment_jobs, then through the archive, month by
 * month, as far back as the page reaches: so a page takes as long whatever else is stored. */
#include "db/jobs_parts.h"

#define FIRST_ID "'00000000-0000-0000-0000-000000000000'::uuid"
#define LAST_ID  "ffffffff-ffff-ffff-ffff-ffffffffffff"

/* `nulls last` is how the indexes are that end with state, kind, id: the one by id alone, which would lead past all that have
 * another state, or kind, has another order. */
#define WALKS(table, where, from, below) \
	"select x.id from w cross join lateral (select j.id from " table " j where " where " j.state = w.state and j.kind = w.kind" \
	"  and j.id < " below " and j.id >= " from " order by j.id desc nulls last limit $5) x"
#define FIRST_OF(rows) "(select coalesce(array_agg(u.id order by u.id desc), '{}') from (" rows " order by 1 desc limit $5) u)"
/* What has ended may be in either table; the months of the archive are `m`, and `r` is the page as it was behind each of them.
 * A project may be gone while its jobs in the archive are not yet. */
#define LIST(walks, where, from) \
	"with recursive " walks "," \
	" m as (select a.lowest, a.behind, row_number() over (order by a.behind desc) as n from skep_archive_months() a" \
	"  where a.lowest < $3::uuid and a.behind > $4::uuid)," \
	" r (n, ids) as (" \
	"  select 0::bigint, " FIRST_OF(WALKS("deployment_jobs", where, from, "$3::uuid")) \
	"  union all" \
	"  select m.n, " FIRST_OF("select unnest(r.ids) as id union all " \
		WALKS("deployment_jobs_archive", where, "greatest(m.lowest, " from ")", "least(m.behind, $3::uuid)") \
		" where w.state >= 'succeeded'") \
	"  from r join m on m.n = r.n + 1 where cardinality(r.ids) < $5 or r.ids[$5] < least(m.behind," \
	"   (select x.id from deployment_jobs_archive x order by x.id desc limit 1)))" \
	" select " JOB_COLUMNS " from unnest((select r.ids from r order by r.n desc limit 1)) as top (id)" \
	" cross join lateral " ANY_JOB("top.id") " j left join projects p on p.id = j.project_id order by j.id desc"
#define KINDS "unnest($1::job_state[]) as s (state) cross join unnest($2::job_kind[]) as k (kind)"
#define OF_STACK \
	"j.stack_name = w.name and j.stack_name <> '' and j.project_id = w.project_id" \
	" and (w.stack_id is null or j.stack_id = w.stack_id) and"
/* The project asked for; null: all. */
#define ONLY "(select skep_project_or_all($7, $8))"
/* The next project that has jobs of a stack of this name. */
#define NEXT_OF(table, after) \
	"(select j.project_id from " table " j where j.stack_name = $6 and j.stack_name <> '' and j.project_id > " after \
	" order by j.stack_name, j.project_id limit 1)"
#define NEXT(after) "least(" NEXT_OF("deployment_jobs", after) ", " NEXT_OF("deployment_jobs_archive", after) ")"

const struct pg_stmt job_list_statements[JOB_LISTS] = {
	[JOB_LIST_ALL] = {"job_list_all", LIST("w as (select s.state, k.kind from " KINDS ")", "", "$4::uuid")},
	/* $6 project, $7 scope */
	[JOB_LIST_PROJECT] = {"job_list_project", LIST("w as (select s.state, k.kind from " KINDS ")",
		"j.project_id = (select skep_project($6, $7)) and", "$4::uuid")},
	/* $6 stack's name or id, $7 project, $8 scope. A removed stack's jobs keep its name. Before a stack there may have been
	 * others of its name: the walks end a day before it was made, for daemons' clocks differ. */
	[JOB_LIST_STACK] = {"job_list_stack", LIST(
		"w as (select s.state, k.kind, o.* from ("
		"  select t.project_id, t.name, t.id as stack_id, skep_uuid_floor(t.created_at - interval '1 day') as since"
		"  from orchestration_stacks t where t.id = skep_uuid($6) and (" ONLY " is null or t.project_id = " ONLY ")"
		"  union all select " ONLY ", $6, null, " FIRST_ID " where skep_uuid($6) is null) o cross join " KINDS ")",
		OF_STACK, "greatest($4::uuid, w.since)")},
	/* $6 stack's name */
	[JOB_LIST_STACK_ANYWHERE] = {"job_list_stack_anywhere", LIST(
		"p (id) as (select " NEXT(FIRST_ID) " union all select " NEXT("p.id") " from p where p.id is not null),"
		" w as (select s.state, k.kind, p.id as project_id, $6 as name, null::uuid as stack_id"
		"  from p cross join " KINDS " where p.id is not null)", OF_STACK, "$4::uuid")},
};
/* $1 project, $2 scope, $3 where the page begins */
static const struct pg_stmt check = {"job_list_check",
	"select skep_by_index(), skep_project_or_all($1, $2), case when skep_uuid($3) < h.id"
	"  and not exists (select from deployment_jobs j where j.id = skep_uuid($3)) then skep_raise(11, format("
	"  'the page token is of a job that was dropped since: jobs made before %s are kept no more. Begin anew, without a token',"
	"  to_char(skep_uuid_time(h.id) at time zone 'utc', 'YYYY-MM-DD'))) end from job_horizon h"};

static void bind_filter(struct db_call *c, const struct db_job_filter *f)
{
	const char *states[JOB_CANCELLED], *kinds[JOB_KINDS];
	size_t n_states = 0, n_kinds = 0;
	for (int i = JOB_PENDING; i <= JOB_CANCELLED; i++)
		if (!f->states || f->states & 1u << i)
			states[n_states++] = job_state_name((enum job_state)i);
	for (int i = JOB_DEPLOY; i < JOB_KINDS; i++)
		if (!f->kinds || f->kinds & 1u << i)
			kinds[n_kinds++] = job_kind_name((enum job_kind)i);
	pg_bind_text_array(c->batch, states, n_states);
	pg_bind_text_array(c->batch, kinds, n_kinds);
}

static void bind_range(struct db_call *c, const struct db_job_filter *f, const char *before)
{
	struct uuid below = {LAST_ID}, until = uuid_floor(f->until_us), from = uuid_floor(f->from_us);
	if (before[0])
		memcpy(below.text, before, sizeof(below.text));
	if (f->until_us > 0 && strcmp(until.text, below.text) < 0)
		below = until;
	call_bind_id(c, below.text);
	call_bind_id(c, from.text);
}

static void deliver(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	size_t stmt = r ? call_last(r) : 0;
	bool more = false;
	size_t n = r ? call_page_rows(c, r, stmt, &more) : 0;
	struct db_job *jobs = arena_array(c->arena, struct db_job, n);
	for (size_t i = 0; i < n; i++)
		job_read(c, r, stmt, (int)i, &jobs[i]);
	c->done.jobs(c->data, st, jobs, n, more);
}

static enum job_list list_of(const struct db_scope *s, const struct db_job_filter *f)
{
	struct uuid id;
	bool everywhere = !f->project[0] && !s->project_id[0];
	if (f->stack[0])
		return everywhere && !uuid_parse(f->stack, &id) ? JOB_LIST_STACK_ANYWHERE : JOB_LIST_STACK;
	return everywhere ? JOB_LIST_ALL : JOB_LIST_PROJECT;
}

struct db_call *job_list(struct db *db, const struct db_scope *s, const struct db_job_filter *f, const struct db_page *page,
	db_jobs_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	enum job_list which = list_of(s, f);
	struct uuid before = {""};
	/* What is no id comes from no page of ours: the list starts anew. */
	if (!page->before || !uuid_parse(page->before, &before))
		before.text[0] = 0;
	c->done.jobs = done;
	call_add_text(c, &check, f->project);
	call_bind_scope(c, s);
	call_bind(c, before.text);
	call_add(c, &job_list_statements[which]);
	bind_filter(c, f);
	bind_range(c, f, before.text);
	pg_bind_i64(c->batch, (int64_t)call_page_size(c, page) + 1);
	if (f->stack[0])
		call_bind(c, f->stack);
	if (which == JOB_LIST_PROJECT || which == JOB_LIST_STACK) {
		call_bind(c, f->project);
		call_bind_scope(c, s);
	}
	return call_run(c, deliver);
}
