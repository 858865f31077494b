#include "fake_sweep.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#define ATTEMPTS  3
#define OUTAGE_MS  30000
#define RESTART_MS 3000

/* One run of the sweep. */
struct run {
	const struct scenario *scenario;
	const char *what;
	unsigned at;
	struct world *w;
	struct store_job *job;
	struct world_daemon *first;
	char *before;
	int64_t active_before;
	bool acted;
	void (*act)(struct run *r);
};

/* SKEP_SWEEP=thin: of every so many calls one, another one in each sweep, so that together they still
 * reach every call; for the fast tier. */
#define THIN 5

static bool is_left_out(unsigned at, unsigned sweep)
{
	const char *how = getenv("SKEP_SWEEP");
	return how && strcmp(how, "thin") == 0 && (at + sweep) % THIN != 0;
}

#define CALLS_MAX 1000
#define ALIKE_MAX                                                                                  \
	2 /* of one step's calls of the same name: the third look at the Engine is like the second \
	   */

/* What a run without faults looks like. */
struct happy {
	char *before, *after;
	unsigned calls;
	bool alike[CALLS_MAX + 1]; /* nothing new would be learnt at this call */
};

static struct run start(const struct scenario *s, const char *what, unsigned at)
{
	struct run r = {.scenario = s, .what = what, .at = at, .w = world_create()};
	if (s->prepared)
		world_prepare(r.w, s->prepared);
	if (s->arrange)
		s->arrange(r.w);
	r.before = world_text(r.w);
	r.active_before = world_active(r.w);
	r.job = s->submit(r.w);
	return r;
}

struct world *scenario_run(const struct scenario *s)
{
	struct run r = start(s, "happy", 0);
	r.first = world_start(r.w);
	world_run(r.w, r.job);
	if (r.job->row.state != (s->fails ? JOB_FAILED : JOB_SUCCEEDED))
		fail_msg("%s: %s\n%s", s->name, r.job->row.error, r.job->events.ptr);
	return r.w;
}

static bool is_step(struct str line)
{
	return str_starts(line, "db step") || str_starts(line, "db undo") ||
	       str_starts(line, "db finish");
}

static void mark_alike(struct happy *h, const struct buf *trace)
{
	struct str lines[CALLS_MAX + 1], rest = buf_str(trace);
	unsigned first = 1;
	assert_true(h->calls <= CALLS_MAX);
	for (unsigned i = 1; i <= h->calls; i++) {
		unsigned seen = 0;
		lines[i] = str_cut(&rest, '\n');
		if (is_step(lines[i]))
			first = i;
		for (unsigned k = first; k < i; k++)
			seen += str_eq(lines[k], lines[i]);
		h->alike[i] = seen >= ALIKE_MAX;
	}
}

static struct happy happy_run(const struct scenario *s)
{
	struct happy h = {0};
	struct run r = start(s, "happy", 0);
	h.before = strdup(r.before);
	world_start(r.w);
	world_run(r.w, r.job);
	assert_int_equal(r.job->row.state, s->fails ? JOB_FAILED : JOB_SUCCEEDED);
	h.calls = r.w->script.calls;
	mark_alike(&h, &r.w->script.trace);
	world_run_ms(r.w, 2000);
	h.after = strdup(world_text(r.w));
	world_destroy(r.w);
	return h;
}

static void happy_free(struct happy *h)
{
	free(h->before);
	free(h->after);
}

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			complain(r, h, #condition);                                                \
	} while (0)

static void complain(const struct run *r, const struct happy *h, const char *what)
{
	const struct store_stack *t = world_stack(r->w);
	print_error("%s, %s at call %u: %s\njob: %s, error: %s\nstack: status %d \"%s\", active "
		    "%lld\nbefore:\n%safter:\n%snow:\n%s"
		    "trace:\n%sevents:\n%s",
		r->scenario->name, r->what, r->at, what, job_state_name(r->job->row.state),
		r->job->row.error, t ? (int)t->row.status : 0, t ? t->row.status_message : "",
		(long long)world_active(r->w), h->before, h->after, world_text(r->w),
		r->w->script.trace.ptr, r->job->events.ptr ? r->job->events.ptr : "");
	fail();
}

static void check_success(const struct run *r, const struct happy *h)
{
	const struct store_stack *t = world_stack(r->w);
	const struct db_stack *s = t ? &t->row : NULL;
	CHECK(strcmp(world_text(r->w), h->after) == 0);
	CHECK(r->job->row.error[0] == '\0');
	CHECK((s != NULL) != r->scenario->gone);
	if (!s)
		return;
	CHECK(s->status == STACK_RUNNING);
	if (r->job->row.deployment_id.text[0])
		CHECK(strcmp(s->active_deployment_id.text, r->job->row.deployment_id.text) ==
			0);
	for (size_t i = 0; i < s->n_services; i++)
		CHECK(s->services[i].state == SERVICE_RUNNING ||
			s->services[i].state == SERVICE_COMPLETED);
	CHECK(s->n_services > 0);
}

static void check_failure(const struct run *r, const struct happy *h)
{
	const struct store_stack *t = world_stack(r->w);
	const struct db_stack *s = t ? &t->row : NULL;
	CHECK(r->job->row.error[0] != '\0');
	CHECK(r->job->row.error_code[0] != '\0');
	if (r->scenario->one_way)
		return;
	/* What fails for good while it is taken back cannot be mended: then the error says so. */
	bool for_good = r->w->script.fault == FAULT_INTERNAL || r->w->script.fault == FAULT_GONE ||
			r->w->script.fault == FAULT_TRUNCATED;
	if (for_good && strstr(r->job->row.error, "taking it back failed too"))
		return;
	CHECK(strcmp(world_text(r->w), h->before) == 0);
	CHECK(world_active(r->w) == r->active_before);
	bool begun = strstr(r->w->script.trace.ptr, "db step begun") != NULL;
	CHECK((s != NULL) != (r->scenario->forgotten && begun));
	if (!s)
		return;
	CHECK(s->status != STACK_DEPLOYING && s->status != STACK_REMOVING);
	if (r->active_before)
		CHECK(s->status == STACK_RUNNING);
	const struct store_release *release = store_release_find(r->w->store, r->job->row.deployment_id.text);
	if (release)
		CHECK(release->row.state == RELEASE_FAILED);
}

/* What the Engine was asked for and could not say for once is asked for again. */
static bool must_pass(const struct run *r)
{
	struct str rest = buf_str(&r->w->script.trace), name = STR("");
	if (r->w->script.fault != FAULT_INTERNAL || r->scenario->fails)
		return false;
	for (unsigned i = 0; i < r->at; i++)
		name = str_cut(&rest, '\n');
	return str_starts(name, "docker ") && str_ends(name, "_list");
}

static void finish(struct run *r, const struct happy *h)
{
	world_run(r->w, r->job);
	world_run_ms(r->w, 2000); /* what was removed leaves the lists */
	CHECK(r->job->ends == 1);
	CHECK(!r->scenario->fails || r->job->row.state != JOB_SUCCEEDED);
	CHECK(!must_pass(r) || r->job->row.state == JOB_SUCCEEDED);
	CHECK(r->w->swarm->epoch_breaches == 0);
	if (r->job->row.state == JOB_SUCCEEDED)
		check_success(r, h);
	else
		check_failure(r, h);
	world_destroy(r->w);
}

static void sweep_faults(const struct scenario *s, enum fault fault)
{
	struct happy h = happy_run(s);
	for (unsigned at = 1; at <= h.calls; at++) {
		if (h.alike[at] || is_left_out(at, (unsigned)fault))
			continue;
		struct run r = start(s, fault_names[fault], at);
		r.w->script.at = r.w->script.last = at;
		r.w->script.fault = fault;
		world_start(r.w);
		finish(&r, &h);
	}
	happy_free(&h);
}

/* ---- at every call ---- */

static void on_call(void *data, unsigned number, const char *name)
{
	struct run *r = data;
	(void)name;
	if (number < r->at || r->acted)
		return;
	r->acted = true;
	r->act(r);
}

/* Acts right after each call's effect: before it would be the same as after the one before. */
static void sweep(const struct scenario *s, const char *what, void (*act)(struct run *r),
	void (*then)(struct run *r))
{
	struct happy h = happy_run(s);
	for (unsigned at = 1; at <= h.calls; at++) {
		if (h.alike[at] || is_left_out(at, (unsigned)strlen(what)))
			continue;
		struct run r = start(s, what, at);
		r.act = act;
		r.w->script.data = &r;
		r.w->script.after = on_call;
		r.first = world_start(r.w);
		world_wake(r.w);
		while (!r.acted && !job_state_is_end(r.job->row.state))
			world_turn(r.w);
		if (then)
			then(&r);
		finish(&r, &h);
	}
	happy_free(&h);
}

static void cancel(struct run *r)
{
	world_cancel(r->w, r->job);
	if (r->first && !r->first->dead)
		job_worker_cancel(r->first->worker, r->job->row.id.text);
}

static void sweep_cancels(const struct scenario *s)
{
	sweep(s, "cancelled", cancel, NULL);
}

static void kill_first(struct run *r)
{
	if (r->first)
		world_kill(r->w, r->first);
}

static void start_another(struct run *r)
{
	world_start(r->w);
}

static void sweep_kills(const struct scenario *s)
{
	sweep(s, "killed", kill_first, start_another);
}

static void cancel_and_start_another(struct run *r)
{
	cancel(r);
	world_start(r->w);
}

static void sweep_kills_with_cancel(const struct scenario *s)
{
	sweep(s, "killed, then cancelled", kill_first, cancel_and_start_another);
}

static void nothing(struct run *r)
{
	(void)r;
}

static void drain_and_start_another(struct run *r)
{
	world_drain(r->w, r->first, 0);
	world_start(r->w);
}

static void sweep_drains(const struct scenario *s)
{
	sweep(s, "drained", nothing, drain_and_start_another);
}

/* The database's clock runs ahead, and another daemon takes the job: the first one must not write
 * any more. */
static void lose_lease(struct run *r)
{
	r->w->store->clock_ms += 60000;
	world_start(r->w);
}

static void sweep_lost_leases(const struct scenario *s)
{
	sweep(s, "lease lost", nothing, lose_lease);
}

/* ---- nobody answers for a while ---- */

static void outage(struct run *r)
{
	r->w->script.at = r->w->script.calls;
	r->w->script.last = UINT32_MAX;
	r->w->script.fault = FAULT_REFUSED;
	r->w->script.only = "docker";
}

static void end_outage(struct run *r)
{
	world_run_ms(r->w, OUTAGE_MS);
	r->w->script.at = 0;
}

static void sweep_outages(const struct scenario *s)
{
	sweep(s, "the Engine away", outage, end_outage);
}

/* Every container ends with its Engine, which answers again a little later. */
static void restart_engine(struct run *r)
{
	swarm_restart(r->w->swarm);
	outage(r);
}

static void end_restart(struct run *r)
{
	world_run_ms(r->w, RESTART_MS);
	r->w->script.at = 0;
}

static void sweep_restarts(const struct scenario *s)
{
	sweep(s, "the Engine restarted", restart_engine, end_restart);
}

/* Somebody else removes what nothing uses yet. */
static void drop_networks(struct run *r)
{
	struct swarm *w = r->w->swarm;
	for (size_t i = 0; i < w->n_objects; i++)
		if (w->objects[i]->kind == SWARM_NETWORK)
			(void)swarm_object_remove(w, SWARM_NETWORK, w->objects[i]->id).code;
}

static void sweep_vanishing_networks(const struct scenario *s)
{
	sweep(s, "a network vanished", drop_networks, NULL);
}

/* ---- as tests ---- */

#define FAULT_TEST(name, fault)                                                                    \
	static void name(void **state)                                                             \
	{                                                                                          \
		sweep_faults(*state, fault);                                                       \
	}
FAULT_TEST(a_call_is_refused, FAULT_REFUSED)
FAULT_TEST(a_reply_is_lost, FAULT_LOST)
FAULT_TEST(a_call_conflicts, FAULT_CONFLICT)
FAULT_TEST(a_call_finds_nothing, FAULT_GONE)
FAULT_TEST(a_call_breaks, FAULT_INTERNAL)
FAULT_TEST(a_call_is_slow, FAULT_SLOW)
FAULT_TEST(a_call_is_never_answered, FAULT_SILENT)
FAULT_TEST(a_call_is_done_and_never_answered, FAULT_DONE_SILENT)
FAULT_TEST(an_answer_is_truncated, FAULT_TRUNCATED)

#define SWEEP_TEST(name, sweep)                                                                    \
	static void name(void **state)                                                             \
	{                                                                                          \
		sweep(*state);                                                                     \
	}
SWEEP_TEST(the_engine_is_away, sweep_outages)
SWEEP_TEST(the_engine_restarts, sweep_restarts)
SWEEP_TEST(a_network_vanishes, sweep_vanishing_networks)
SWEEP_TEST(cancelled_at_every_call, sweep_cancels)
SWEEP_TEST(killed_at_every_call, sweep_kills)
SWEEP_TEST(killed_then_cancelled, sweep_kills_with_cancel)
SWEEP_TEST(drained_at_every_call, sweep_drains)
SWEEP_TEST(lease_lost_at_every_call, sweep_lost_leases)

int sweep_main(const char *name, const struct CMUnitTest *own, size_t n,
	const struct scenario *const *scenarios)
{
	static const struct {
		const char *name;
		CMUnitTestFunction run;
	} sweeps[] = {{"a call is refused", a_call_is_refused},
		{"a reply is lost", a_reply_is_lost}, {"a call conflicts", a_call_conflicts},
		{"a call finds nothing", a_call_finds_nothing}, {"a call breaks", a_call_breaks},
		{"a call is slow", a_call_is_slow},
		{"a call is never answered", a_call_is_never_answered},
		{"a call is done and never answered", a_call_is_done_and_never_answered},
		{"an answer is truncated", an_answer_is_truncated},
		{"the Engine is away", the_engine_is_away},
		{"the Engine restarts", the_engine_restarts},
		{"a network vanishes", a_network_vanishes},
		{"cancelled at every call", cancelled_at_every_call},
		{"killed at every call", killed_at_every_call},
		{"killed then cancelled", killed_then_cancelled},
		{"drained at every call", drained_at_every_call},
		{"lease lost at every call", lease_lost_at_every_call}};
	size_t each = sizeof(sweeps) / sizeof(sweeps[0]), count = n;
	struct arena *a = arena_create();
	for (size_t i = 0; scenarios[i]; i++)
		count += each;
	struct CMUnitTest *tests = arena_array(a, struct CMUnitTest, count);
	memcpy(tests, own, n * sizeof(*tests));
	for (size_t i = n; i < count; i++) {
		const struct scenario *s = scenarios[(i - n) / each];
		size_t k = (i - n) % each;
		tests[i] = (struct CMUnitTest){arena_fmt(a, "%s: %s", s->name, sweeps[k].name),
			sweeps[k].run, NULL, NULL, (void *)(uintptr_t)s};
	}
	int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
	arena_destroy(a);
	return failed;
}
