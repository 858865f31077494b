/* Schedules, as src/db/schedules.c has them, for the daemons that look after them. Their clock runs faster than the others', so
 * that a run of two minutes, whose expressions know no less than a minute, has some. */
#include "store.h"

#include <stdio.h>
#include <string.h>
#include "base/mem.h"

int64_t store_schedule_now_us(const struct store *s)
{
	static const int64_t then = INT64_C(1700000000000000);
	return then + (store_now_us(s) - then) * STORE_SCHEDULE_SPEED;
}

/* A schedule goes with its stack. */
static bool is_there(struct store *s, const struct db_schedule *row)
{
	return store_stack_find(s, row->stack_id.text) != NULL;
}

struct db_schedule *store_schedule_add(struct store *s, const struct store_stack *t, const char *name, enum schedule_action action,
	const char *cron, enum schedule_missed missed, int jitter_s)
{
	struct db_schedule *row = arena_new(s->arena, struct db_schedule);
	*row = (struct db_schedule){.id = store_id(s), .project_id = t->row.project_id, .stack_id = t->row.id, .project = t->row.project,
		.stack = t->row.name, .name = arena_strdup(s->arena, name), .action = action, .cron = cron, .time_zone = "UTC",
		.params = action == SCHEDULE_SCALE ? STR("{\"replicas\":{\"web\":2}}") : STR("{}"), .jitter_s = jitter_s, .missed = missed,
		.revision = 1, .next_us = store_schedule_now_us(s), .due_us = store_schedule_now_us(s), .last_message = "", .last_job_error = "",
		.created_by = "sim"};
	s->schedules = mem_realloc_array(s->schedules, sizeof(struct db_schedule *), s->n_schedules + 1);
	s->schedules[s->n_schedules++] = row;
	store_tell(s, "skep_schedules", "");
	return row;
}

struct status store_schedule_create(
	struct store *s, const struct db_scope *scope, const struct db_schedule_new *n, struct db_schedule **ret_row)
{
	struct store_stack *t;
	const struct db_stack_ref ref = {"", n->project, n->stack};
	struct status st = store_stack_ref(s, scope, &ref, &t);
	if (!status_is_ok(&st))
		return st;
	for (size_t i = 0; i < s->n_schedules; i++)
		if (is_there(s, s->schedules[i]) && strcmp(s->schedules[i]->project_id.text, t->row.project_id.text) == 0 &&
			strcmp(s->schedules[i]->name, n->name) == 0)
			return status_err(ST_ALREADY_EXISTS, "schedule \"%s\" exists", n->name);
	*ret_row = store_schedule_add(s, t, n->name, n->action, n->cron, n->missed, n->jitter_s);
	(*ret_row)->next_us = n->times.next_s * 1000000;
	(*ret_row)->due_us = n->times.due_s * 1000000;
	return st;
}

void store_schedule_pause(struct store *s, struct db_schedule *row)
{
	row->paused = true;
	row->revision++;
	store_tell(s, "skep_schedules", "");
}

/* Those that are due (as many as there is room for), the longest first; until the next one is, -1: none. */
size_t store_schedules_due(struct store *s, struct arena *a, unsigned limit, struct db_schedule **ret_list, int64_t *ret_due_ms)
{
	int64_t now = store_schedule_now_us(s);
	struct db_schedule *list = arena_array(a, struct db_schedule, s->n_schedules + 1);
	size_t n = 0;
	*ret_due_ms = -1;
	for (size_t i = 0; i < s->n_schedules; i++) {
		const struct db_schedule *row = s->schedules[i];
		if (row->paused || !is_there(s, row))
			continue;
		int64_t ms = (row->due_us - now) / 1000 / STORE_SCHEDULE_SPEED + 1;
		if (row->due_us > now) {
			*ret_due_ms = *ret_due_ms < 0 || ms < *ret_due_ms ? ms : *ret_due_ms;
			continue;
		}
		size_t at = n++;
		for (; at > 0 && list[at - 1].due_us > row->due_us; at--)
			list[at] = list[at - 1];
		list[at] = *row;
		const struct store_job *j = store_job_find(s, row->last_job_id.text);
		list[at].last_job_state = j ? j->row.state : 0;
	}
	*ret_list = list;
	return n < limit ? n : limit;
}

static struct db_schedule *find(struct store *s, const struct db_schedule *asked)
{
	for (size_t i = 0; i < s->n_schedules; i++)
		if (strcmp(s->schedules[i]->id.text, asked->id.text) == 0)
			return s->schedules[i];
	return NULL;
}

static struct status take(struct store *s, const struct db_schedule *asked, struct db_schedule **ret_row)
{
	*ret_row = find(s, asked);
	if (!*ret_row || !is_there(s, *ret_row) || (*ret_row)->paused || (*ret_row)->revision != asked->revision)
		return status_err(ST_ABORTED, "schedule %s was changed, or has been seen to", asked->id.text);
	return status_ok();
}

static void passed(struct store *s, struct db_schedule *row, enum schedule_outcome outcome, const struct db_schedule_times *next,
	const struct store_job *j)
{
	struct db_schedule before = *row;
	const struct store_job *last = store_job_find(s, row->last_job_id.text);
	before.last_job_state = last ? last->row.state : 0;
	row->revision++;
	row->next_us = next->next_s * 1000000;
	row->due_us = next->due_s * 1000000;
	row->last_us = store_schedule_now_us(s);
	row->last_outcome = outcome;
	if (j)
		row->last_job_id = j->row.id;
	if (s->on_schedule)
		s->on_schedule(s->data, &before, row);
}

struct status store_schedule_fire(struct store *s, const struct db_schedule *asked, int attempts,
	const struct db_schedule_times *next, struct store_job **ret_job)
{
	struct db_schedule *row;
	struct status st = take(s, asked, &row);
	if (!status_is_ok(&st))
		return st;
	char actor[64];
	(void)snprintf(actor, sizeof(actor), "schedule:%s", row->name);
	const struct db_scope scope = {
		.project_id = row->project_id.text, .actor = actor, .method = "/skep.v1.Schedules/Run", .request_id = ""};
	const struct db_stack_job job = {.stack = {.id = row->stack_id.text, .project = "", .name = ""},
		.kind = row->action == SCHEDULE_SCALE ? JOB_SCALE : JOB_RESTART, .params = row->params, .max_attempts = attempts};
	st = store_submit(s, &scope, &job, ret_job);
	if (status_is_ok(&st))
		passed(s, row, SCHEDULE_SUBMITTED, next, *ret_job);
	return st;
}

struct status store_schedule_pass(
	struct store *s, const struct db_schedule *asked, enum schedule_outcome outcome, const struct db_schedule_times *next)
{
	struct db_schedule *row;
	struct status st = take(s, asked, &row);
	if (status_is_ok(&st))
		passed(s, row, outcome, next, NULL);
	return st;
}
