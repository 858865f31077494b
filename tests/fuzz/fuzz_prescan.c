/* fuzz_prescan: what the pre-scan lets through, protobuf-c unpacks, in the memory that the budget
 * promised, and its text is text; then the field rules are held against it. The first byte chooses
 * the message. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include "base/arena.h"
#include "rpc/codec.h"
#include "rpc/prescan.h"
#include "rpc/validate.h"
#include "skep/v1/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const ProtobufCMessage *m);

static void check_one(const ProtobufCFieldDescriptor *d, const char *p)
{
	if (d->type == PROTOBUF_C_TYPE_STRING)
		assert(str_is_utf8(str_of(*(char *const *)(const void *)p)));
	else if (d->type == PROTOBUF_C_TYPE_MESSAGE && *(void *const *)(const void *)p)
		check_text(*(const ProtobufCMessage *const *)(const void *)p);
}

static void check_text(const ProtobufCMessage *m)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = &m->descriptor->fields[i];
		const char *p = (const char *)m + d->offset;
		uint32_t which;
		memcpy(&which, (const char *)m + d->quantifier_offset, sizeof(which));
		if (d->type != PROTOBUF_C_TYPE_STRING && d->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (d->label != PROTOBUF_C_LABEL_REPEATED) {
			if (!(d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || which == d->id)
				check_one(d, p);
			continue;
		}
		size_t n;
		memcpy(&n, (const char *)m + d->quantifier_offset, sizeof(n));
		for (size_t k = 0; k < n; k++)
			check_one(d, (const char *)(*(void *const *const *)(const void *)p + k));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rpc_message *const messages[] = {
		&skep_v1_msg_event,
		&skep_v1_msg_deploy_stack_request,
		&skep_v1_msg_list_jobs_request,
		&skep_v1_msg_scale_stack_request,
		&skep_v1_msg_field_rules,
		&skep_v1_msg_create_token_request,
		&google_rpc_msg_status,
		&google_rpc_msg_bad_request,
	};
	struct rpc_violation *violations;
	ProtobufCMessage *m;
	if (size < 1)
		return 0;
	const struct rpc_message *table =
		messages[data[0] % (sizeof(messages) / sizeof(messages[0]))];
	struct str bytes = {(const char *)data + 1, size - 1};
	struct arena *a = arena_create();
	struct status st = codec_proto_unpack(a, table->descriptor, bytes, &m);
	if (status_is_ok(&st)) {
		/* Beside what is budgeted protobuf-c has one table of the fields it has met, at
		 * most doubled. */
		assert(arena_used(a) <= 2 * prescan_budget_for(bytes.len).memory);
		check_text(m);
		(void)validate(a, table, m, &violations);
	}
	arena_destroy(a);
	return 0;
}
