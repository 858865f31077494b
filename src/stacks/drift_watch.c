#include "stacks/drift_watch.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "stacks/picture.h"
#include "stacks/planner.h"

#define CHECKS_AT_ONCE 4
#define AGAIN_MS       2000  /* after a check or a repair that failed */
#define GIVEN_UP_MS    60000 /* the hour passes */

/* What is known of one stack. */
struct record {
	struct drift_watch *dw;
	struct uuid stack_id, active_id; /* of the check */
	char *namespace_;
	uint64_t versions; /* of the check */
	bool known, checking, repairing, repairable, found, given_up, asked;
	unsigned doubts; /* counts drift_watch_doubt: one during a check spoils it */
	uint64_t check_at_ms, repair_at_ms; /* the next: not before */
	char *service, *message;
	struct drift_seen seen;
	/* of a check under way */
	struct arena *arena;
	unsigned doubts_then;
};
struct drift_watch {
	struct loop *loop;
	struct docker *docker;
	struct db *db;
	struct map records;  /* stack id → record */
	struct map versions; /* namespace → uint64_t of the present look, in `arena` */
	struct arena *arena;
	unsigned checks, repairs; /* under way */
	bool stopped;
	void (*on_known)(void *data);
	void *data;
};

/* ---- versions ---- */

/* Sums do not care for the order of services. */
static uint64_t version_hash(const char *id, uint64_t version)
{
	const uint64_t key[2] = {version, 0};
	return map_siphash13(key, str_of(id));
}

static uint64_t versions_of(const struct world *w)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < w->n_services; i++)
		sum += version_hash(w->services[i].id, w->services[i].version);
	return sum;
}

static uint64_t *versions_slot(struct drift_watch *dw, const char *namespace_)
{
	uint64_t *slot = map_gets(&dw->versions, namespace_);
	if (!slot) {
		slot = arena_new(dw->arena, uint64_t);
		map_puts(&dw->versions, namespace_, slot);
	}
	return slot;
}

/* A stack that was not asked for in the look before is gone. */
static void forget_unasked(struct drift_watch *dw);

void drift_watch_begin(struct drift_watch *dw, const struct picture *p)
{
	forget_unasked(dw);
	map_finish(&dw->versions);
	map_init(&dw->versions);
	arena_reset(dw->arena);
	for (size_t i = 0; i < p->n_services; i++) {
		const struct docker_service *s = &p->services[i];
		const char *namespace_ = json_string_value(
			json_object_get(json_at(s->spec, "Labels"), LABEL_NAMESPACE));
		if (namespace_)
			*versions_slot(dw, namespace_) += version_hash(s->id, s->version);
	}
}

/* ---- records ---- */

static void record_destroy(struct record *r)
{
	free(r->namespace_);
	free(r->service);
	free(r->message);
	free(r);
}

static void forget_unasked(struct drift_watch *dw)
{
	struct str key;
	void *value;
	for (size_t it = 0; map_next(&dw->records, &it, &key, &value);) {
		struct record *r = value;
		if (!r->asked && !r->checking && !r->repairing) {
			(void)map_remove(&dw->records, key);
			record_destroy(r);
		} else {
			r->asked = false;
		}
	}
}

static struct record *record_of(struct drift_watch *dw, const struct db_stack *s)
{
	struct record *r = map_gets(&dw->records, s->id.text);
	if (r)
		return r;
	r = mem_new(struct record);
	r->dw = dw;
	r->stack_id = s->id;
	r->namespace_ = mem_strdup(s->namespace_);
	map_puts(&dw->records, s->id.text, r);
	return r;
}

/* The first one speaks for all. */
static void take_drifts(struct record *r, const struct drifts *ds)
{
	struct buf b = {0};
	free(r->service);
	free(r->message);
	r->found = ds->n > 0;
	r->repairable = false;
	for (size_t i = 0; i < ds->n; i++)
		r->repairable |= ds->items[i].repairable;
	if (ds->n > 0)
		buf_adds(&b, ds->items[0].message);
	if (ds->n > 1)
		buf_fmt(&b, "; and %zu more", ds->n - 1);
	bool service = ds->n > 0 && ds->items[0].kind == COMPOSE_SERVICE;
	r->service = mem_strdup(service ? ds->items[0].key : "");
	r->message = mem_strdup(b.len ? b.ptr : "");
	buf_finish(&b);
	if (!r->found)
		r->given_up = false;
}

static uint64_t in_ms(const struct record *r, uint64_t ms)
{
	return loop_now_ms(r->dw->loop) + ms;
}

/* ---- checks ---- */

static void on_diff(void *data, const struct status *st, const struct planner_result *p)
{
	struct record *r = data;
	struct drift_watch *dw = r->dw;
	struct arena *a = r->arena;
	r->checking = false;
	r->arena = NULL;
	dw->checks--;
	r->known = status_is_ok(st) && !p->busy && r->doubts == r->doubts_then;
	if (r->known) {
		struct str active = str_of(p->active_id);
		memcpy(r->active_id.text, active.ptr, active.len + 1);
		r->versions = versions_of(p->world);
		take_drifts(r, &p->drifts);
	} else if (!status_is_ok(st)) {
		r->check_at_ms = in_ms(r, AGAIN_MS);
	}
	arena_destroy(a);
	dw->on_known(dw->data);
}

static void check(struct drift_watch *dw, struct record *r, const struct db_stack *s)
{
	if (dw->stopped || r->checking || dw->checks == CHECKS_AT_ONCE ||
		loop_now_ms(dw->loop) < r->check_at_ms)
		return;
	r->checking = true;
	r->doubts_then = r->doubts;
	r->arena = arena_create();
	dw->checks++;
	planner_diff(&(struct planner_input){.loop = dw->loop,
			     .db = dw->db,
			     .docker = dw->docker,
			     .arena = r->arena,
			     .scope = {.project_id = arena_strdup(r->arena, s->project_id.text),
				     .actor = "observer",
				     .method = "",
				     .request_id = ""},
			     .stack = {.id = r->stack_id.text, .project = "", .name = ""},
			     .namespace_ = "",
			     .resolve_image = ""},
		on_diff, r);
}

/* ---- repairs ---- */

static void on_repair(void *data, const struct status *st, const struct db_job *j)
{
	struct record *r = data;
	struct drift_watch *dw = r->dw;
	(void)j; /* whoever runs jobs is told by the database */
	r->repairing = false;
	dw->repairs--;
	r->given_up = st->code == ST_RESOURCE_EXHAUSTED;
	r->repair_at_ms = in_ms(r, r->given_up ? GIVEN_UP_MS : AGAIN_MS);
	dw->on_known(dw->data);
}

static void repair(struct drift_watch *dw, struct record *r, const struct db_stack *s)
{
	if (dw->stopped || r->repairing || !r->repairable || !s->repairs_drift ||
		loop_now_ms(dw->loop) < r->repair_at_ms)
		return;
	r->repairing = true;
	dw->repairs++;
	dw->db->stacks->repair(dw->db, r->stack_id.text, r->active_id.text, r->message,
		DRIFT_REPAIRS_MAX, on_repair, r);
}

/* ---- public ---- */

struct drift_watch *drift_watch_create(
	struct loop *l, struct docker *d, struct db *db, void (*on_known)(void *data), void *data)
{
	struct drift_watch *dw = mem_new(struct drift_watch);
	*dw = (struct drift_watch){.loop = l,
		.docker = d,
		.db = db,
		.arena = arena_create(),
		.on_known = on_known,
		.data = data};
	map_init(&dw->records);
	map_init(&dw->versions);
	return dw;
}

void drift_watch_destroy(struct drift_watch *dw)
{
	struct str key;
	void *value;
	if (!dw)
		return;
	for (size_t it = 0; map_next(&dw->records, &it, &key, &value);)
		record_destroy(value);
	map_finish(&dw->records);
	map_finish(&dw->versions);
	arena_destroy(dw->arena);
	free(dw);
}

void drift_watch_stop(struct drift_watch *dw)
{
	dw->stopped = true;
}

bool drift_watch_is_busy(const struct drift_watch *dw)
{
	return dw->checks + dw->repairs > 0;
}

bool drift_watch_ask(
	struct drift_watch *dw, const struct db_stack *s, const struct drift_seen **ret)
{
	const uint64_t *versions = map_gets(&dw->versions, s->namespace_);
	struct record *r = record_of(dw, s);
	*ret = NULL;
	r->asked = true;
	if (s->status == STACK_DEPLOYING || s->status == STACK_REMOVING)
		return false;
	if (!s->active_deployment_id.text[0])
		return true;
	if (!r->known || r->versions != (versions ? *versions : 0) ||
		strcmp(r->active_id.text, s->active_deployment_id.text) != 0) {
		check(dw, r, s);
		return false;
	}
	if (!r->found)
		return true;
	repair(dw, r, s);
	if (!s->repairs_drift)
		r->given_up = false;
	r->seen = (struct drift_seen){r->service, r->message, r->given_up};
	*ret = &r->seen;
	return true;
}

/* Names begin with their stack's namespace, unless the text gives them one. */
void drift_watch_doubt(struct drift_watch *dw, const char *name)
{
	struct str key;
	void *value;
	for (size_t it = 0; map_next(&dw->records, &it, &key, &value);) {
		struct record *r = value;
		size_t n = strlen(r->namespace_);
		if (strncmp(name, r->namespace_, n) != 0 || name[n] != '_')
			continue;
		r->known = false;
		r->doubts++;
	}
}
