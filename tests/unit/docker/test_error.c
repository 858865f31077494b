#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "docker/error.h"

/* What Engines 20.10 to 28 were seen to answer. */
static const struct {
	long code;
	const char *body;
	enum st_code want;
	const char *words;
} replies[] = {
	{404, "{\"message\":\"service x not found\"}", ST_NOT_FOUND, "service x not found"},
	{400, "{\"message\":\"unexpected EOF\"}\n", ST_INVALID_ARGUMENT, "unexpected EOF"},
	{400, "{\"message\":\"rpc error: code = InvalidArgument desc = name must be valid\"}",
		ST_INVALID_ARGUMENT, "name must be valid"},
	{409,
		"{\"message\":\"rpc error: code = AlreadyExists desc = name conflicts with an "
		"existing "
		"object: service w already exists\"}",
		ST_ALREADY_EXISTS,
		"name conflicts with an existing object: service w already exists"},
	{409, "{\"message\":\"network with name n1 already exists\"}", ST_ALREADY_EXISTS,
		"network with name n1 already exists"},
	{409, "{\"message\":\"cannot do that now\"}", ST_FAILED_PRECONDITION, "cannot do that now"},
	{500, "{\"message\":\"rpc error: code = Unknown desc = update out of sequence\"}",
		ST_ABORTED, "update out of sequence"},
	{400,
		"{\"message\":\"rpc error: code = FailedPrecondition desc = network n is in use by "
		"service s\"}",
		ST_FAILED_PRECONDITION, "network n is in use by service s"},
	{403, "{\"message\":\"error while removing network: network n has active endpoints\"}",
		ST_FAILED_PRECONDITION,
		"error while removing network: network n has active endpoints"},
	{403, "{\"message\":\"denied: requested access\"}", ST_PERMISSION_DENIED,
		"denied: requested access"},
	{401, "{\"message\":\"unauthorized\"}", ST_PERMISSION_DENIED, "unauthorized"},
	{501,
		"{\"message\":\"rpc error: code = Unimplemented desc = service mode change is not "
		"allowed\"}",
		ST_UNIMPLEMENTED, "service mode change is not allowed"},
	{503,
		"{\"message\":\"This node is not a swarm manager. Use \\\"docker swarm init\\\" or "
		"\\\"docker swarm join\\\" to connect\"}",
		ST_UNAVAILABLE,
		"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm "
		"join\" to "
		"connect"},
	{503, "{\"message\":\"shutting down\"}", ST_UNAVAILABLE, "shutting down"},
	{500,
		"{\"message\":\"rpc error: code = Unknown desc = The swarm does not have a "
		"leader.\"}",
		ST_UNAVAILABLE, "The swarm does not have a leader."},
	{500, "{\"message\":\"network x not found\"}", ST_NOT_FOUND, "network x not found"},
	{500, "{\"message\":\"Invalid subnet g : invalid CIDR address: g\"}", ST_INVALID_ARGUMENT,
		"Invalid subnet g : invalid CIDR address: g"},
	{500, "{\"message\":\"Get \\\"http://r/v2/\\\": dial tcp: connection refused\"}",
		ST_UNAVAILABLE, "Get \"http://r/v2/\": dial tcp: connection refused"},
	{500, "{\"message\":\"disk on fire\"}", ST_INTERNAL, "disk on fire"},
	{500,
		"{\"message\":\"a: rpc error: code = Unknown desc = rpc error: code = NotFound "
		"desc = b\"}",
		ST_NOT_FOUND, "a: b"},
	{500, "{\"message\":\"rpc error: code = \"}", ST_INTERNAL, "rpc error: code = "},
	{500, "{\"message\":\" desc = rpc error: code =  desc = x\"}", ST_INTERNAL, " desc = x"},
	{408, "too slow", ST_UNAVAILABLE, "too slow"},
	{429, "{\"message\":\"toomanyrequests\"}", ST_RESOURCE_EXHAUSTED, "toomanyrequests"},
	{400, "client version 1.10 is too old.\n", ST_INVALID_ARGUMENT,
		"client version 1.10 is too old."},
	{500, "", ST_INTERNAL, "the Docker Engine answered 500 without words"},
	{502, "{}", ST_INTERNAL, "the Docker Engine answered 502 without words"},
	{404, "{\"message\":7}", ST_NOT_FOUND, "the Docker Engine answered 404 without words"},
	{500, "\xff\xfe", ST_INTERNAL, "the Docker Engine answered 500 without words"},
	{301, "", ST_INVALID_ARGUMENT, "the Docker Engine answered 301 without words"},
};

static void engines_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
		struct status st = engine_error(replies[i].code, str_of(replies[i].body));
		if (st.code != replies[i].want || strcmp(st.message, replies[i].words) != 0)
			fail_msg("%ld %s: %s: %s", replies[i].code, replies[i].body,
				st_code_name(st.code), st.message);
	}
}

static void long_words_are_cut_at_a_character(void **state)
{
	struct buf b = {0};
	(void)state;
	buf_adds(&b, "{\"message\":\"x");
	for (int i = 0; i < 5000; i++)
		buf_adds(&b, "\xc3\xa4");
	buf_adds(&b, "\"}");
	struct status st = engine_error(500, buf_str(&b));
	assert_true(str_is_utf8(str_of(st.message)));
	assert_true(strlen(st.message) > 400);
	buf_finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engines_words),
		cmocka_unit_test(long_words_are_cut_at_a_character),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
