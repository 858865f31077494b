#include "rpc/h2_memory.h"
#include <assert.h>
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/mem.h"
#include "base/str.h"

#define REGION  ((size_t)64 * 1024) /* a session with some streams; those of a busy one are malloc's */
#define CLASS   ((size_t)16)
#define CLASSES 40u /* blocks of up to 624 bytes are used again */

/* Before each block of the region; its bytes follow. */
struct block {
	uint32_t classes; /* its room, in CLASS */
	uint32_t size;    /* what was asked for; 0: it is free */
	uint64_t unused;  /* bytes stand at multiples of 16 */
};

/* At the region's front. */
struct head {
	struct block *free[CLASSES]; /* the next one's address stands in the block */
};

/* One run of the packed form, in words of 8 bytes: so many are zero, so many follow. */
struct run {
	uint16_t zeros, words;
};
#define WORD sizeof(uint64_t)

static char *bytes_of(struct block *b)
{
	return (char *)(b + 1);
}

static struct block *block_of(void *p)
{
	return (struct block *)p - 1;
}

static struct head *head_of(const struct h2_memory *m)
{
	return (struct head *)m->region;
}

static bool is_inside(const struct h2_memory *m, const void *p)
{
	return (uintptr_t)p - (uintptr_t)m->region < REGION;
}

/* AddressSanitizer knows which bytes are nobody's, as it does with malloc. */
static void shade(struct block *b)
{
	size_t taken = b->size ? b->size : sizeof(struct block *);
	(void)taken;
	ASAN_UNPOISON_MEMORY_REGION(bytes_of(b), taken);
	ASAN_POISON_MEMORY_REGION(bytes_of(b) + taken, b->classes * CLASS - taken);
}

static void shade_all(struct h2_memory *m)
{
	for (char *p = m->region + sizeof(struct head); p < m->region + m->used;) {
		struct block *b = (struct block *)p;
		shade(b);
		p = bytes_of(b) + b->classes * CLASS;
	}
}

/* ---- nghttp2's callbacks ---- */

/* NULL: it is malloc's. */
static struct block *take(struct h2_memory *m, size_t size, bool *ret_zeroed)
{
	size_t classes = (size + CLASS - 1) / CLASS, room = sizeof(struct block) + classes * CLASS;
	struct block **list = classes < CLASSES ? &head_of(m)->free[classes] : NULL, *b = list ? *list : NULL;
	*ret_zeroed = false;
	assert(m->region);
	if (b) {
		memcpy(list, bytes_of(b), sizeof(*list));
	} else if ((list || !m->settled) && room <= REGION - m->used) {
		b = (struct block *)(m->region + m->used);
		b->classes = (uint32_t)classes;
		m->used += room;
		*ret_zeroed = true;
	} else {
		return NULL;
	}
	b->size = (uint32_t)size;
	shade(b);
	return b;
}

static void *get(size_t size, bool zeroed, void *data)
{
	struct h2_memory *m = data;
	bool is_zeroed;
	struct block *b = take(m, size ? size : 1, &is_zeroed);
	if (!b) {
		m->outside++;
		return zeroed ? mem_zalloc(size) : mem_alloc(size);
	}
	if (zeroed && !is_zeroed)
		memset(bytes_of(b), 0, size);
	return bytes_of(b);
}

static void *on_malloc(size_t size, void *data)
{
	return get(size, false, data);
}

static void *on_calloc(size_t n, size_t size, void *data)
{
	return size && n > SIZE_MAX / size ? NULL : get(n * size, true, data);
}

/* A long block is not used again: there is one when the table of streams grows. */
static void on_free(void *p, void *data)
{
	struct h2_memory *m = data;
	if (p && !is_inside(m, p)) {
		m->outside--;
		free(p);
	} else if (p) {
		struct block *b = block_of(p), **list = &head_of(m)->free[b->classes < CLASSES ? b->classes : 0];
		b->size = 0;
		shade(b);
		memcpy(bytes_of(b), list, sizeof(*list));
		*list = b;
	}
}

static void *on_realloc(void *p, size_t size, void *data)
{
	struct h2_memory *m = data;
	if (p && !is_inside(m, p))
		return mem_realloc(p, size ? size : 1);
	struct block *b = p ? block_of(p) : NULL;
	if (b && size && size <= b->classes * CLASS) {
		b->size = (uint32_t)size;
		shade(b);
		return p;
	}
	void *fresh = get(size, false, data);
	if (b)
		memcpy(fresh, p, b->size < size ? b->size : size);
	on_free(p, data);
	return fresh;
}

nghttp2_mem h2_memory_callbacks(struct h2_memory *m)
{
	return (nghttp2_mem){m, on_malloc, on_free, on_calloc, on_realloc};
}

/* ---- the region ---- */

void h2_memory_init(struct h2_memory *m)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): MAP_FAILED */
	void *p = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		mem_abort("mmap: out of memory, or of mappings (vm.max_map_count)");
	(void)madvise(p, REGION, MADV_NOHUGEPAGE); /* small pages can go one by one */
	*m = (struct h2_memory){.region = p, .used = sizeof(struct head)};
}

void h2_memory_settle(struct h2_memory *m)
{
	m->settled = true;
}

/* What is free is zero but for the list's addresses. */
static void clear_free(struct h2_memory *m)
{
	for (size_t i = 0; i < CLASSES; i++) {
		for (struct block *b = head_of(m)->free[i], *next; b; b = next) {
			memcpy(&next, bytes_of(b), sizeof(next));
			memset(bytes_of(b) + sizeof(next), 0, b->classes * CLASS - sizeof(next));
		}
	}
}

void h2_memory_pack(struct h2_memory *m)
{
	const uint64_t *words = (const uint64_t *)m->region;
	size_t n = m->used / WORD, at = 0;
	struct buf out = {0};
	assert(!m->packed);
	ASAN_UNPOISON_MEMORY_REGION(m->region, m->used);
	clear_free(m);
	while (at < n) {
		size_t from = at, end;
		while (from < n && words[from] == 0)
			from++;
		for (end = from; end < n && words[end] != 0; end++)
			continue;
		struct run run = {(uint16_t)(from - at), (uint16_t)(end - from)};
		buf_add(&out, &run, sizeof(run));
		buf_add(&out, words + from, (end - from) * WORD);
		at = end;
	}
	m->packed = mem_realloc(out.ptr, out.len);
	m->packed_len = out.len;
	(void)madvise(m->region, REGION, MADV_DONTNEED);
}

void h2_memory_unpack(struct h2_memory *m)
{
	char *to = m->region;
	if (!m->packed)
		return;
	for (size_t pos = 0; pos < m->packed_len;) {
		struct run run;
		memcpy(&run, m->packed + pos, sizeof(run));
		pos += sizeof(run);
		to += run.zeros * WORD;
		memcpy(to, m->packed + pos, run.words * WORD);
		to += run.words * WORD;
		pos += run.words * WORD;
	}
	free(m->packed);
	m->packed = NULL;
	shade_all(m);
}

void h2_memory_finish(struct h2_memory *m)
{
	ASAN_UNPOISON_MEMORY_REGION(m->region, REGION);
	free(m->packed);
	(void)munmap(m->region, REGION);
	*m = (struct h2_memory){0};
}
