/* The generated tables fit protobuf-c's descriptors index by index, and carry the options of the
 * .proto files. */
#include "skep/v1/messages.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "skep/v1/options.pb-c.h"
#include "skep/v1/stacks.pb-c.h"

static const struct rpc_field *field_of(const struct rpc_message *m, const char *name)
{
	for (unsigned i = 0; i < m->n_fields; i++)
		if (strcmp(m->fields[i].name, name) == 0)
			return &m->fields[i];
	fail_msg("%s has no field %s", m->descriptor->name, name);
	return NULL;
}

static void every_field_matches_its_descriptor(void **state)
{
	(void)state;
	for (size_t i = 0; i < skep_v1_message_count; i++) {
		const struct rpc_message *m = skep_v1_messages[i];

		assert_int_equal(m->n_fields, m->descriptor->n_fields);
		for (unsigned j = 0; j < m->n_fields; j++) {
			const ProtobufCFieldDescriptor *d = &m->descriptor->fields[j];
			const struct rpc_field *f = &m->fields[j];

			assert_string_equal(f->name, d->name);
			assert_non_null(f->json_name);
			if (d->type == PROTOBUF_C_TYPE_MESSAGE)
				assert_ptr_equal(f->message->descriptor, d->descriptor);
			else
				assert_null(f->message);
		}
	}
}

static void messages_are_sorted_by_name(void **state)
{
	(void)state;
	assert_true(skep_v1_message_count > 30);
	for (size_t i = 1; i < skep_v1_message_count; i++)
		assert_true(strcmp(skep_v1_messages[i - 1]->descriptor->name,
				    skep_v1_messages[i]->descriptor->name) < 0);
}

static void every_pattern_is_anchored_and_compiles(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (size_t i = 0; i < skep_v1_message_count; i++) {
		for (unsigned j = 0; j < skep_v1_messages[i]->n_fields; j++) {
			const struct rpc_field *f = &skep_v1_messages[i]->fields[j];
			regex_t re;

			if (!f->pattern)
				continue;
			seen++;
			assert_non_null(f->pattern_help);
			assert_int_equal(f->pattern[0], '^');
			assert_int_equal(f->pattern[strlen(f->pattern) - 1], '$');
			assert_int_equal(regcomp(&re, f->pattern, REG_EXTENDED | REG_NOSUB), 0);
			regfree(&re);
		}
	}
	assert_true(seen >= 2);
}

static void rules_and_kinds_are_carried_over(void **state)
{
	const struct rpc_message *deploy = &skep_v1_msg_deploy_stack_request;
	const struct rpc_field *f;

	(void)state;
	assert_ptr_equal(deploy->descriptor, &skep__v1__deploy_stack_request__descriptor);

	f = field_of(deploy, "compose");
	assert_true(f->required && !f->is_map && !f->is_secret);
	assert_int_equal(f->max_items, 16);
	assert_ptr_equal(f->message, &skep_v1_msg_compose_file);

	f = field_of(deploy, "variables");
	assert_true(f->is_map && f->is_secret);

	f = field_of(deploy, "on_failure");
	assert_string_equal(f->json_name, "onFailure");

	f = field_of(&skep_v1_msg_page, "page_size");
	assert_true(f->has_min && f->has_max);
	assert_int_equal(f->min, 0);
	assert_int_equal(f->max, 500);

	assert_true(field_of(&skep_v1_msg_get_job_request, "id")->uuid);
	assert_true(field_of(&skep_v1_msg_field_rules, "min")->is_optional);
	assert_false(field_of(&skep_v1_msg_field_rules, "min_len")->is_optional);
	assert_int_equal(field_of(&skep_v1_msg_job, "created_at")->message->wkt, RPC_WKT_TIMESTAMP);
	assert_int_equal(google_protobuf_msg_empty.wkt, RPC_WKT_EMPTY);
	assert_int_equal(google_rpc_msg_bad_request_field_violation.wkt, RPC_WKT_NONE);
}

static void enums_have_no_forced_size_member(void **state)
{
	/* A switch over a generated enum lists the .proto's values and no other. */
	(void)state;
	assert_int_equal(sizeof(Skep__V1__Role), sizeof(int));
	assert_int_equal(skep__v1__role__descriptor.n_values, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_matches_its_descriptor),
		cmocka_unit_test(messages_are_sorted_by_name),
		cmocka_unit_test(every_pattern_is_anchored_and_compiles),
		cmocka_unit_test(rules_and_kinds_are_carried_over),
		cmocka_unit_test(enums_have_no_forced_size_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
