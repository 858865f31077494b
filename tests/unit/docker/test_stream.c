#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "docker/stream.h"

/* Lines as text: "<stream><f: first><p: partial>:<text>;" */
static void on_line(void *data, const struct stream_line *line)
{
	buf_fmt(data, "%d%s%s:" STR_FMT ";", (int)line->stream, line->first ? "f" : "",
		line->partial ? "p" : "", STR_ARG(line->text));
}

static void frame(struct buf *b, unsigned char which, const char *text)
{
	size_t len = strlen(text);
	const unsigned char header[8] = {
		which, 0, 0, 0, 0, 0, (unsigned char)(len >> 8), (unsigned char)len};
	buf_add(b, header, sizeof header);
	buf_adds(b, text);
}

static struct status run(
	enum stream_format format, size_t max, struct str bytes, size_t step, struct buf *ret_out)
{
	struct stream s;
	struct status st = status_ok();
	buf_finish(ret_out);
	stream_init(&s, format, max, on_line, ret_out);
	for (size_t at = 0; at < bytes.len && status_is_ok(&st); at += step) {
		/* Its own memory, so that a read behind the piece shows. */
		size_t n = bytes.len - at < step ? bytes.len - at : step;
		char *piece = malloc(n);
		memcpy(piece, bytes.ptr + at, n);
		st = stream_feed(&s, str_make(piece, n));
		free(piece);
	}
	if (status_is_ok(&st))
		st = stream_end(&s);
	stream_finish(&s);
	return st;
}

/* The same whatever pieces it comes in. */
static void expect(enum stream_format format, size_t max, struct str bytes, enum st_code code,
	const char *want)
{
	struct buf out = {0};
	for (size_t step = 1; step <= bytes.len + 1; step++) {
		struct status st = run(format, max, bytes, step, &out);
		if (st.code != code || strcmp(out.len ? out.ptr : "", want) != 0)
			fail_msg("pieces of %zu: %s: %s: got %s, want %s", step,
				st_code_name(st.code), st.message, out.ptr, want);
	}
	buf_finish(&out);
}

static void frames(void **state)
{
	struct buf b = {0};
	(void)state;
	frame(&b, 1, "out\n");
	frame(&b, 2, "err\r\n");
	frame(&b, 1, "");
	frame(&b, 0, "in\n");
	frame(&b, 1, "a\n\nb\n");
	expect(STREAM_GUESS, 100, buf_str(&b), ST_OK, "1f:out;2f:err;1f:in;1f:a;1f:;1f:b;");
	expect(STREAM_FRAMES, 100, buf_str(&b), ST_OK, "1f:out;2f:err;1f:in;1f:a;1f:;1f:b;");
	buf_finish(&b);
}

static void a_frame_without_an_end_of_line_goes_on(void **state)
{
	struct buf b = {0};
	(void)state;
	frame(&b, 1, "one ");
	frame(&b, 2, "other\n");
	frame(&b, 1, "two\n");
	expect(STREAM_GUESS, 100, buf_str(&b), ST_OK, "1fp:one ;2f:other;1f:two;");
	buf_finish(&b);
}

static void long_lines_come_in_parts(void **state)
{
	struct buf b = {0};
	(void)state;
	frame(&b, 2, "abcdefghij\nk\n");
	expect(STREAM_GUESS, 4, buf_str(&b), ST_OK, "2fp:abcd;2p:efgh;2:ij;2f:k;");
	buf_finish(&b);
	expect(STREAM_RAW, 4, STR("abcdefgh\nk"), ST_OK, "1fp:abcd;1:efgh;1f:k;");
}

static void raw(void **state)
{
	(void)state;
	expect(STREAM_GUESS, 100, STR("hello\r\nworld\n"), ST_OK, "1f:hello;1f:world;");
	expect(STREAM_GUESS, 100, STR("no end"), ST_OK, "1f:no end;");
	expect(STREAM_GUESS, 100, STR("abc"), ST_OK, "1f:abc;");
	expect(STREAM_GUESS, 100, STR("\x01xyz\n"), ST_OK, "1f:\x01xyz;");
	expect(STREAM_GUESS, 100, STR(""), ST_OK, "");
}

static void broken(void **state)
{
	struct buf b = {0};
	(void)state;
	frame(&b, 1, "x\n");
	buf_adds(&b, "garbage!");
	expect(STREAM_GUESS, 100, buf_str(&b), ST_DATA_LOSS, "1f:x;");
	buf_finish(&b);
	expect(STREAM_FRAMES, 100, STR("abcdefgh"), ST_DATA_LOSS, "");
	expect(STREAM_GUESS, 100, STR("\x01\0\0\0\0\0\0"), ST_DATA_LOSS, ""); /* half a header */
	expect(STREAM_GUESS, 100, STR("\x01\0\0\0\xff\xff\xff\xffx"), ST_DATA_LOSS, "");
}

static void the_engines_words(void **state)
{
	struct buf b = {0}, out = {0};
	(void)state;
	frame(&b, 1, "x\n");
	frame(&b, 3, "disk on fire");
	expect(STREAM_GUESS, 100, buf_str(&b), ST_INTERNAL, "1f:x;");
	struct status st = run(STREAM_GUESS, 100, buf_str(&b), 3, &out);
	assert_string_equal(st.message, "disk on fire");
	expect(STREAM_GUESS, 4, buf_str(&b), ST_INTERNAL, "1f:x;"); /* bounded too */
	buf_finish(&b);
	buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames),
		cmocka_unit_test(a_frame_without_an_end_of_line_goes_on),
		cmocka_unit_test(long_lines_come_in_parts),
		cmocka_unit_test(raw),
		cmocka_unit_test(broken),
		cmocka_unit_test(the_engines_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
