#include "board/entry.h"

#include <stdio.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"

#define MS           1000
#define DELAY_STEPS  4096 /* BullMQ's score of a delayed job: its time in ms, and places for the order within one */
#define ATTEMPTS_MAX 10   /* the newest */

const char *board_queue(char ret_text[BOARD_QUEUE_MAX], enum job_kind kind)
{
	(void)snprintf(ret_text, BOARD_QUEUE_MAX, "skep-%s", job_kind_name(kind));
	return ret_text;
}

const char *board_place(const struct db_job *j, int64_t now_us)
{
	switch (j->state) {
	case JOB_PENDING:
		return j->run_us > now_us ? "delayed" : "wait";
	case JOB_RUNNING:
		return "active";
	case JOB_SUCCEEDED:
		return "completed";
	case JOB_FAILED:
	case JOB_CANCELLED: /* BullMQ knows no such end */
		return "failed";
	}
	return "wait";
}

static int64_t score_of(const struct db_job *j)
{
	return j->state == JOB_PENDING ? j->run_us / MS * DELAY_STEPS : j->finished_us / MS;
}

/* ---- fields ---- */

static void field(json_t *f, const char *name, const char *text)
{
	json_array_append_new(f, json_string(name));
	json_array_append_new(f, json_lossy(str_of(text)));
}

static void number(json_t *f, const char *name, int64_t value)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	field(f, name, text);
}

/* BullMQ keeps some fields as JSON texts. Takes the value. */
static void object(struct arena *a, json_t *f, const char *name, json_t *value)
{
	field(f, name, json_to_text(a, value));
	json_decref(value);
}

static void when(json_t *f, const char *name, int64_t us)
{
	if (us > 0)
		number(f, name, us / MS);
}

static void name_it(struct arena *a, json_t *f, const struct db_job *j)
{
	field(f, "name", j->stack[0] ? arena_fmt(a, "%s/%s", j->project, j->stack) : j->project);
	json_t *data = json_object();
	const struct {
		const char *key, *text;
	} texts[] = {{"kind", job_kind_name(j->kind)}, {"project", j->project}, {"project_id", j->project_id.text},
		{"stack", j->stack}, {"stack_id", j->stack_id.text}, {"release_id", j->deployment_id.text}};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].text && texts[i].text[0])
			json_object_set_new(data, texts[i].key, json_lossy(str_of(texts[i].text)));
	if (j->release_number > 0)
		json_object_set_new(data, "release", json_integer(j->release_number));
	object(a, f, "data", data);
}

static const char *where(struct arena *a, const char *code, const char *step)
{
	return step[0] ? arena_fmt(a, "%s behind step \"%s\"", code, step) : arena_fmt(a, "%s before its first step was done", code);
}

static json_t *traces(struct arena *a, struct str attempts)
{
	json_t *list = NULL, *told = json_array();
	struct status st = json_parse(attempts, &list);
	size_t n = status_is_ok(&st) ? json_array_size(list) : 0;
	for (size_t i = n > ATTEMPTS_MAX ? n - ATTEMPTS_MAX : 0; i < n; i++) {
		const json_t *one = json_array_get(list, i);
		json_array_append_new(told, json_lossy(str_of(arena_fmt(a, "attempt %lld: %s, %s",
			(long long)json_int(one, "attempt", 0), where(a, json_text(one, "error_code", ""), json_text(one, "step", "")),
			time_rfc3339(a, json_int(one, "ended_us", 0))))));
	}
	json_decref(list);
	return told;
}

/* How it stands. What is not said is taken out: the fields of before go with it. */
static void tell(struct arena *a, json_t *f, const struct db_job *j)
{
	bool over = job_state_is_end(j->state);
	when(f, "timestamp", j->created_us);
	when(f, "processedOn", j->started_us);
	if (over)
		when(f, "finishedOn", j->finished_us);
	number(f, "progress", j->state == JOB_SUCCEEDED ? 100 : j->percent);
	number(f, "attemptsMade", j->attempt - (j->state == JOB_RUNNING && j->attempt > 0));
	number(f, "priority", 0);
	number(f, "delay", j->state == JOB_PENDING && j->run_us > j->created_us ? (j->run_us - j->created_us) / MS : 0);
	if (j->owner[0])
		field(f, "pb", j->owner);
	if (over && j->state != JOB_SUCCEEDED)
		field(f, "failedReason", arena_fmt(a, "%s; `skep job get %s` tells why",
			where(a, j->state == JOB_CANCELLED ? "cancelled" : j->error_code, j->step), j->id.text));
	if (j->state == JOB_SUCCEEDED)
		object(a, f, "returnvalue", j->release_number > 0 ? json_pack("{s:I}", "release", (json_int_t)j->release_number) : json_null());
	object(a, f, "opts", json_pack("{s:i}", "attempts", j->max_attempts));
	object(a, f, "stacktrace", traces(a, j->attempts));
}

static json_t *entry(struct arena *a, const struct db_job *j, int64_t now_us)
{
	char queue[BOARD_QUEUE_MAX];
	const char *at = board_place(j, now_us);
	json_t *f = json_array();
	name_it(a, f, j);
	tell(a, f, j);
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", j->id.text, "q", board_queue(queue, j->kind), "at", at, "score",
		arena_fmt(a, "%lld", (long long)score_of(j)), "f", f);
}

void board_entries(struct buf *b, const struct uuid *ids, size_t n_ids, const struct db_job *jobs, size_t n_jobs, int64_t now_us)
{
	struct arena *a = arena_create();
	struct map found;
	json_t *list = json_array();
	map_init(&found);
	for (size_t i = 0; i < n_jobs; i++)
		map_puts(&found, jobs[i].id.text, (void *)(uintptr_t)&jobs[i]);
	for (size_t i = 0; i < n_ids; i++) {
		const struct db_job *j = map_gets(&found, ids[i].text);
		if (!j)
			json_array_append_new(list, json_pack("{s:s}", "id", ids[i].text));
		else if (job_kind_name(j->kind)[0]) /* of a later skepd: none of its queues is ours */
			json_array_append_new(list, entry(a, j, now_us));
	}
	json_write(b, list);
	json_decref(list);
	map_finish(&found);
	arena_destroy(a);
}
