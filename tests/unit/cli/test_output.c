/* Messages as JSON and YAML, enums as words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include "base/arena.h"
#include "cli/message.h"
#include "base/yaml.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "skep/v1/auth.pb-c.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/messages.h"
#include "skep/v1/stacks.pb-c.h"

static void assert_json(const struct rpc_message *m, const ProtobufCMessage *message, const char *expected)
{
	struct arena *a = arena_create();
	json_t *j = message_json(m, message);
	assert_string_equal(json_to_text(a, j), expected);
	json_decref(j);
	arena_destroy(a);
}

static void test_every_kind_of_field(void **state)
{
	Skep__V1__ListJobsRequest jobs = SKEP__V1__LIST_JOBS_REQUEST__INIT;
	Skep__V1__JobState states[] = {SKEP__V1__JOB_STATE__JOB_STATE_FAILED, (Skep__V1__JobState)77};
	Skep__V1__ScaleStackRequest scale = SKEP__V1__SCALE_STACK_REQUEST__INIT;
	Skep__V1__ScaleStackRequest__ReplicasEntry entry = SKEP__V1__SCALE_STACK_REQUEST__REPLICAS_ENTRY__INIT;
	Skep__V1__ScaleStackRequest__ReplicasEntry *entries[] = {&entry};
	Skep__V1__ComposeFile file = SKEP__V1__COMPOSE_FILE__INIT;
	Skep__V1__Event event = SKEP__V1__EVENT__INIT;
	Google__Protobuf__Timestamp at = {PROTOBUF_C_MESSAGE_INIT(&google__protobuf__timestamp__descriptor), 1772366400, 5000};
	(void)state;
	jobs.states = states;
	jobs.n_states = 2;
	assert_json(&skep_v1_msg_list_jobs_request, &jobs.base,
		"{\"project\":\"\",\"stack\":\"\",\"states\":[\"JOB_STATE_FAILED\",77],\"kinds\":[]}");
	entry.key = (char *)(uintptr_t)"web";
	entry.value = 3;
	scale.replicas = entries;
	scale.n_replicas = 1;
	assert_json(&skep_v1_msg_scale_stack_request, &scale.base, "{\"replicas\":{\"web\":3},\"requestId\":\"\"}");
	file.text = (ProtobufCBinaryData){3, (uint8_t *)(uintptr_t)"\x01\x02\xff"};
	assert_json(&skep_v1_msg_compose_file, &file.base, "{\"name\":\"\",\"text\":\"AQL/\"}");
	event.sequence = INT64_C(9007199254740993);
	event.message = (char *)(uintptr_t)"a\"b\xff";
	event.time = &at;
	assert_json(&skep_v1_msg_event, &event.base,
		"{\"sequence\":\"9007199254740993\",\"time\":\"2026-03-01T12:00:00.000005Z\",\"kind\":\"\","
		"\"message\":\"a\\\"b\xef\xbf\xbd\",\"service\":\"\",\"step\":\"\",\"percent\":0,\"state\":\"\",\"running\":0,"
		"\"wanted\":0}");
}

static void test_durations_and_oneofs(void **state)
{
	Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
	Skep__V1__FieldRules rules = SKEP__V1__FIELD_RULES__INIT;
	struct arena *a = arena_create();
	(void)state;
	d.seconds = -1;
	d.nanos = -500000000;
	json_t *j = message_json(&google_protobuf_msg_duration, &d.base);
	assert_string_equal(json_string_value(j), "-1.500000000s");
	json_decref(j);
	j = message_json(&skep_v1_msg_field_rules, &rules.base);
	assert_null(json_object_get(j, "min")); /* proto3 optional, not set */
	assert_true(json_is_false(json_object_get(j, "required")));
	json_decref(j);
	arena_destroy(a);
}

static void test_copies(void **state)
{
	struct arena *a = arena_create();
	Skep__V1__Job job = SKEP__V1__JOB__INIT;
	char *warnings[] = {(char *)(uintptr_t)"one", (char *)(uintptr_t)"two"};
	(void)state;
	job.id = (char *)(uintptr_t)"x";
	job.warnings = warnings;
	job.n_warnings = 2;
	const Skep__V1__Job *copy = (const Skep__V1__Job *)message_copy(a, &skep_v1_msg_job, &job.base);
	assert_ptr_not_equal(copy, &job);
	assert_string_equal(copy->id, "x");
	assert_int_equal(copy->n_warnings, 2);
	assert_string_equal(copy->warnings[1], "two");
	arena_destroy(a);
}

static void test_enum_words(void **state)
{
	struct arena *a = arena_create();
	int value = 0;
	(void)state;
	assert_string_equal(enum_word(a, &skep__v1__job_state__descriptor, 3), "succeeded");
	assert_string_equal(enum_word(a, &skep__v1__job_kind__descriptor, 8), "renew certificate");
	assert_string_equal(enum_word(a, &skep__v1__role__descriptor, 4), "admin");
	assert_string_equal(enum_word(a, &skep__v1__job_state__descriptor, 0), "");
	assert_string_equal(enum_word(a, &skep__v1__job_state__descriptor, 99), "99");
	assert_true(enum_parse(&skep__v1__role__descriptor, "Owner", &value));
	assert_int_equal(value, 3);
	assert_false(enum_parse(&skep__v1__role__descriptor, "unspecified", &value));
	assert_false(enum_parse(&skep__v1__role__descriptor, "", &value));
	arena_destroy(a);
}

static void assert_yaml(const char *json, const char *expected)
{
	struct buf b = {0};
	json_t *j = json_loads(json, JSON_DECODE_ANY, NULL);
	assert_non_null(j);
	yaml_write(&b, j);
	assert_string_equal(b.ptr, expected);
	buf_finish(&b);
	json_decref(j);
}

static void test_yaml(void **state)
{
	(void)state;
	assert_yaml("{\"a\": 1, \"b\": [], \"c\": {}, \"d\": null, \"e\": true}", "a: 1\nb: []\nc: {}\nd: null\ne: true\n");
	assert_yaml("[{\"a\": \"x\", \"b\": [1, [2, 3]]}, {\"c\": {\"d\": \"z\"}}]",
		"- a: x\n  b:\n  - 1\n  - - 2\n    - 3\n- c:\n    d: z\n");
	assert_yaml("[\"no\", \"Null\", \"1\", \"\", \"a: b\", \"a\\nb\", \"-x\", \"2026-03-01T12:00:00Z\", \"web.1\", \"#\"]",
		"- \"no\"\n- \"Null\"\n- \"1\"\n- \"\"\n- \"a: b\"\n- \"a\\nb\"\n- \"-x\"\n- \"2026-03-01T12:00:00Z\"\n- web.1\n- \"#\"\n");
	assert_yaml("{\"on\": {\"x y\": 1.5}}", "\"on\":\n  \"x y\": 1.5\n");
	assert_yaml("\"plain\"", "plain\n");
	assert_yaml("[]", "[]\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_of_field),
		cmocka_unit_test(test_durations_and_oneofs),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_enum_words),
		cmocka_unit_test(test_yaml),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
