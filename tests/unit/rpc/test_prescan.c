#include "rpc/prescan.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "rpc/codec.h"
#include "rpc/pb.h"
#include "skep/v1/common.pb-c.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/stacks.pb-c.h"

static const ProtobufCMessageDescriptor *const event = &skep__v1__event__descriptor;
static const ProtobufCMessageDescriptor *const deploy = &skep__v1__deploy_stack_request__descriptor;

/* A message that holds itself, which the API has none of: for depth. */
static const ProtobufCMessageDescriptor self;
struct self {
	ProtobufCMessage base;
	size_t n_self;
	struct self **self;
};
static const ProtobufCFieldDescriptor self_fields[] = {
	{"self", 1, PROTOBUF_C_LABEL_REPEATED, PROTOBUF_C_TYPE_MESSAGE,
		offsetof(struct self, n_self), offsetof(struct self, self), &self, NULL, 0, 0, NULL,
		NULL},
};
static const unsigned self_names[] = {0};
static const ProtobufCIntRange self_ranges[] = {{1, 0}, {0, 1}};
static void self_init(void *m)
{
	*(struct self *)m = (struct self){.base = {&self, 0, NULL}};
}
static const ProtobufCMessageDescriptor self = {PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC, "t.Self",
	"Self", "T__Self", "t", sizeof(struct self), 1, self_fields, self_names, 1, self_ranges,
	(ProtobufCMessageInit)self_init, NULL, NULL, NULL};

static struct status scan(const ProtobufCMessageDescriptor *d, const void *bytes, size_t len)
{
	return prescan(d, str_make(bytes, len), prescan_budget_for(len));
}

static void expect(const ProtobufCMessageDescriptor *d, const void *bytes, size_t len,
	enum st_code code, const char *words)
{
	struct status st = scan(d, bytes, len);
	if (st.code != code || !strstr(st.message, words))
		fail_msg("%s: %s", st_code_name(st.code), st.message);
}
#define EXPECT(d, bytes, code, words) expect(d, bytes, sizeof(bytes) - 1, code, words)

static void good_messages_pass(void **state)
{
	(void)state;
	EXPECT(event, "", ST_OK, "");
	EXPECT(event, "\x08\x96\x01\x22\x04h\xc3\xa9!", ST_OK, "");
	EXPECT(event, "\xfa\x3f\x01x", ST_OK, ""); /* unknown */
	EXPECT(&skep__v1__list_jobs_request__descriptor, "\x1a\x03\x01\x02\x03\x18\x01", ST_OK, "");
}

static void bad_ones_are_named_by_path(void **state)
{
	(void)state;
	EXPECT(event, "\x22\x01\xff", ST_INVALID_ARGUMENT, "message: is not valid UTF-8");
	EXPECT(event, "\x22\x02\xc0\x80", ST_INVALID_ARGUMENT, "message: is not valid UTF-8");
	EXPECT(event, "\x22\x03\xed\xa0\x80", ST_INVALID_ARGUMENT,
		"not valid UTF-8"); /* a surrogate */
	EXPECT(event, "\x22\x01\0", ST_INVALID_ARGUMENT, "message: contains a NUL");
	EXPECT(event, "\x20\x01", ST_INVALID_ARGUMENT, "message: has the wrong wire type");
	EXPECT(event, "\x12\x02\x0a\x00", ST_INVALID_ARGUMENT,
		"time.seconds: has the wrong wire type");
	EXPECT(event, "\x22\x05x", ST_INVALID_ARGUMENT, "cut off");
	EXPECT(event, "\x0b\x0c", ST_INVALID_ARGUMENT, "not protobuf"); /* a group */
	EXPECT(deploy, "\x1a\x03\x0a\x01x\x1a\x03\x0a\x01\xff", ST_INVALID_ARGUMENT,
		"compose[1].name: is not");
	EXPECT(deploy, "\x2a\x05\x0a\x01k\x12\x01", ST_INVALID_ARGUMENT, "variables[0]: cut off");
	EXPECT(deploy, "\x1a\x05\x12\x03\0\xff\0", ST_OK, ""); /* bytes may hold anything */
	EXPECT(&skep__v1__list_jobs_request__descriptor, "\x1a\x01\x80", ST_INVALID_ARGUMENT,
		"states[0]: malformed packed numbers");
}

/* `depth` messages, the innermost empty. */
static struct buf nested(size_t depth)
{
	struct buf out = {0}, inner = {0};
	while (--depth) {
		buf_reserve(&out, pb_bytes_len(inner.len));
		pb_put_bytes((uint8_t *)out.ptr, 1, buf_str(&inner));
		out.len = pb_bytes_len(inner.len);
		struct buf spare = inner;
		inner = out;
		out = spare;
		out.len = 0;
	}
	buf_finish(&out);
	return inner;
}

static void depth_is_limited(void **state)
{
	struct buf b = nested(100);
	(void)state;
	expect(&self, b.ptr, b.len, ST_OK, "");
	buf_finish(&b);
	b = nested(101);
	expect(&self, b.ptr, b.len, ST_RESOURCE_EXHAUSTED, "deeper than 100");
	buf_finish(&b);
	b = nested(20000);
	expect(&self, b.ptr, b.len, ST_RESOURCE_EXHAUSTED, "deeper than 100");
	buf_finish(&b);
}

static void memory_is_limited(void **state)
{
	size_t n = 524288;
	uint8_t *bytes = mem_zalloc(2 * n);
	(void)state;
	for (size_t i = 0; i < n; i++)
		bytes[2 * i] = 0x0a; /* an empty sub-message each */
	expect(&self, bytes, 2 * n, ST_RESOURCE_EXHAUSTED, "too m");
	for (size_t i = 0; i < n; i++)
		bytes[2 * i] = 0x7a; /* unknown fields are kept too */
	expect(&self, bytes, 2 * n, ST_RESOURCE_EXHAUSTED, "too m");
	struct status st = prescan(
		&self, str_make("\x0a\0\x0a\0\x0a\0", 6), (struct prescan_budget){2, 10000});
	assert_int_equal(st.code, ST_RESOURCE_EXHAUSTED);
	assert_string_equal(st.message, "self[2]: the message has too many elements");
	free(bytes);
}

/* What honest callers send fits: 1 MiB of Compose text, 256 files, 1,024 variables. */
/* An unknown number costs itself, not what a text before it had. */
static void unknown_numbers_cost_little(void **state)
{
	enum { TEXT = 500000, NUMBERS = 100 };
	(void)state;
	struct buf b = {0};
	uint8_t head[16];
	uint8_t *end = pb_put_head(head, 4, TEXT);
	buf_add(&b, head, (size_t)(end - head));
	buf_reserve(&b, TEXT);
	memset(b.ptr + b.len, 'x', TEXT);
	b.len += TEXT;
	for (int i = 0; i < NUMBERS; i++)
		buf_add(&b, "\xf8\x3f\x01", 3);
	expect(event, b.ptr, b.len, ST_OK, "");
	buf_finish(&b);
}

static void large_honest_messages_pass(void **state)
{
	Skep__V1__DeployStackRequest r = SKEP__V1__DEPLOY_STACK_REQUEST__INIT;
	Skep__V1__DeployStackRequest__VariablesEntry
		v = SKEP__V1__DEPLOY_STACK_REQUEST__VARIABLES_ENTRY__INIT,
		*vs[1024];
	Skep__V1__UploadedFile f = SKEP__V1__UPLOADED_FILE__INIT, *fs[256];
	struct arena *a = arena_create();
	ProtobufCMessage *back;
	struct buf b = {0};
	(void)state;
	v.key = (char *)"SOME_NAME";
	v.value = (char *)"x";
	f.path = (char *)"./f";
	for (size_t i = 0; i < 1024; i++)
		vs[i] = &v;
	for (size_t i = 0; i < 256; i++)
		fs[i] = &f;
	r.variables = vs;
	r.n_variables = 1024;
	r.files = fs;
	r.n_files = 256;
	codec_proto.pack(&b, NULL, &r.base);
	struct status st = codec_proto_unpack(a, deploy, buf_str(&b), &back);
	assert_string_equal(st.message, "");
	assert_int_equal(((Skep__V1__DeployStackRequest *)back)->n_variables, 1024);
	buf_finish(&b);
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_messages_pass),
		cmocka_unit_test(bad_ones_are_named_by_path),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(memory_is_limited),
		cmocka_unit_test(unknown_numbers_cost_little),
		cmocka_unit_test(large_honest_messages_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
