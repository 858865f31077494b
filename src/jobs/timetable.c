#include "jobs/timetable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/zone.h"
#include "jobs/cron.h"
#include "loop/loop.h"

#define ZONES "/usr/share/zoneinfo"

struct question {
	struct arena *arena;
	const char *cron, *zone;
	int64_t after_s, next_s;
	struct status st;
	timetable_done done;
	void *data;
};

static struct status unknown_zone(const char *name)
{
	if (access(ZONES, R_OK) != 0)
		return status_err(ST_UNAVAILABLE, "there are no time zones on the daemon's machine (%s): apt-get install tzdata", ZONES);
	return status_err(ST_INVALID_ARGUMENT, "there is no time zone \"%s\": expected a name as Europe/Berlin or UTC", name);
}

static struct status read_zone(struct question *q, const struct zone **ret_zone)
{
	const char *path = arena_fmt(q->arena, "%s/%s", ZONES, q->zone);
	char *text = arena_alloc(q->arena, ZONE_FILE_MAX + 1);
	FILE *f = zone_is_name(q->zone) ? fopen(path, "re") : NULL;
	if (!f)
		return unknown_zone(q->zone);
	size_t n = fread(text, 1, ZONE_FILE_MAX + 1, f);
	bool bad = ferror(f) != 0; /* a directory */
	(void)fclose(f);
	struct status st = bad ? unknown_zone(q->zone) : zone_parse(q->arena, str_make(text, n), ret_zone);
	return status_is_ok(&st) ? st : unknown_zone(q->zone);
}

/* On a thread of the work queue. */
static void answer(void *data)
{
	struct question *q = data;
	const struct zone *z = zone_utc();
	struct cron c;
	q->st = cron_parse(q->cron, &c);
	if (status_is_ok(&q->st) && strcmp(q->zone, "UTC") != 0)
		q->st = read_zone(q, &z);
	if (status_is_ok(&q->st))
		q->next_s = cron_next(&c, z, q->after_s);
	if (status_is_ok(&q->st) && q->next_s == INT64_MAX)
		q->st = status_err(ST_INVALID_ARGUMENT, "\"%s\" does not come within nine years", q->cron);
}

static void on_answered(void *data, const struct status *st)
{
	struct question *q = data;
	q->done(q->data, status_is_ok(st) ? &q->st : st, q->next_s);
	arena_destroy(q->arena);
	free(q);
}

void timetable_next(struct loop *l, const char *cron, const char *zone, int64_t after_s, timetable_done done, void *data)
{
	struct question *q = mem_new(struct question);
	*q = (struct question){.arena = arena_create(), .after_s = after_s, .done = done, .data = data};
	q->cron = arena_strdup(q->arena, cron);
	q->zone = arena_strdup(q->arena, zone);
	loop_work(l, answer, on_answered, q);
}
