#include "board/presence.h"

#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "board/entry.h"
#include "redis/redis.h"

struct board_presence {
	struct redis *redis[JOB_KINDS];
};

/* A host's name, as far as the name of a connection can bear it. */
static const char *word(struct arena *a, const char *who)
{
	char *text = arena_strdup(a, who);
	for (char *c = text; *c; c++)
		*c = *c > ' ' && *c <= '~' ? *c : '_';
	return text;
}

struct board_presence *board_presence_create(
	struct loop *l, const char *url, const char *prefix, unsigned kinds, const char *who)
{
	struct board_presence *p = mem_new(struct board_presence);
	struct arena *a = arena_create();
	char queue[BOARD_QUEUE_MAX];
	struct status st;
	for (int k = JOB_DEPLOY; k < JOB_KINDS; k++) {
		if (!(kinds & 1u << k))
			continue;
		board_queue(queue, (enum job_kind)k);
		const struct redis_options o = {.url = url,
			.name = arena_fmt(a, "%s:%s:w:%s", prefix, str_base64(a, queue, strlen(queue)), word(a, who))};
		p->redis[k] = redis_create(l, &o, &st);
	}
	arena_destroy(a);
	return p;
}

void board_presence_destroy(struct board_presence *p)
{
	if (!p)
		return;
	for (int k = 0; k < JOB_KINDS; k++)
		redis_destroy(p->redis[k]);
	free(p);
}
