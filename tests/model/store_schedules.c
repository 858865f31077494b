/* Schedules, as src/db/schedules.c has them. Their clock runs faster than the others', so
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
		.stack = t->row.name, .name = arena_strdup(s->arena, name), .action = action, .cron = arena_strdup(s->arena, cron), .time_zone = "UTC",
		.params = action == SCHEDULE_SCALE ? STR("{\"replicas\":{\"web\":2}}") : STR("{}"), .jitter_s = jitter_s, .missed = missed,
		.revision = 1, .next_us = store_schedule_now_us(s), .due_us = store_schedule_now_us(s), .last_message = "", .last_job_error = "",
		.created_by = "sim"};
	s->schedules = mem_realloc_array(s->schedules, sizeof(struct db_schedule *), s->n_schedules + 1);
	s->schedules[s->n_schedules++] = row;
	store_tell(s, "skep_schedules", "");
	return row;
}

static bool is_in(const struct db_schedule *row, const struct store_project *p)
{
	return !p || strcmp(row->project_id.text, p->row.id.text) == 0;
}

static struct db_schedule *by_id(struct store *s, const char *id)
{
	for (size_t i = 0; i < s->n_schedules; i++)
		if (strcmp(s->schedules[i]->id.text, id) == 0 && is_there(s, s->schedules[i]))
			return s->schedules[i];
	return NULL;
}

struct status store_schedule_get(struct store *s, const struct db_scope *scope, const char *project, const char *name,
	struct db_schedule **ret_row)
{
	struct store_project *p;
	struct status st = store_project_or_all(s, scope, project, &p);
	if (!status_is_ok(&st))
		return st;
	for (size_t i = 0; i < s->n_schedules; i++) {
		struct db_schedule *row = s->schedules[i];
		bool named = strcmp(row->id.text, name) == 0 || (p && strcmp(row->name, name) == 0);
		if (named && is_in(row, p) && is_there(s, row)) {
			*ret_row = row;
			return st;
		}
	}
	return status_err(ST_NOT_FOUND, "schedule \"%s\" does not exist", name);
}

static struct status replayed(struct store *s, const struct status *st, const struct uuid *id, struct db_schedule **ret_row)
{
	*ret_row = by_id(s, id->text);
	if (status_is_ok(st) && !*ret_row)
		return status_err(ST_NOT_FOUND, "the schedule does not exist any more");
	return *st;
}

static bool is_name(const char *name)
{
	size_t n = strlen(name);
	struct uuid id;
	return n > 0 && n <= 40 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n && !strchr("-_", name[0]) &&
	       !strchr("-_", name[n - 1]) && !uuid_parse(name, &id);
}

static struct status may_create(struct store *s, const struct store_stack *t, const struct db_schedule_new *n)
{
	const struct db_stack_job job = {
		.kind = n->action == SCHEDULE_SCALE ? JOB_SCALE : JOB_RESTART, .params = n->params};
	struct status st = n->action == SCHEDULE_REDEPLOY ? status_ok() : store_need_services(s, t, &job);
	if (!status_is_ok(&st))
		return st;
	if (!is_name(n->name))
		return status_err(ST_INVALID_ARGUMENT, "\"%s\" is no name of a schedule", n->name);
	for (size_t i = 0; i < s->n_schedules; i++)
		if (is_there(s, s->schedules[i]) && strcmp(s->schedules[i]->project_id.text, t->row.project_id.text) == 0 &&
			strcmp(s->schedules[i]->name, n->name) == 0)
			return status_err(ST_ALREADY_EXISTS, "schedule \"%s\" exists", n->name);
	return st;
}

static void put_times(struct db_schedule *row, const struct db_schedule_times *t)
{
	row->next_us = t->next_s * 1000000;
	row->due_us = t->due_s * 1000000;
}

struct status store_schedule_create(
	struct store *s, const struct db_scope *scope, const struct db_schedule_new *n, struct db_schedule **ret_row)
{
	struct store_stack *t;
	struct uuid old;
	const struct db_stack_ref ref = {"", n->project, n->stack};
	struct status st = status_ok();
	if (store_replays(s, scope, &st, &old))
		return replayed(s, &st, &old, ret_row);
	st = store_stack_ref(s, scope, &ref, &t);
	if (status_is_ok(&st))
		st = may_create(s, t, n);
	if (!status_is_ok(&st))
		return st;
	struct db_schedule *row = store_schedule_add(s, t, n->name, n->action, n->cron, n->missed, n->jitter_s);
	row->params = (struct str){str_dup(s->arena, n->params), n->params.len};
	row->created_by = arena_strdup(s->arena, scope->actor);
	put_times(row, &n->times);
	store_remember(s, scope, row->id.text);
	*ret_row = row;
	return st;
}

struct db_schedule store_schedule_row(struct store *s, struct arena *a, const struct db_schedule *row)
{
	struct db_schedule copy = *row;
	const struct store_job *j = store_job_find(s, row->last_job_id.text);
	struct str error = str_of(j ? j->row.error : "");
	copy.last_job_state = j ? j->row.state : 0;
	copy.last_job_error = str_dup(a, str_cut(&error, '\n'));
	return copy;
}

struct status store_schedule_list(struct store *s, struct arena *a, const struct db_scope *scope, const char *project,
	const struct db_page *page, struct db_schedule **ret_list, size_t *ret_n, bool *ret_more)
{
	struct store_project *p;
	struct status st = store_project_or_all(s, scope, project, &p);
	if (!status_is_ok(&st))
		return st;
	size_t n = 0;
	*ret_list = arena_array(a, struct db_schedule, s->n_schedules + 1);
	for (size_t i = s->n_schedules; i-- > 0;) {
		const struct db_schedule *row = s->schedules[i];
		if (is_there(s, row) && is_in(row, p) && store_on_page(page, &row->id))
			(*ret_list)[n++] = store_schedule_row(s, a, row);
	}
	*ret_more = n > page->size;
	*ret_n = *ret_more ? page->size : n;
	return st;
}

struct status store_schedule_update(struct store *s, const struct db_scope *scope, const char *id, int64_t revision,
	const struct db_schedule_change *change, struct db_schedule **ret_row)
{
	struct status st = status_ok();
	struct uuid old;
	if (store_replays(s, scope, &st, &old))
		return replayed(s, &st, &old, ret_row);
	struct db_schedule *row = by_id(s, id);
	if (!row || (scope->project_id[0] && strcmp(row->project_id.text, scope->project_id) != 0))
		return status_err(ST_NOT_FOUND, "the schedule does not exist any more");
	if (row->revision != revision)
		return status_err(ST_ABORTED, "schedule \"%s\" was changed, or run, at the same time", row->name);
	row->revision++;
	row->cron = arena_strdup(s->arena, change->cron);
	row->time_zone = arena_strdup(s->arena, change->time_zone);
	row->jitter_s = change->jitter_s;
	row->missed = change->missed;
	row->paused = change->paused;
	put_times(row, &change->times);
	store_remember(s, scope, id);
	store_tell(s, "skep_schedules", "");
	*ret_row = row;
	return st;
}

struct status store_schedule_remove(struct store *s, const struct db_scope *scope, const char *project, const char *name)
{
	struct db_schedule *row = NULL;
	struct status st = status_ok();
	struct uuid old;
	size_t n = 0;
	if (store_replays(s, scope, &st, &old))
		return st;
	st = store_schedule_get(s, scope, project, name, &row);
	if (!status_is_ok(&st))
		return st;
	for (size_t i = 0; i < s->n_schedules; i++)
		if (s->schedules[i] != row)
			s->schedules[n++] = s->schedules[i];
	s->n_schedules = n;
	store_remember(s, scope, "");
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
		list[at] = store_schedule_row(s, a, row);
	}
	*ret_list = list;
	return n < limit ? n : limit;
}

static struct status take(struct store *s, const struct db_schedule *asked, struct db_schedule **ret_row)
{
	*ret_row = by_id(s, asked->id.text);
	if (!*ret_row || (*ret_row)->paused || (*ret_row)->revision != asked->revision)
		return status_err(ST_ABORTED, "schedule %s was changed, or has been seen to", asked->id.text);
	return status_ok();
}

static void passed(struct store *s, struct db_schedule *row, enum schedule_outcome outcome, const char *message,
	const struct db_schedule_times *next, const struct store_job *j)
{
	struct db_schedule before = store_schedule_row(s, s->arena, row);
	row->revision++;
	put_times(row, next);
	row->last_us = store_schedule_now_us(s);
	row->last_outcome = outcome;
	row->last_message = arena_strdup(s->arena, message);
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
	const struct store_job *last = store_job_find(s, row->last_job_id.text);
	if (last && !job_state_is_end(last->row.state))
		return status_err(ST_ABORTED, "job %s of the run before has not ended", last->row.id.text);
	char actor[64];
	(void)snprintf(actor, sizeof(actor), "schedule:%s", row->name);
	const struct db_scope scope = {
		.project_id = row->project_id.text, .actor = actor, .method = "/skep.v1.Schedules/Run", .request_id = ""};
	const struct db_stack_job job = {.stack = {.id = row->stack_id.text, .project = "", .name = ""},
		.kind = row->action == SCHEDULE_SCALE ? JOB_SCALE : JOB_RESTART, .params = row->params, .max_attempts = attempts};
	st = row->action == SCHEDULE_REDEPLOY ? store_redeploy(s, &scope, &job.stack, attempts, ret_job)
					       : store_submit(s, &scope, &job, ret_job);
	if (status_is_ok(&st))
		passed(s, row, SCHEDULE_SUBMITTED, "", next, *ret_job);
	return st;
}

struct status store_schedule_pass(
	struct store *s, const struct db_schedule *asked, enum schedule_outcome outcome, const char *message,
	const struct db_schedule_times *next)
{
	struct db_schedule *row;
	struct status st = take(s, asked, &row);
	if (status_is_ok(&st))
		passed(s, row, outcome, message, next, NULL);
	return st;
}
