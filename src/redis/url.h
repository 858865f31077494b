/* url: the address of a Redis, parsed. Pure. */
#pragma once
#include "base/status.h"
#include "base/str.h"

struct arena;

struct redis_url {
	const char *path; /* of a unix socket, or NULL */
	const char *host; /* without brackets, or NULL */
	int port;
	const char *user, *password; /* NULL = none; never printed */
	int db;
};

/* The servers of which one is used: the first that is there and no replica. */
#define REDIS_URLS_MAX 8
struct redis_urls {
	struct redis_url list[REDIS_URLS_MAX];
	size_t n; /* ≥ 1 */
};

/* URLs between commas (%2C for one inside). */
struct status redis_urls_parse(struct arena *a, const char *text, struct redis_urls *ret_urls)
	__attribute__((warn_unused_result));
/* The texts live in the arena. Messages never hold the password. */
struct status redis_url_parse(struct arena *a, const char *text, struct redis_url *ret_url)
	__attribute__((warn_unused_result));
