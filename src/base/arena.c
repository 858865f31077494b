#include "base/arena.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POOLS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POOLS 0
#endif
#endif
#ifndef ARENA_POOLS
#define ARENA_POOLS 1
#endif

#define ARENA_ALIGN       ((size_t)16)
#define ARENA_FIRST_CHUNK ((size_t)4096)
#define ARENA_SMALL_CHUNK ((size_t)512)
#define ARENA_LAST_CHUNK  ((size_t)65536)

struct chunk {
	struct chunk *next;
	size_t size, used;
	_Alignas(ARENA_ALIGN) unsigned char bytes[];
};

struct hook {
	struct hook *next;
	void (*fn)(void *data);
	void *data;
};

/* Allocations come from the head of `chunks`. A large one gets a chunk to itself,
 * behind the head, so that what is left of the head is not lost. */
struct arena {
	struct chunk *chunks;
	struct hook *hooks;
	size_t first_size, next_size;
	size_t used;
};

static struct arena *create(size_t first_size)
{
	struct arena *a = mem_new(struct arena);
	a->first_size = a->next_size = first_size;
	return a;
}

struct arena *arena_create(void)
{
	return create(ARENA_FIRST_CHUNK);
}

struct arena *arena_create_small(void)
{
	return create(ARENA_SMALL_CHUNK);
}

static void run_hooks(struct arena *a)
{
	while (a->hooks) { /* a hook may add another */
		struct hook *h = a->hooks;
		a->hooks = h->next;
		h->fn(h->data);
	}
}

/* Returns one chunk of the first size, empty, where there is one and it is to be kept. */
static struct chunk *free_chunks(struct arena *a, bool keep_first)
{
	struct chunk *kept = NULL;
	while (a->chunks) {
		struct chunk *c = a->chunks;
		a->chunks = c->next;
		if (keep_first && !kept && c->size == a->first_size) {
			kept = c;
			kept->next = NULL;
			kept->used = 0;
		} else {
			free(c);
		}
	}
	return kept;
}

void arena_destroy(struct arena *a)
{
	if (!a)
		return;
	run_hooks(a);
	free_chunks(a, false);
	free(a);
}

void arena_reset(struct arena *a)
{
	run_hooks(a);
	a->chunks = free_chunks(a, ARENA_POOLS);
	a->next_size = a->chunks ? a->first_size * 2 : a->first_size;
	a->used = 0;
}

static struct chunk *chunk_create(size_t size)
{
	if (size > PTRDIFF_MAX - sizeof(struct chunk))
		mem_abort("arena allocation too large");
	struct chunk *c = mem_alloc(sizeof(*c) + size);
	c->next = NULL;
	c->size = size;
	c->used = 0;
	return c;
}

static size_t round_up(size_t size)
{
	return (size + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
}

static void *alloc_in_new_chunk(struct arena *a, size_t size)
{
	bool alone = !ARENA_POOLS || size > a->next_size / 4;
	struct chunk *c = chunk_create(alone ? size : a->next_size);
	c->used = round_up(size);
	if (alone && a->chunks) {
		c->next = a->chunks->next;
		a->chunks->next = c;
		return c->bytes;
	}
	c->next = a->chunks;
	a->chunks = c;
	if (!alone && a->next_size < ARENA_LAST_CHUNK)
		a->next_size *= 2;
	return c->bytes;
}

void *arena_alloc(struct arena *a, size_t size)
{
	a->used += size;
	struct chunk *c = ARENA_POOLS ? a->chunks : NULL;
	if (c && c->used <= c->size && size <= c->size - c->used) {
		void *p = c->bytes + c->used;
		c->used += round_up(size);
		return p;
	}
	return alloc_in_new_chunk(a, size);
}

void *arena_zalloc(struct arena *a, size_t size)
{
	return memset(arena_alloc(a, size), 0, size);
}

void *arena_zalloc_array(struct arena *a, size_t size, size_t n)
{
	size_t total;
	if (__builtin_mul_overflow(size, n, &total))
		mem_abort("array size overflows");
	return arena_zalloc(a, total);
}

void *arena_memdup(struct arena *a, const void *p, size_t len)
{
	void *copy = arena_alloc(a, len);
	if (len)
		memcpy(copy, p, len);
	return copy;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = arena_alloc(a, len + 1);
	if (len)
		memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_vfmt(struct arena *a, const char *fmt, va_list ap)
{
	char small[256];
	va_list again;
	va_copy(again, ap);
	int len = vsnprintf(small, sizeof(small), fmt, ap);
	if (len < 0)
		mem_abort("vsnprintf failed");
	char *text;
	if ((size_t)len < sizeof(small)) {
		text = arena_strndup(a, small, (size_t)len);
	} else {
		text = arena_alloc(a, (size_t)len + 1);
		(void)vsnprintf(text, (size_t)len + 1, fmt, again);
	}
	va_end(again);
	return text;
}

char *arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = arena_vfmt(a, fmt, ap);
	va_end(ap);
	return text;
}

void arena_on_free(struct arena *a, void (*fn)(void *data), void *data)
{
	struct hook *h = arena_alloc(a, sizeof(*h));
	a->used -= sizeof(*h);
	*h = (struct hook){a->hooks, fn, data};
	a->hooks = h;
}

void arena_weigh(struct arena *a, size_t bytes)
{
	a->used += bytes;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}
