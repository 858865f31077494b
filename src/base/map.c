#include "base/map.h"
#include <pthread.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/rng.h"

#define MAP_MIN_CAP ((size_t)8)

/* Entries stand in order of insertion. A removed one keeps its place with key NULL, which makes
 * the index slot that points at it a tombstone; growing squeezes them out. */
struct map_entry {
	char *key;
	size_t len;
	uint64_t hash;
	void *value;
};

/* The one process-wide value: drawn once, never changed. */
static uint64_t hash_key[2];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void draw_hash_key(void)
{
	struct rng *r = rng_system();
	r->fill(r, hash_key, sizeof(hash_key));
}

static inline uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static inline uint64_t load_le64(const char *p, size_t len)
{
	uint64_t x = 0;
	for (size_t i = 0; i < len; i++)
		x |= (uint64_t)(unsigned char)p[i] << (8 * i);
	return x;
}

/* SipHash-1-3 (Aumasson, Bernstein): one round a word, three at the end. */
uint64_t map_siphash13(const uint64_t key[2], struct str s)
{
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575u,
		key[1] ^ 0x646f72616e646f6du,
		key[0] ^ 0x6c7967656e657261u,
		key[1] ^ 0x7465646279746573u,
	};
	size_t left = s.len;
	for (const char *p = s.ptr; left >= 8; p += 8, left -= 8) {
		uint64_t word = load_le64(p, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	uint64_t last = (uint64_t)s.len << 56;
	if (left)
		last |= load_le64(s.ptr + (s.len - left), left);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t hash_of(struct str key)
{
	pthread_once(&hash_key_once, draw_hash_key);
	return map_siphash13(hash_key, key);
}

/* The index has two slots an entry, so it is never full and a probe always ends. */
static inline size_t index_mask(const struct map *m)
{
	return m->cap * 2 - 1;
}

static struct map_entry *find(const struct map *m, struct str key, uint64_t hash)
{
	if (m->len == 0)
		return NULL;
	size_t mask = index_mask(m);
	for (size_t at = hash & mask; m->index[at] != 0; at = (at + 1) & mask) {
		struct map_entry *e = &m->entries[m->index[at] - 1];
		if (e->key && e->hash == hash && str_eq((struct str){e->key, e->len}, key))
			return e;
	}
	return NULL;
}

static void index_add(struct map *m, size_t entry)
{
	size_t mask = index_mask(m);
	size_t at = m->entries[entry].hash & mask;
	while (m->index[at] != 0)
		at = (at + 1) & mask;
	m->index[at] = (uint32_t)(entry + 1);
}

/* Room for twice what is in use (less than before when most was removed). */
static void rebuild(struct map *m)
{
	size_t cap = MAP_MIN_CAP;
	while (cap < m->len * 2)
		cap *= 2;
	if (cap > UINT32_MAX / 2)
		mem_abort("map too large");
	struct map old = *m;
	m->entries = mem_realloc_array(NULL, sizeof(*m->entries), cap);
	m->index = mem_zalloc(cap * 2 * sizeof(*m->index));
	m->cap = cap;
	m->used = 0;
	for (size_t i = 0; i < old.used; i++) {
		if (!old.entries[i].key)
			continue;
		m->entries[m->used] = old.entries[i];
		index_add(m, m->used++);
	}
	free(old.entries);
	free(old.index);
}

void map_init(struct map *m)
{
	*m = (struct map){0};
}

void map_finish(struct map *m)
{
	for (size_t i = 0; i < m->used; i++)
		free(m->entries[i].key);
	free(m->entries);
	free(m->index);
	map_init(m);
}

void *map_get(const struct map *m, struct str key)
{
	if (m->len == 0)
		return NULL;
	struct map_entry *e = find(m, key, hash_of(key));
	return e ? e->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
	if (!value)
		mem_abort("map_put: value is NULL");
	uint64_t hash = hash_of(key);
	struct map_entry *e = find(m, key, hash);
	if (e) {
		void *before = e->value;
		e->value = value;
		return before;
	}
	if (m->used == m->cap)
		rebuild(m);
	char *copy = mem_alloc(key.len + 1);
	if (key.len)
		memcpy(copy, key.ptr, key.len);
	copy[key.len] = '\0';
	m->entries[m->used] = (struct map_entry){copy, key.len, hash, value};
	index_add(m, m->used++);
	m->len++;
	return NULL;
}

void *map_remove(struct map *m, struct str key)
{
	if (m->len == 0)
		return NULL;
	struct map_entry *e = find(m, key, hash_of(key));
	if (!e)
		return NULL;
	void *value = e->value;
	free(e->key);
	*e = (struct map_entry){0};
	m->len--;
	return value;
}

void *map_gets(const struct map *m, const char *key)
{
	return map_get(m, str_of(key));
}

void *map_puts(struct map *m, const char *key, void *value)
{
	return map_put(m, str_of(key), value);
}

void *map_removes(struct map *m, const char *key)
{
	return map_remove(m, str_of(key));
}

bool map_next(const struct map *m, size_t *it, struct str *ret_key, void **ret_value)
{
	while (*it < m->used) {
		const struct map_entry *e = &m->entries[(*it)++];
		if (!e->key)
			continue;
		if (ret_key)
			*ret_key = (struct str){e->key, e->len};
		if (ret_value)
			*ret_value = e->value;
		return true;
	}
	return false;
}
