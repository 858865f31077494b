/* Who asks for what: users of the API, and who watches jobs. A request goes to any daemon and is
 * sent again, with its id, until it is answered, as a client does it. */
#include "sim.h"

#include <stdio.h>
#include <string.h>
#include "jobs/wake.h"
#include "stacks/release.h"

#define AGAIN_MS 700
#define WATCH_MS 2500
#define BATCH    7

static void send(struct sim_request *q);

static struct db_scope scope_of(const struct sim_request *q)
{
	return (struct db_scope){.project_id = "",
		.actor = "user",
		.method = "sim",
		.request_id = q->id,
		.fingerprint = str_of(q->id)};
}

static const char *const what_names[ASK_KINDS] = {"deploy", "scale", "restart", "remove", "rollback",
	"cancel", "retry", "retry failed", "pause", "resume", "change project"};

/* ---- what is deployed ---- */

static const char *image(struct sim *s, struct arena *a)
{
	static const char *const bad[] = {"crash", "reject", "sick", "nonode"};
	struct sim_rng *r = &s->work_rng;
	if (sim_chance(r, 3)) /* the wait for its end is long */
		return "slow";
	if (sim_chance(r, 60))
		return bad[sim_below(r, sizeof(bad) / sizeof(*bad))];
	return arena_fmt(a, "app:%u", (unsigned)sim_between(r, 1, 4));
}

static void add_service(struct sim *s, struct buf *b, const char *name, const char *before)
{
	struct sim_rng *r = &s->work_rng;
	struct arena *a = arena_create();
	buf_fmt(b, "  %s:\n    image: '%s'\n", name, image(s, a));
	if (sim_chance(r, 400))
		buf_fmt(b, "    configs: [site]\n");
	if (sim_chance(r, 300))
		buf_fmt(b, "    environment: {LEVEL: '%u'}\n", (unsigned)sim_below(r, 3));
	if (before && sim_chance(r, 400))
		buf_fmt(b, "    depends_on: [%s]\n", before);
	if (sim_chance(r, 300))
		buf_fmt(b, "    networks: [inner]\n");
	buf_fmt(b, "    deploy:\n      replicas: %u\n", (unsigned)sim_between(r, 1, 3));
	if (sim_chance(r, 300))
		buf_fmt(b, "      update_config: {failure_action: %s}\n",
			sim_chance(r, 500) ? "rollback" : "continue");
	arena_destroy(a);
}

static struct str compose(struct sim *s)
{
	struct buf b = {0};
	buf_fmt(&b, "services:\n");
	add_service(s, &b, "web", NULL);
	if (sim_chance(&s->work_rng, 500))
		add_service(s, &b, "api", "web");
	if (sim_chance(&s->work_rng, 250))
		add_service(s, &b, "db", "web");
	buf_fmt(&b, "networks: {inner: {}}\nconfigs: {site: {content: 'page %u'}}\n",
		(unsigned)sim_below(&s->work_rng, 4));
	struct compose_text text = {"compose.yml", buf_str(&b)};
	const struct release_upload u = {.texts = &text, .n_texts = 1};
	struct str source = release_source_encode(s->arena, &u);
	buf_finish(&b);
	return source;
}

/* ---- answers ---- */

static void over(struct sim_request *q, const struct status *st)
{
	sim_trace(q->sim, "user", "request %s is answered: %s%s%s", q->id, st_code_name(st->code),
		status_is_ok(st) ? "" : " ", status_is_ok(st) ? "" : st->message);
	q->over = true;
}

/* True: it is to be sent again. */
static bool is_lost(struct sim_request *q, const struct status *st)
{
	bool dead = q->daemon && q->daemon->dead;
	q->daemon = NULL;
	if (!dead && st->code != ST_UNAVAILABLE && st->code != ST_CANCELLED)
		return false;
	timer_set(&q->timer, AGAIN_MS);
	return true;
}

static void watch(struct sim *s, const struct uuid *job);

static void on_job(void *data, const struct status *st, const struct db_job *j)
{
	struct sim_request *q = data;
	struct sim_daemon *d = q->daemon;
	if (is_lost(q, st))
		return;
	over(q, st);
	if (!status_is_ok(st))
		return;
	if (q->what == ASK_CANCEL) {
		job_worker_cancel(d->worker, j->id.text);
		return;
	}
	job_worker_tell(d->worker, j->id.text);
	job_wake_ready(d->wake, j->id.text);
	watch(q->sim, &j->id);
}

static void on_jobs(
	void *data, const struct status *st, const struct db_job *j, size_t n, bool more)
{
	struct sim_request *q = data;
	struct sim_daemon *d = q->daemon;
	(void)more;
	if (is_lost(q, st))
		return;
	over(q, st);
	for (size_t i = 0; status_is_ok(st) && i < n; i++)
		job_wake_ready(d->wake, j[i].id.text);
}

static void on_done(void *data, const struct status *st)
{
	struct sim_request *q = data;
	if (!is_lost(q, st))
		over(q, st);
}

static void on_project(void *data, const struct status *st, const struct db_project *p)
{
	(void)p;
	on_done(data, st);
}

/* ---- sending ---- */

static struct sim_daemon *somebody(struct sim *s)
{
	for (unsigned i = 0; i < 4; i++) {
		struct sim_daemon *d = s->at[sim_below(&s->work_rng, s->places)];
		if (sim_daemon_serves(d))
			return d;
	}
	return NULL;
}

static void send_to(struct sim_request *q, struct db *db)
{
	const struct sim *s = q->sim;
	const char *project = s->projects[q->project]->row.name;
	char stack[16];
	(void)snprintf(stack, sizeof(stack), "s%u", q->stack);
	const struct db_scope scope = scope_of(q);
	const struct db_stack_ref ref = {"", project, stack};
	const struct db_stack_job job = {
		.stack = ref, .kind = q->kind, .params = q->params, .max_attempts = 3};
	const struct db_stack_rollback back = {
		.stack = ref, .to = 0, .on_failure = q->policy, .max_attempts = 3};
	const struct db_stack_deploy deploy = {.project = project,
		.name = stack,
		.namespace_ = "",
		.on_failure = q->policy,
		.source = q->source,
		.params = q->params,
		.max_attempts = 3};
	switch (q->what) {
	case ASK_DEPLOY:
		db->stacks->deploy(db, &scope, &deploy, on_job, q);
		break;
	case ASK_SCALE:
	case ASK_RESTART:
	case ASK_REMOVE:
		db->stacks->submit(db, &scope, &job, on_job, q);
		break;
	case ASK_ROLLBACK:
		db->stacks->rollback(db, &scope, &back, on_job, q);
		break;
	case ASK_CANCEL:
		db->jobs->cancel(db, &scope, q->job.text, on_job, q);
		break;
	case ASK_RETRY:
		db->jobs->retry(db, &scope, q->job.text, on_job, q);
		break;
	case ASK_RETRY_FAILED:
		db->jobs->retry_failed(db, &scope, project, "", 0, on_jobs, q);
		break;
	case ASK_PAUSE:
		db->jobs->pause(db, &scope, q->kind ? "" : project, q->kind, "sim", on_done, q);
		break;
	case ASK_RESUME:
		db->jobs->resume(db, &scope, q->kind ? "" : project, q->kind, on_done, q);
		break;
	case ASK_PROJECT:
		db->projects->update(db, &scope, project, &q->change, on_project, q);
		break;
	case ASK_KINDS:
		break;
	}
}

/* A job to cancel or to retry is chosen when it is asked for. */
static bool find_job(struct sim_request *q)
{
	struct sim *s = q->sim;
	bool ended = q->what == ASK_RETRY;
	for (unsigned i = 0; i < 8 && s->store->n_jobs; i++) {
		const struct db_job *r = &s->store->jobs[sim_below(&s->work_rng, s->store->n_jobs)]->row;
		if (ended ? r->state == JOB_FAILED || r->state == JOB_CANCELLED
			  : !job_state_is_end(r->state)) {
			q->job = r->id;
			return true;
		}
	}
	return false;
}

static void send(struct sim_request *q)
{
	struct sim *s = q->sim;
	struct sim_daemon *d = somebody(s);
	bool about_job = q->what == ASK_CANCEL || q->what == ASK_RETRY;
	if (about_job && !q->job.text[0] && !find_job(q)) {
		q->over = true;
		return;
	}
	if (!d) {
		timer_set(&q->timer, AGAIN_MS);
		return;
	}
	sim_trace(s, "user", "request %s to %s: %s %s/s%u %s", q->id, d->name, what_names[q->what],
		s->projects[q->project]->row.name, q->stack, about_job ? q->job.text : "");
	q->daemon = d;
	q->sent++;
	send_to(q, &d->db.base);
}

static void on_send(struct timer *t)
{
	send(container_of(t, struct sim_request, timer));
}

/* ---- what is asked for, and when ---- */

static enum sim_what choose_what(struct sim_rng *r)
{
	static const unsigned weights[ASK_KINDS] = {45, 12, 8, 9, 9, 12, 6, 2, 3, 0, 4};
	uint64_t all = 0, at;
	for (size_t i = 0; i < ASK_KINDS; i++)
		all += weights[i];
	at = sim_below(r, all);
	for (size_t i = 0; i < ASK_KINDS; i++) {
		if (at < weights[i])
			return (enum sim_what)i;
		at -= weights[i];
	}
	return ASK_DEPLOY;
}

static struct sim_request *ask(struct sim *s, enum sim_what what, uint64_t ms)
{
	struct sim_request *q = &s->requests[s->n_requests++];
	struct sim_rng *r = &s->work_rng;
	*q = (struct sim_request){.sim = s, .what = what, .number = (unsigned)s->n_requests};
	(void)snprintf(q->id, sizeof(q->id), "r%u", q->number);
	q->project = (size_t)sim_below(r, s->n_projects);
	q->stack = 1 + (unsigned)sim_below(r, s->stacks);
	q->policy = sim_chance(r, 750) ? ON_FAILURE_ROLLBACK
		    : sim_chance(r, 500) ? ON_FAILURE_PAUSE
					 : ON_FAILURE_CONTINUE;
	timer_init(&q->timer, s->loop, on_send);
	timer_set(&q->timer, ms);
	return q;
}

static void fill_in(struct sim *s, struct sim_request *q)
{
	struct sim_rng *r = &s->work_rng;
	q->params = STR("{}");
	if (q->what == ASK_DEPLOY) {
		q->source = compose(s);
		if (sim_chance(r, 700))
			q->params = STR("{\"resolve_image\":\"never\"}");
	} else if (q->what == ASK_SCALE) {
		q->kind = JOB_SCALE;
		q->params = str_of(arena_fmt(s->arena, "{\"replicas\":{\"web\":%u}}",
			(unsigned)sim_between(r, 1, 4)));
	} else if (q->what == ASK_RESTART) {
		q->kind = JOB_RESTART;
		q->params = STR("{\"services\":[\"web\"]}");
	} else if (q->what == ASK_REMOVE) {
		q->kind = JOB_REMOVE;
	} else if (q->what == ASK_PROJECT) {
		q->change.weight = (int)sim_between(r, 1, 5);
		q->change.max_running = (int)sim_below(r, 4) - 1;
	}
}

/* What is paused goes on some time later. */
static void ask_pause(struct sim *s, struct sim_request *q, uint64_t at)
{
	q->kind = sim_chance(&s->work_rng, 500) ? JOB_UPDATE : 0;
	struct sim_request *back =
		ask(s, ASK_RESUME, at + sim_between(&s->work_rng, 1000, 20000));
	back->kind = q->kind;
	back->project = q->project;
}

static void make_projects(struct sim *s)
{
	static const char *const names[SIM_PROJECTS] = {"acme", "bolt", "cern", "dune"};
	struct sim_rng *r = &s->work_rng;
	const struct db_scope scope = {
		.project_id = "", .actor = "sim", .method = "sim", .request_id = ""};
	s->n_projects = (size_t)sim_between(r, 1, SIM_PROJECTS);
	s->stacks = (unsigned)sim_between(r, 1, 3);
	for (size_t i = 0; i < s->n_projects; i++) {
		struct status st =
			store_project_create(s->store, &scope, names[i], "", &s->projects[i]);
		if (!status_is_ok(&st))
			sim_fail(s, "%s", st.message);
		s->projects[i]->row.weight = (int)sim_between(r, 1, 5);
		s->projects[i]->row.max_running = (int)sim_below(r, 4);
		s->projects[i]->row.drift_policy =
			sim_chance(r, 400) ? DRIFT_REPAIR : DRIFT_REPORT;
	}
}

void sim_work_init(struct sim *s)
{
	struct sim_rng *r = &s->work_rng;
	make_projects(s);
	if (s->flood) {
		sim_flood_init(s);
		return;
	}
	uint64_t n = sim_between(r, 5, 30);
	for (uint64_t i = 0; i < n && s->n_requests + 2 < SIM_REQUESTS; i++) {
		enum sim_what what = i < 2 ? ASK_DEPLOY : choose_what(r);
		uint64_t at = i < 2 ? i * 100 : sim_below(r, s->chaos_ms);
		struct sim_request *q = ask(s, what, at);
		fill_in(s, q);
		if (what == ASK_PAUSE)
			ask_pause(s, q, at);
	}
}

/* Nothing stays paused. */
void sim_work_stop(struct sim *s)
{
	if (s->flood)
		return;
	for (size_t i = 0; i < s->n_projects; i++)
		ask(s, ASK_RESUME, 20000)->project = i;
	ask(s, ASK_RESUME, 20000)->kind = JOB_UPDATE;
}

bool sim_work_is_over(const struct sim *s)
{
	for (size_t i = 0; i < s->n_requests; i++)
		if (!s->requests[i].over)
			return false;
	return true;
}

/* ---- watchers: no gap, no repetition, whichever daemon they ask ---- */

static const struct db_scope everybody = {
	.project_id = "", .actor = "watcher", .method = "sim", .request_id = ""};

static void read_events(struct sim_watcher *w);

static void on_events(void *data, const struct status *st, const struct db_event *e, size_t n)
{
	struct sim_watcher *w = data;
	w->daemon = NULL;
	for (size_t i = 0; status_is_ok(st) && i < n; i++) {
		if (e[i].sequence != w->after + 1)
			sim_fail(w->sim, "a watcher of job %s has seen event %lld, then %lld",
				w->job.text, (long long)w->after, (long long)e[i].sequence);
		w->after = e[i].sequence;
	}
	if (status_is_ok(st) && (n == BATCH || w->dirty))
		timer_set(&w->timer, 0);
	else
		timer_set(&w->timer, WATCH_MS);
}

static void read_events(struct sim_watcher *w)
{
	struct sim_daemon *d = somebody(w->sim);
	w->dirty = false;
	if (!d) {
		timer_set(&w->timer, AGAIN_MS);
		return;
	}
	w->daemon = d;
	d->db.base.jobs->events(
		&d->db.base, &everybody, w->job.text, w->after, BATCH, on_events, w);
}

static void on_watch(struct timer *t)
{
	struct sim_watcher *w = container_of(t, struct sim_watcher, timer);
	if (!w->daemon)
		read_events(w);
}

static void watch(struct sim *s, const struct uuid *job)
{
	if (s->n_watchers == SIM_WATCHERS)
		return;
	struct sim_watcher *w = &s->watchers[s->n_watchers++];
	*w = (struct sim_watcher){.sim = s, .job = *job};
	timer_init(&w->timer, s->loop, on_watch);
	timer_set(&w->timer, 0);
}

void sim_work_news(struct sim_daemon *d, const char *job_id)
{
	struct sim *s = d->sim;
	for (size_t i = 0; i < s->n_watchers; i++) {
		struct sim_watcher *w = &s->watchers[i];
		if (job_id && strcmp(w->job.text, job_id) != 0)
			continue;
		w->dirty = true;
		if (!w->daemon)
			timer_set(&w->timer, 0);
	}
}
