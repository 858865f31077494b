/* What is done to schedules, by callers and by the daemon that looks after them. */
#include <stdio.h>
#include "chooser.h"
#include "places.h"

static const char *name_of(struct chooser *c)
{
	return ONE_OF(c, "nightly", "hourly", "often");
}

/* Of what the stack may have, or may not. */
static struct str params_of(struct chooser *c, enum schedule_action action, char *text, size_t size)
{
	(void)snprintf(text, size, "{}");
	if (action == SCHEDULE_SCALE)
		(void)snprintf(text, size, "{\"replicas\":{\"%s\":2}}", service(c));
	if (action == SCHEDULE_RESTART && chance(c, 30))
		(void)snprintf(text, size, "{\"services\":[\"%s\"]}", service(c));
	return str_of(text);
}

void op_schedule(struct chooser *c)
{
	static const enum schedule_action actions[] = {SCHEDULE_RESTART, SCHEDULE_RESTART, SCHEDULE_REDEPLOY, SCHEDULE_SCALE};
	char text[64];
	const struct db_scope scope = scope_of(c, "schedule");
	enum schedule_action action = actions[below(c, 4)];
	buf_fmt(c->words, " %s", schedule_action_name(action));
	const struct db_schedule_new n = {.project = project(c),
		.stack = stack(c),
		.name = chance(c, 95) ? name_of(c) : ONE_OF(c, "No", "-x"),
		.action = action,
		.params = params_of(c, action, text, sizeof(text)),
		.cron = "@daily",
		.time_zone = "UTC",
		.jitter_s = (int)below(c, 3),
		.missed = chance(c, 50) ? SCHEDULE_SKIP : SCHEDULE_RUN_ONCE,
		.times = times(c)};
	ASK(c->s, schedules, create)(c->s->db, &scope, &n, said_schedule, c->s);
}

/* One that was told of; its revision is mostly the one that was told last. */
static const char *some_schedule(struct chooser *c, int64_t *ret_revision)
{
	size_t n = c->s->n_schedules, i = n && !chance(c, 5) ? below(c, n) : SIZE_MAX;
	buf_fmt(c->words, " schedule %zd", (ssize_t)i);
	*ret_revision = i == SIZE_MAX ? 1 : c->s->revisions[i] - (chance(c, 15) ? 1 : 0);
	return i == SIZE_MAX ? nobody : c->s->schedules[i].text;
}

void op_change_schedule(struct chooser *c)
{
	int64_t revision;
	const struct db_scope scope = scope_of(c, "change schedule");
	const char *id = some_schedule(c, &revision);
	const struct db_schedule_change change = {.cron = chance(c, 50) ? "@daily" : "@hourly",
		.time_zone = "UTC",
		.jitter_s = (int)below(c, 3),
		.missed = chance(c, 50) ? SCHEDULE_SKIP : SCHEDULE_RUN_ONCE,
		.paused = chance(c, 25),
		.times = times(c)};
	bool by_name = chance(c, 50);
	if (chance(c, 75))
		ASK(c->s, schedules, update)(c->s->db, &scope, id, revision, &change, said_schedule, c->s);
	else if (by_name)
		ASK(c->s, schedules, remove)(c->s->db, &scope, project(c), name_of(c), said, c->s);
	else
		ASK(c->s, schedules, remove)(c->s->db, &scope, chance(c, 50) ? "" : project(c), id, said, c->s);
}

void op_read_schedules(struct chooser *c)
{
	int64_t revision;
	const struct db_scope scope = reader(c);
	const char *id = some_schedule(c, &revision), *of = chance(c, 50) ? "" : project(c);
	bool by_name = chance(c, 50);
	const struct db_page page = some_page(c, LIST_SCHEDULES, id);
	if (chance(c, 40)) {
		ASK(c->s, schedules, get)(c->s->db, &scope, of, by_name ? name_of(c) : id, said_schedule, c->s);
		return;
	}
	if (of[0])
		side_notes(c->s, FILTERED);
	ASK(c->s, schedules, list)(c->s->db, &scope, of, &page, said_schedules, c->s);
}

/* Those that were due at the last look: now and then somebody else has seen to them meanwhile. */
void op_due(struct chooser *c)
{
	static const enum schedule_outcome outcomes[] = {SCHEDULE_SKIPPED, SCHEDULE_MISSED, SCHEDULE_REFUSED};
	struct side *s = c->s;
	const struct db_schedule_times next = times(c);
	size_t which = below(c, 8), outcome = below(c, 3);
	if (s->n_due == 0 || chance(c, 40)) {
		ASK(s, schedules, due)(s->db, 1 + (unsigned)below(c, 4), said_due, s);
		return;
	}
	const struct db_schedule *t = &s->due[which % s->n_due];
	buf_fmt(c->words, " %s", t->name);
	if (chance(c, 60))
		ASK(s, schedules, fire)(s->db, t, 2, &next, said_job, s);
	else
		ASK(s, schedules, pass)(s->db, t, outcomes[outcome], chance(c, 50) ? "" : "words", &next, said, s);
}
