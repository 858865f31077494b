/* arena: memory that is freed all at once. One arena a request or job run,
 * owned by that request or run. Allocation never fails (out of memory aborts).
 * Not for growing without bound: every user-controlled size has a limit. Under
 * AddressSanitizer each allocation is its own malloc, so that overruns show. */
#pragma once
#include <stddef.h>
#include <stdarg.h>

struct arena;

struct arena *arena_create(void);
/* For what is small mostly and there many times over (a request that waits): its first chunk has 512
 * bytes, not 4 KiB. */
struct arena *arena_create_small(void);
/* Runs the clean-up hooks, newest first, then frees everything. NULL is fine. */
void arena_destroy(struct arena *a);
/* Like destroy + create, but keeps the first chunk. */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t size);  /* 16-byte aligned, not zeroed */
void *arena_zalloc(struct arena *a, size_t size); /* zeroed */
#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_zalloc_array((a), sizeof(type), (n)))
void *arena_zalloc_array(struct arena *a, size_t size, size_t n); /* overflow aborts */

char *arena_strdup(struct arena *a, const char *s); /* NULL gives NULL */
char *arena_strndup(struct arena *a, const char *s, size_t len);
void *arena_memdup(struct arena *a, const void *p, size_t len);
char *arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vfmt(struct arena *a, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/* fn(data) runs when the arena is destroyed or reset: closes what is not memory. */
void arena_on_free(struct arena *a, void (*fn)(void *data), void *data);
/* So many bytes beside the arena's own are freed by its hooks: arena_used counts them too. */
void arena_weigh(struct arena *a, size_t bytes);
/* Bytes handed out so far, and those that were weighed. */
size_t arena_used(const struct arena *a);
