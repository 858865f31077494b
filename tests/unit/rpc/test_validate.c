#include "rpc/validate.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "skep/v1/auth.pb-c.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/messages.h"
#include "skep/v1/projects.pb-c.h"
#include "skep/v1/stacks.pb-c.h"

struct found {
	struct arena *a;
	struct rpc_violation *v;
	size_t n;
};

static struct found check(const struct rpc_message *m, const ProtobufCMessage *message)
{
	struct found f = {.a = arena_create()};
	f.n = validate(f.a, m, message, &f.v);
	return f;
}

static void expect(const struct rpc_message *m, const ProtobufCMessage *message, const char *field,
	const char *words)
{
	struct found f = check(m, message);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.v[0].field, field);
	if (!strstr(f.v[0].description, words))
		fail_msg("%s", f.v[0].description);
	arena_destroy(f.a);
}

static void expect_good(const struct rpc_message *m, const ProtobufCMessage *message)
{
	struct found f = check(m, message);
	if (f.n)
		fail_msg("%s: %s", f.v[0].field, f.v[0].description);
	assert_null(f.v);
	arena_destroy(f.a);
}

static void numbers(void **state)
{
	Skep__V1__Page page = SKEP__V1__PAGE__INIT;
	(void)state;
	expect_good(&skep_v1_msg_page, &page.base);
	page.page_size = 500;
	expect_good(&skep_v1_msg_page, &page.base);
	page.page_size = 501;
	expect(&skep_v1_msg_page, &page.base, "page_size", "is 501; must be at most 500");
	page.page_size = -1;
	expect(&skep_v1_msg_page, &page.base, "page_size", "is -1; must be at least 0");
}

static void nested_paths(void **state)
{
	Skep__V1__ListJobsRequest r = SKEP__V1__LIST_JOBS_REQUEST__INIT;
	Skep__V1__Page page = SKEP__V1__PAGE__INIT;
	Skep__V1__GetStackRequest g = SKEP__V1__GET_STACK_REQUEST__INIT;
	Skep__V1__StackRef ref = SKEP__V1__STACK_REF__INIT;
	Skep__V1__JobState states[9] = {0};
	(void)state;
	page.page_size = 1000;
	r.page = &page;
	expect(&skep_v1_msg_list_jobs_request, &r.base, "page.page_size", "1000");
	page.page_size = 1;
	r.states = states;
	r.n_states = 9;
	expect(&skep_v1_msg_list_jobs_request, &r.base, "states", "has 9 items; at most 8");
	r.n_states = 3;
	states[2] = (Skep__V1__JobState)99;
	expect(&skep_v1_msg_list_jobs_request, &r.base, "states[2]",
		"99 is no value of skep.v1.JobState");
	expect(&skep_v1_msg_get_stack_request, &g.base, "stack", "is required");
	g.stack = &ref;
	ref.id = (char *)"not-a-uuid";
	expect(&skep_v1_msg_get_stack_request, &g.base, "stack.id", "is not a UUID");
	ref.id = (char *)"018F4C2E-7d1a-7c3b-9f00-0a1b2c3d4e5f";
	expect_good(&skep_v1_msg_get_stack_request, &g.base);
}

static void lengths_count_characters(void **state)
{
	Skep__V1__CreateProjectRequest r = SKEP__V1__CREATE_PROJECT_REQUEST__INIT;
	char text[1003] = {0};
	(void)state;
	r.name = (char *)"demo";
	for (size_t i = 0; i < 500; i++)
		memcpy(text + 2 * i, "é", 2);
	r.description = text;
	expect_good(&skep_v1_msg_create_project_request, &r.base);
	text[1000] = 'x';
	expect(&skep_v1_msg_create_project_request, &r.base, "description",
		"is 501 characters long; at most 500");
}

/* Names of tokens stand in the audit log and on terminals. */
static void names_of_tokens_are_plain(void **state)
{
	static const char *const bad[] = {"a\n", "a\x1b[31m", "\xd1\x81i", " ci", "ci ", "-ci", "a\"b"};
	Skep__V1__CreateTokenRequest r = SKEP__V1__CREATE_TOKEN_REQUEST__INIT;
	(void)state;
	r.role = SKEP__V1__ROLE__ROLE_VIEWER;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		r.name = (char *)bad[i];
		expect(&skep_v1_msg_create_token_request, &r.base, "name", "must be letters, digits");
	}
	r.name = (char *)"ci@build-7.example v2";
	expect_good(&skep_v1_msg_create_token_request, &r.base);
	r.name = (char *)"";
	expect(&skep_v1_msg_create_token_request, &r.base, "name", "is required");
	r.name = (char *)"ci";
	r.role = SKEP__V1__ROLE__ROLE_UNSPECIFIED;
	expect(&skep_v1_msg_create_token_request, &r.base, "role", "is required");
}

static void maps_check_their_values(void **state)
{
	Skep__V1__ScaleStackRequest r = SKEP__V1__SCALE_STACK_REQUEST__INIT;
	Skep__V1__ScaleStackRequest__ReplicasEntry
		e = SKEP__V1__SCALE_STACK_REQUEST__REPLICAS_ENTRY__INIT,
		*es[] = {&e};
	Skep__V1__StackRef ref = SKEP__V1__STACK_REF__INIT;
	char key[101] = {0};
	(void)state;
	r.stack = &ref;
	expect(&skep_v1_msg_scale_stack_request, &r.base, "replicas", "is required: at least one");
	e.key = (char *)"web";
	e.value = 10000;
	r.replicas = es;
	r.n_replicas = 1;
	expect_good(&skep_v1_msg_scale_stack_request, &r.base);
	e.value = 10001;
	expect(&skep_v1_msg_scale_stack_request, &r.base, "replicas[\"web\"]", "at most 10000");
	for (size_t i = 0; i < 50; i++) /* cut, but not inside a character */
		memcpy(key + 1 + 2 * i, "é", i < 49 ? 2 : 0);
	key[0] = 'k';
	e.key = key;
	struct found f = check(&skep_v1_msg_scale_stack_request, &r.base);
	assert_int_equal(f.n, 1);
	assert_true(str_is_utf8(str_of(f.v[0].field)));
	assert_true(strlen(f.v[0].field) < 80);
	arena_destroy(f.a);
}

static void all_are_reported_up_to_a_hundred(void **state)
{
	Skep__V1__DeployStackRequest r = SKEP__V1__DEPLOY_STACK_REQUEST__INIT;
	Skep__V1__UploadedFile f = SKEP__V1__UPLOADED_FILE__INIT, *fs[256];
	(void)state;
	for (size_t i = 0; i < 256; i++)
		fs[i] = &f;
	r.files = fs;
	r.n_files = 3;
	r.name = (char *)"-bad-";
	struct found got = check(&skep_v1_msg_deploy_stack_request, &r.base);
	assert_int_equal(got.n, 6);
	assert_string_equal(got.v[0].field, "project");
	assert_string_equal(got.v[1].field, "name");
	assert_string_equal(got.v[2].field, "compose");
	assert_string_equal(got.v[5].field, "files[2].path");
	arena_destroy(got.a);
	r.n_files = 256;
	got = check(&skep_v1_msg_deploy_stack_request, &r.base);
	assert_int_equal(got.n, VALIDATE_MAX_VIOLATIONS + 1);
	assert_non_null(strstr(got.v[VALIDATE_MAX_VIOLATIONS].description, "there are more"));
	arena_destroy(got.a);
}

static void times_are_times(void **state)
{
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	(void)state;
	e.time = &t;
	expect_good(&skep_v1_msg_event, &e.base);
	t.seconds = INT64_MAX;
	expect(&skep_v1_msg_event, &e.base, "time", "not a time");
	t.seconds = 0;
	t.nanos = -1;
	expect(&skep_v1_msg_event, &e.base, "time", "nanos");
}

/* Rules that no message of the API uses yet, on a table made here. */
static void patterns_bytes_and_fractions(void **state)
{
	struct rpc_field fields[2] = {{.name = "name", .pattern = "^[a-z]{2,4}$", .min_len = 2},
		{.name = "text", .min_len = 2, .max_len = 3}};
	struct rpc_message m = {&skep__v1__compose_file__descriptor, fields, 2, RPC_WKT_NONE, NULL};
	Skep__V1__ComposeFile f = SKEP__V1__COMPOSE_FILE__INIT;
	(void)state;
	expect_good(&m, &f.base); /* empty: not required */
	f.name = (char *)"abcde";
	expect(&m, &f.base, "name", "must match ^[a-z]{2,4}$");
	f.name = (char *)"abcd";
	f.text = (ProtobufCBinaryData){4, (uint8_t *)f.name};
	expect(&m, &f.base, "text", "is 4 bytes long; at most 3");
	f.text.len = 1;
	expect(&m, &f.base, "text", "is 1 bytes long; at least 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(nested_paths),
		cmocka_unit_test(lengths_count_characters),
		cmocka_unit_test(names_of_tokens_are_plain),
		cmocka_unit_test(maps_check_their_values),
		cmocka_unit_test(all_are_reported_up_to_a_hundred),
		cmocka_unit_test(times_are_times),
		cmocka_unit_test(patterns_bytes_and_fractions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
