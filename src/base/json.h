/* json: jansson with our rules: parse refuses duplicate keys and says where the
 * text is wrong; getters return a default for what is absent or of another type, so that
 * reading another program's JSON is one line a field. A json_t has one owner
 * (json_decref); getters return borrowed references. */
#pragma once
#include <jansson.h>
#include "base/status.h"
#include "base/str.h"

/* *ret_json is owned by the caller. Any value, not only objects; depth ≤ 512. A text with an
 * integer beyond 64 bits (the Engine writes "unlimited" as 2^64-1) is read with every number a
 * real: json_int still returns those that are whole and fit. */
struct status json_parse(struct str text, json_t **ret_json) __attribute__((warn_unused_result));

/* Path is "a.b.c" (object keys only); "" is the value itself. */
json_t *json_at(const json_t *j, const char *path); /* borrowed or NULL */
const char *json_text(const json_t *j, const char *path, const char *otherwise); /* borrowed */
int64_t json_int(const json_t *j, const char *path, int64_t otherwise);
double json_num(const json_t *j, const char *path, double otherwise);
bool json_flag(const json_t *j, const char *path, bool otherwise);

/* Compact, keys in insertion order (or sorted); the result is appended to b. */
void json_write(struct buf *b, const json_t *j);
void json_write_sorted(struct buf *b, const json_t *j);
char *json_to_text(struct arena *a, const json_t *j);

/* The arena has this reference from now on: it is let go with it. Returns j; NULL is fine. What lies
 * behind it is not measured: it weighs (arena_weigh) as much as a small object does. */
json_t *json_keep(struct arena *a, json_t *j);
/* The same with a reference of its own, to what others go on using and nobody changes. */
json_t *json_hold(struct arena *a, const json_t *j);

/* Bytes with U+FFFD in place of what is not UTF-8 or is NUL: always a valid JSON string. */
json_t *json_lossy(struct str bytes);
