/* presence: connections to Redis that do nothing but bear the names of BullMQ's workers, one a queue, because bull-board takes
 * a queue for unattended that none of CLIENT LIST's connections is called after. "<prefix>:<queue in base64>:w:<who>".
 * Owned by app. */
#pragma once

struct board_presence;
struct loop;

/* url: as of redis_options, known to be good. kinds: bit 1 << enum job_kind, whom this daemon works for. who: its host. */
struct board_presence *board_presence_create(
	struct loop *l, const char *url, const char *prefix, unsigned kinds, const char *who);
void board_presence_destroy(struct board_presence *p); /* NULL is fine */
