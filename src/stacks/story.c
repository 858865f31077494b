#include "stacks/story.h"

#include <jansson.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "stacks/hints.h"
#include "stacks/picture.h"
#include "stacks/placement.h"
#include "stacks/rollout.h"
#include "stacks/stack_run.h"

#define LOG_LINES    20
#define LOG_BYTES    4096
#define HEALTH_BYTES 1024
#define GATHER_MS    5000
/* So many services are asked about; of the others only their own words are told. */
#define DETAILED 16

struct chapter { /* one service that failed */
	struct story *story;
	const struct converge *c;
	struct buf log; /* lines, each with its \n */
	struct stack_op *reading;
	const char *health, *registry;
	int64_t health_exit_code;
	bool oom_killed, unhealthy, checked;
	enum st_code registry_code;
	const char **nodes; /* "alpha: it is drained" */
	size_t n_nodes;
};
struct story {
	struct rollout *ro;
	struct arena *arena; /* the run's */
	struct chapter *chapters;
	size_t n;
	struct picture *all; /* services and tasks of everybody, for UNSCHEDULABLE */
	unsigned waiting;
	struct timer limit; /* a log of a node that is away opens and never ends */
};

/* ---- telling ---- */

static const char *hint_for(const struct chapter *h)
{
	const struct converge *c = h->c;
	const struct converge_task *failed = converge_failed(c);
	const struct hint_facts facts = {
		.cause = c->cause,
		.state = failed->state,
		.err = failed->id[0] ? failed->err : c->message,
		.log = h->log.ptr,
		.health = h->health,
		.exit_code = failed->id[0] ? failed->exit_code : -1,
		.oom_killed = h->oom_killed,
		.checked = h->checked,
		.unhealthy = h->unhealthy,
		.registry = h->registry_code,
	};
	return hint_of(&facts);
}

/* Text of several lines, each indented. */
static void add_indented(struct buf *b, const char *indent, struct str text)
{
	while (text.len > 0) {
		buf_adds(b, indent);
		buf_add_str(b, str_cut(&text, '\n'));
		buf_addc(b, '\n');
	}
}

static void tell_chapter(const struct chapter *h, struct buf *b)
{
	const char *hint = hint_for(h);
	buf_fmt(b, "service %s: %s\n", h->c->key, h->c->message);
	if (h->oom_killed)
		buf_adds(b, "  the kernel killed it: out of memory\n");
	if (h->registry)
		buf_fmt(b, "  the registry says: %s\n", h->registry);
	for (size_t i = 0; i < h->n_nodes; i++)
		buf_fmt(b, "  node %s\n", h->nodes[i]);
	if (hint[0])
		buf_fmt(b, "  hint: %s\n", hint);
	if (h->health) {
		buf_fmt(b, "  its health check says (exit code %lld):\n",
			(long long)h->health_exit_code);
		add_indented(b, "    ", str_of(h->health));
	}
	if (h->log.len) {
		buf_adds(b, "  last lines of its log:\n");
		add_indented(b, "    ", buf_str(&h->log));
	}
}

static json_t *text_json(const char *text)
{
	return json_lossy(str_of(text));
}

static json_t *chapter_json(const struct chapter *h)
{
	const struct converge_task *t = converge_failed(h->c);
	json_t *o = json_object(), *log = json_array(), *nodes = json_array();
	struct str lines = buf_str(&h->log);
	while (lines.len > 0) {
		struct str line = str_cut(&lines, '\n');
		json_array_append_new(log, json_stringn(line.ptr, line.len));
	}
	for (size_t i = 0; i < h->n_nodes; i++)
		json_array_append_new(nodes, text_json(h->nodes[i]));
	json_object_set_new(o, "service", text_json(h->c->key));
	json_object_set_new(o, "message", text_json(h->c->message));
	json_object_set_new(o, "task", text_json(t->id));
	json_object_set_new(o, "slot", json_integer(t->slot));
	json_object_set_new(o, "node", text_json(t->node));
	json_object_set_new(o, "error", text_json(t->id[0] ? t->err : ""));
	json_object_set_new(o, "exit_code", json_integer(t->id[0] ? t->exit_code : -1));
	json_object_set_new(o, "oom_killed", json_boolean(h->oom_killed));
	json_object_set_new(o, "health", text_json(h->health));
	json_object_set_new(o, "registry", text_json(h->registry));
	json_object_set_new(o, "hint", json_string(hint_for(h)));
	json_object_set_new(o, "nodes", nodes);
	json_object_set_new(o, "log", log);
	return o;
}

static void explain_nodes(struct story *s)
{
	const struct rollout *ro = s->ro;
	const struct placement_world w = {.nodes = s->all->nodes,
		.n_nodes = s->all->n_nodes,
		.tasks = s->all->tasks,
		.n_tasks = s->all->n_tasks,
		.services = s->all->services,
		.n_services = s->all->n_services};
	for (size_t i = 0; i < s->n; i++) {
		struct chapter *h = &s->chapters[i];
		const struct docker_service *service = picture_service(rollout_picture(ro), h->c->name);
		if (h->c->cause != CONVERGE_UNSCHEDULABLE || !service)
			continue;
		h->nodes = arena_array(s->arena, const char *, w.n_nodes + 1);
		for (size_t k = 0; k < w.n_nodes; k++) {
			const char *why = placement_refusal(s->arena, &w, service, &w.nodes[k]);
			if (why)
				h->nodes[h->n_nodes++] =
					arena_fmt(s->arena, "%s: %s", w.nodes[k].hostname, why);
		}
	}
}

static void finish(struct story *s)
{
	for (size_t i = 0; i < s->n; i++)
		buf_finish(&s->chapters[i].log);
	timer_stop(&s->limit);
	picture_destroy(s->all);
	s->ro->story = NULL;
	s->ro->told = true;
}

static void tell(struct story *s)
{
	struct rollout *ro = s->ro;
	struct buf text = {0};
	json_t *list = json_array();
	const struct converge *first = s->chapters[0].c;
	explain_nodes(s);
	for (size_t i = 0; i < s->n; i++) {
		tell_chapter(&s->chapters[i], &text);
		json_array_append_new(list, chapter_json(&s->chapters[i]));
	}
	const char *story = str_dup(s->arena, str_trim(buf_str(&text)));
	job_run_story(ro->sr->run, story, json_to_text(s->arena, list));
	json_decref(list);
	buf_finish(&text);
	if (s->n > 1)
		ro->st = status_err(ST_FAILED_PRECONDITION, "service %s: %s (and %zu more)",
			first->key, first->message, s->n - 1);
	else
		ro->st = status_err(
			ST_FAILED_PRECONDITION, "service %s: %s", first->key, first->message);
	finish(s);
	rollout_phase_over(ro);
}

/* ---- gathering ---- */

static struct stack_op *begin(struct story *s, void *data)
{
	s->waiting++;
	return stack_op_begin(s->ro->sr, data);
}

static void part(struct story *s)
{
	if (--s->waiting == 0)
		tell(s);
}

static bool on_log_line(void *data, const struct docker_log_line *line)
{
	const struct stack_op *op = data;
	if (op->cancelled)
		return true;
	struct chapter *h = op->data;
	if (h->reading && h->log.len + line->text.len < LOG_BYTES) {
		buf_add_lossy(&h->log, line->text);
		buf_addc(&h->log, '\n');
	}
	return true;
}

static void on_log_end(void *data, const struct status *st)
{
	struct stack_run *sr;
	void *chapter;
	(void)st; /* no log is no reason to say less about the failure */
	if (!stack_op_end(data, &sr, &chapter))
		return;
	struct chapter *h = chapter;
	h->reading = NULL;
	part(h->story);
}

static void on_limit(struct timer *t)
{
	struct story *s = container_of(t, struct story, limit);
	for (size_t i = 0; i < s->n; i++)
		if (s->chapters[i].reading)
			docker_cancel(s->ro->sr->docker, s->chapters[i].reading->docker);
}

static bool has_check(const struct docker_service *s)
{
	const json_t *test = json_at(s ? s->spec : NULL, "TaskTemplate.ContainerSpec.Healthcheck.Test");
	const char *first = json_string_value(json_array_get(test, 0));
	return first && strcmp(first, "NONE") != 0;
}

static void on_container(void *data, const struct status *st, const struct docker_container *k)
{
	struct stack_run *sr;
	void *chapter;
	if (!stack_op_end(data, &sr, &chapter))
		return;
	struct chapter *h = chapter;
	struct arena *a = h->story->arena;
	if (status_is_ok(st)) {
		struct str said = str_trim(str_of(k->health_output));
		h->oom_killed = k->oom_killed;
		h->unhealthy = strcmp(k->health, "unhealthy") == 0 ||
			       (strcmp(k->health, "starting") == 0 && said.len > 0);
		if (h->unhealthy && said.len > 0) {
			said.len = said.len > HEALTH_BYTES ? HEALTH_BYTES : said.len;
			h->health = str_lossy(a, said);
			h->health_exit_code = k->health_exit_code;
		}
	}
	part(h->story);
}

static void on_image(void *data, const struct status *st, const struct docker_image *image)
{
	struct stack_run *sr;
	void *chapter;
	(void)image;
	if (!stack_op_end(data, &sr, &chapter))
		return;
	struct chapter *h = chapter;
	h->registry_code = st->code;
	if (!status_is_ok(st) && st->code != ST_DEADLINE_EXCEEDED && st->code != ST_CANCELLED)
		h->registry = arena_strdup(h->story->arena, st->message);
	part(h->story);
}

static void on_services(
	void *data, const struct status *st, const struct docker_service *s, size_t n)
{
	struct stack_run *sr;
	void *story;
	(void)st;
	if (!stack_op_end(data, &sr, &story))
		return;
	struct story *x = story;
	picture_set_services(x->all, s, n);
	part(x);
}

static void on_tasks(void *data, const struct status *st, const struct docker_task *t, size_t n)
{
	struct stack_run *sr;
	void *story;
	(void)st;
	if (!stack_op_end(data, &sr, &story))
		return;
	struct story *x = story;
	picture_set_tasks(x->all, t, n);
	part(x);
}

static void on_nodes(void *data, const struct status *st, const struct docker_node *m, size_t n)
{
	struct stack_run *sr;
	void *story;
	(void)st;
	if (!stack_op_end(data, &sr, &story))
		return;
	struct story *x = story;
	picture_set_nodes(x->all, m, n);
	part(x);
}

static void ask_about_everybody(struct story *s)
{
	static const struct docker_filter services = {.brief = true};
	static const struct docker_task_filter tasks = {.brief = true};
	struct docker *d = s->ro->sr->docker;
	struct stack_op *op = begin(s, s);
	op->docker = docker_service_list(d, &services, GATHER_MS, on_services, op);
	op = begin(s, s);
	op->docker = docker_task_list(d, &tasks, GATHER_MS, on_tasks, op);
	op = begin(s, s);
	op->docker = docker_node_list(d, GATHER_MS, on_nodes, op);
}

static void ask_about_image(struct chapter *h)
{
	const struct docker_service *service = picture_service(rollout_picture(h->story->ro), h->c->name);
	if (!service || !strstr(converge_failed(h->c)->err, "No such image"))
		return;
	struct stack_run *sr = h->story->ro->sr;
	struct stack_op *op = begin(h->story, h);
	op->docker = docker_image_resolve(sr->docker, service->image,
		registry_auth_for(h->story->arena, &sr->auths, service->image), GATHER_MS, on_image,
		op);
}

static void ask_about_container(struct chapter *h)
{
	struct docker *d = h->story->ro->sr->docker;
	const struct docker_logs l = {
		.task = converge_failed(h->c)->id, .tail = LOG_LINES, .on_line = on_log_line};
	struct stack_op *op = begin(h->story, h);
	h->reading = op;
	op->docker = docker_logs(d, &l, GATHER_MS, on_log_end, op);
	op = begin(h->story, h);
	op->docker = docker_container_inspect(
		d, converge_failed(h->c)->container_id, GATHER_MS, on_container, op);
}

static void ask(struct story *s)
{
	bool homeless = false;
	for (size_t i = 0; i < s->n; i++) {
		struct chapter *h = &s->chapters[i];
		h->checked = has_check(picture_service(rollout_picture(s->ro), h->c->name));
		h->unhealthy = h->checked && h->c->cause == CONVERGE_ENDS;
		homeless |= h->c->cause == CONVERGE_UNSCHEDULABLE;
		if (i >= DETAILED)
			continue;
		ask_about_image(h);
		if (converge_failed(h->c)->container_id[0])
			ask_about_container(h);
	}
	if (homeless)
		ask_about_everybody(s);
}

void story_tell(struct rollout *ro)
{
	struct arena *a = ro->sr->run->arena;
	struct story *s = arena_new(a, struct story);
	*s = (struct story){.ro = ro, .arena = a, .all = picture_create(ro->sr->run->loop)};
	s->chapters = arena_array(a, struct chapter, ro->n_watched);
	for (size_t i = 0; i < ro->n_watched; i++)
		if (ro->watched[i].verdict == CONVERGE_FAILED && !ro->watched[i].optional)
			s->chapters[s->n++] = (struct chapter){.story = s, .c = &ro->watched[i]};
	timer_init(&s->limit, ro->sr->run->loop, on_limit);
	ro->story = s;
	s->waiting = 1;
	ask(s);
	timer_set(&s->limit, GATHER_MS);
	part(s);
}

void story_stop(struct rollout *ro)
{
	if (ro->story)
		finish(ro->story);
}

void story_of_refusal(struct rollout *ro, const struct status *st)
{
	const struct hint_facts facts = {.err = st->message, .exit_code = -1};
	const char *hint = hint_of(&facts);
	if (hint[0])
		job_run_story(ro->sr->run,
			arena_fmt(ro->sr->run->arena, "%s\n  hint: %s", st->message, hint), NULL);
}
