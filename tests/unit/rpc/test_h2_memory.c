/* What is packed is what it was, byte by byte and at the same addresses. */
#include "rpc/h2_memory.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCKS 300

struct kept {
	unsigned char *p;
	size_t size;
	unsigned char first; /* its bytes are first, first + 1, … with zeros in between */
};

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

static unsigned char byte_at(const struct kept *k, size_t i)
{
	return i % 7 < 3 ? (unsigned char)(k->first + i) : 0;
}

static void fill(struct kept *k, unsigned char first)
{
	k->first = first;
	for (size_t i = 0; i < k->size; i++)
		k->p[i] = byte_at(k, i);
}

static void check(const struct kept *k, size_t upto)
{
	for (size_t i = 0; i < upto; i++)
		assert_int_equal(k->p[i], byte_at(k, i));
}

static void is_what_it_was(void **state)
{
	struct h2_memory m;
	struct kept kept[BLOCKS] = {0};
	unsigned seed = 7;
	(void)state;
	h2_memory_init(&m);
	nghttp2_mem mem = h2_memory_callbacks(&m);
	for (unsigned round = 0; round < 4000; round++) {
		struct kept *k = &kept[next_random(&seed) % BLOCKS];
		if (round == 50)
			h2_memory_settle(&m);
		if (!k->p) {
			k->size = next_random(&seed) % (round % 10 == 0 ? 20000 : 700) + 1;
			k->p = mem.malloc(k->size, &m);
			fill(k, (unsigned char)round);
		} else if (round % 3 == 0) {
			size_t size = next_random(&seed) % 900 + 1;
			k->p = mem.realloc(k->p, size, &m);
			check(k, size < k->size ? size : k->size);
			k->size = size;
			fill(k, k->first);
		} else {
			check(k, k->size);
			mem.free(k->p, &m);
			k->p = NULL;
		}
		if (round % 100 == 0) {
			h2_memory_pack(&m);
			assert_true(h2_memory_is_packed(&m));
			h2_memory_unpack(&m);
		}
	}
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (kept[i].p)
			check(&kept[i], kept[i].size);
		mem.free(kept[i].p, &m);
	}
	assert_true(h2_memory_is_whole(&m));
	h2_memory_finish(&m);
}

static void zeroed_is_zero(void **state)
{
	struct h2_memory m;
	(void)state;
	h2_memory_init(&m);
	nghttp2_mem mem = h2_memory_callbacks(&m);
	for (unsigned round = 0; round < 2; round++) { /* fresh, and used again */
		char *p = mem.calloc(10, 20, &m);
		for (size_t i = 0; i < 200; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, 200);
		mem.free(p, &m);
	}
	assert_null(mem.calloc(SIZE_MAX, 2, &m));
	h2_memory_finish(&m);
}

static unsigned resident_pages(const struct h2_memory *m)
{
	unsigned char pages[16];
	unsigned n = 0;
	assert_int_equal(mincore(m->region, sizeof(pages) * (size_t)sysconf(_SC_PAGESIZE), pages), 0);
	for (size_t i = 0; i < sizeof(pages); i++)
		n += pages[i] & 1u;
	return n;
}

/* … and costs as little as it was said to. */
static void session_at_rest_is_small(void **state)
{
	struct h2_memory m;
	nghttp2_session_callbacks *cb;
	nghttp2_session *session;
	const uint8_t *bytes;
	(void)state;
	h2_memory_init(&m);
	nghttp2_mem mem = h2_memory_callbacks(&m);
	assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
	assert_int_equal(nghttp2_session_server_new3(&session, cb, NULL, NULL, &mem), 0);
	h2_memory_settle(&m);
	nghttp2_session_callbacks_del(cb);
	assert_int_equal(nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0), 0);
	while (nghttp2_session_mem_send(session, &bytes) > 0)
		continue;
	assert_true(h2_memory_is_whole(&m));
	assert_true(resident_pages(&m) > 0);
	h2_memory_pack(&m);
	assert_true(m.packed_len < 1500);
	assert_int_equal(resident_pages(&m), 0);
	h2_memory_unpack(&m);
	assert_int_equal(nghttp2_session_want_read(session), 1);
	nghttp2_session_del(session);
	h2_memory_finish(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_what_it_was),
		cmocka_unit_test(zeroed_is_zero),
		cmocka_unit_test(session_at_rest_is_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
