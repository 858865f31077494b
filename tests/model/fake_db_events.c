/* db/events.h, as calls. */
#include "fake_db.h"

static struct status position_effect(struct fake_call *c)
{
	*(struct db_stream_position *)c->result = (struct db_stream_position){store_stream_end(fake_args(c)->store), 0};
	return status_ok();
}

static void deliver_position(struct fake_call *c, const struct status *st)
{
	((db_position_done)c->done)(c->data, st, *(struct db_stream_position *)c->result);
}

static struct db_call *position(struct db *db, int64_t since_us, db_position_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	(void)since_us;
	c->result = arena_new(c->arena, struct db_stream_position);
	fake_call_start(c, 0, position_effect, deliver_position, "events_position");
	return fake_handle(c);
}

static struct status read_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_stream_read(g->store, c->arena, &g->scope, &g->stream, g->position, g->limit, c->result);
}

static void deliver_read(struct fake_call *c, const struct status *st)
{
	((db_stream_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

static struct db_call *read_(struct db *db, const struct db_scope *s, const struct db_stream_filter *f,
	struct db_stream_position after, unsigned limit, db_stream_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->stream = (struct db_stream_filter){arena_strdup(c->arena, f->project), arena_strdup(c->arena, f->stack),
		fake_copy_texts(c->arena, f->kinds, f->n_kinds), f->n_kinds};
	fake_args(c)->position = after;
	fake_args(c)->limit = limit;
	c->result = arena_new(c->arena, struct db_stream_batch);
	fake_call_start(c, 0, read_effect, deliver_read, "events_read");
	return fake_handle(c);
}

const struct db_event_ops fake_event_ops = {position, read_};
