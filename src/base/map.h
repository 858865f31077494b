/* map: byte string → pointer, hashed (SipHash with a random key a process, so that
 * names chosen by users cannot collide on purpose). Keys are copied; values
 * belong to the caller. Iteration is in order of insertion, and the current entry may be
 * removed during it. */
#pragma once
#include "base/str.h"

struct map {
	struct map_entry *entries;
	uint32_t *index;
	size_t len, used, cap;
};

void map_init(struct map *m);
void map_finish(struct map *m); /* frees keys and table, not the values */
void *map_get(const struct map *m, struct str key); /* NULL when absent */
void *map_gets(const struct map *m, const char *key);
/* Returns the value that stood there before, or NULL. `value` must not be NULL. */
void *map_put(struct map *m, struct str key, void *value);
void *map_puts(struct map *m, const char *key, void *value);
void *map_remove(struct map *m, struct str key); /* returns the value, or NULL */
void *map_removes(struct map *m, const char *key);
static inline size_t map_len(const struct map *m)
{
	return m->len;
}

/* SipHash-1-3 under a given key; public for its test against the published vectors. */
uint64_t map_siphash13(const uint64_t key[2], struct str s);

/* Nothing may be put while iterating (a value may be replaced).
 * for (size_t it = 0; map_next(&m, &it, &key, &value);) … ; key and value may be NULL pointers */
bool map_next(const struct map *m, size_t *it, struct str *ret_key, void **ret_value);
