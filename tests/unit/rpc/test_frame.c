/* The hand-written envelope against the generated code of wire.proto: same bytes, same meaning. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdint.h>
#include "rpc/frame.h"
#include "rpc/pb.h"
#include "skep/wire/v1/wire.pb-c.h"

typedef Skep__Wire__V1__Frame Frame;

/* What a generated reader makes of the one frame in b. */
static Frame *generated(const struct buf *b)
{
	size_t len;
	assert_true(frame_header(b->ptr, &len));
	assert_int_equal(b->len, FRAME_HEADER + len);
	Frame *f = skep__wire__v1__frame__unpack(NULL, len, (uint8_t *)b->ptr + FRAME_HEADER);
	assert_non_null(f);
	return f;
}

/* What our reader makes of what generated code writes. */
static struct frame parsed(const Frame *f, uint8_t bytes[1024])
{
	struct frame ret;
	size_t len = skep__wire__v1__frame__pack(f, bytes);
	assert_true(len < 1024);
	assert_null(frame_parse(str_make((const char *)bytes, len), &ret));
	assert_int_equal(frame_peek_call(str_make((const char *)bytes, len)), f->call);
	return ret;
}

static void open_is_written(void **state)
{
	struct buf b = {0};
	struct str metadata[] = {STR("a"), STR("1"), STR("authorization"), STR("Bearer x")};
	struct frame_open o = {.method = STR("/s/M"),
		.timeout_ms = 70000,
		.credit = 5,
		.end = true,
		.has_payload = true,
		.payload_len = 300,
		.metadata = metadata,
		.n_metadata = 2};
	(void)state;
	memset(frame_open_begin(&b, 1ull << 40, &o), 'p', 300);
	Frame *f = generated(&b);
	assert_int_equal(f->call, 1ull << 40);
	assert_int_equal(f->kind_case, SKEP__WIRE__V1__FRAME__KIND_OPEN);
	assert_string_equal(f->open->method, "/s/M");
	assert_int_equal(f->open->timeout_ms, 70000);
	assert_int_equal(f->open->credit, 5);
	assert_true(f->open->end);
	assert_int_equal(f->open->n_metadata, 2);
	assert_string_equal(f->open->metadata[1]->key, "authorization");
	assert_string_equal(f->open->metadata[1]->value, "Bearer x");
	assert_int_equal(f->open->payload.len, 300);
	assert_int_equal(f->open->payload.data[299], 'p');
	skep__wire__v1__frame__free_unpacked(f, NULL);
	b.len = 0;
	frame_open_begin(&b, 1, &(struct frame_open){.method = STR("/s/M")});
	f = generated(&b);
	assert_false(f->open->end);
	assert_int_equal(f->open->_payload_case, 0);
	skep__wire__v1__frame__free_unpacked(f, NULL);
	buf_finish(&b);
}

static void the_others_are_written(void **state)
{
	struct buf b = {0};
	Frame *f;
	(void)state;
	memcpy(frame_data_begin(&b, 3, 2), "hi", 2);
	f = generated(&b);
	assert_int_equal(f->data->payload.len, 2);
	assert_false(f->data->end);
	skep__wire__v1__frame__free_unpacked(f, NULL);
	b.len = 0;
	frame_put_end(&b, 3);
	f = generated(&b);
	assert_true(f->data->end);
	assert_int_equal(f->data->_payload_case, 0);
	skep__wire__v1__frame__free_unpacked(f, NULL);
	b.len = 0;
	frame_put_credit(&b, 3, 4000000000u);
	f = generated(&b);
	assert_int_equal(f->credit->bytes, 4000000000u);
	skep__wire__v1__frame__free_unpacked(f, NULL);
	b.len = 0;
	frame_put_cancel(&b, 3);
	f = generated(&b);
	assert_int_equal(f->kind_case, SKEP__WIRE__V1__FRAME__KIND_CANCEL);
	skep__wire__v1__frame__free_unpacked(f, NULL);
	b.len = 0;
	(void)frame_finish_begin(&b, 3, 0);
	f = generated(&b);
	assert_int_not_equal(f->finish->_payload_case, 0);
	assert_null(f->finish->status);
	skep__wire__v1__frame__free_unpacked(f, NULL);
	b.len = 0;
	frame_put_finish(&b, 3, STR("\x08\x05"));
	f = generated(&b);
	assert_int_equal(f->finish->status->code, 5);
	skep__wire__v1__frame__free_unpacked(f, NULL);
	b.len = 0;
	frame_put_ping(&b, UINT64_MAX - 5, true);
	f = generated(&b);
	assert_int_equal(f->ping->number, UINT64_MAX - 5);
	assert_true(f->ping->ack);
	assert_int_equal(f->call, 0);
	skep__wire__v1__frame__free_unpacked(f, NULL);
	b.len = 0;
	frame_put_goaway(&b, 12, STR("\x08\x0e"));
	f = generated(&b);
	assert_int_equal(f->goaway->last_call, 12);
	assert_int_equal(f->goaway->status->code, 14);
	skep__wire__v1__frame__free_unpacked(f, NULL);
	buf_finish(&b);
}

static void generated_frames_are_read(void **state)
{
	uint8_t bytes[1024];
	Frame f = SKEP__WIRE__V1__FRAME__INIT;
	Skep__Wire__V1__Open open;
	Skep__Wire__V1__Open__MetadataEntry entry = SKEP__WIRE__V1__OPEN__METADATA_ENTRY__INIT,
					    *entries[] = {&entry, &entry};
	Skep__Wire__V1__Credit credit = SKEP__WIRE__V1__CREDIT__INIT;
	Skep__Wire__V1__Ping ping = SKEP__WIRE__V1__PING__INIT;
	struct str name, value;
	size_t pos = 0;
	(void)state;
	skep__wire__v1__open__init(&open);
	f.call = 300;
	f.kind_case = SKEP__WIRE__V1__FRAME__KIND_OPEN;
	f.open = &open;
	open.method = (char *)"/s/M";
	open.timeout_ms = 1000;
	open.end = 1;
	open._payload_case = SKEP__WIRE__V1__OPEN___PAYLOAD_PAYLOAD;
	open.payload = (ProtobufCBinaryData){3, (uint8_t *)(char[]){'a', 'b', 'c'}};
	entry.key = (char *)"k";
	entry.value = (char *)"v1";
	open.metadata = entries;
	open.n_metadata = 2;
	struct frame got = parsed(&f, bytes);
	assert_int_equal(got.kind, FRAME_OPEN);
	assert_int_equal(got.call, 300);
	assert_true(str_is(got.method, "/s/M") && str_is(got.payload, "abc"));
	assert_int_equal(got.timeout_ms, 1000);
	assert_true(got.end && got.has_payload);
	assert_int_equal(got.n_metadata, 2);
	assert_int_equal(got.metadata_len, 6);
	for (int i = 0; i < 2; i++) {
		assert_true(frame_metadata_next(&got, &pos, &name, &value));
		assert_true(str_is(name, "k") && str_is(value, "v1"));
	}
	assert_false(frame_metadata_next(&got, &pos, &name, &value));
	f.kind_case = SKEP__WIRE__V1__FRAME__KIND_CREDIT;
	f.credit = &credit;
	credit.bytes = 77;
	got = parsed(&f, bytes);
	assert_int_equal(got.kind, FRAME_CREDIT);
	assert_int_equal(got.credit, 77);
	f.call = 0;
	f.kind_case = SKEP__WIRE__V1__FRAME__KIND_PING;
	f.ping = &ping;
	ping.number = 1ull << 63;
	got = parsed(&f, bytes);
	assert_int_equal(got.number, 1ull << 63);
	assert_false(got.ack);
}

static void expect_malformed(const char *bytes, size_t len, const char *words)
{
	struct frame f;
	const char *wrong = frame_parse(str_make(bytes, len), &f);
	assert_non_null(wrong);
	if (!strstr(wrong, words))
		fail_msg("%s", wrong);
}
#define MALFORMED(bytes, words) expect_malformed(bytes, sizeof(bytes) - 1, words)

static void malformed_is_refused(void **state)
{
	(void)state;
	MALFORMED("", "no known kind");
	MALFORMED("\x08\x01", "no known kind");
	MALFORMED("\x08\x01\x4a\x00", "no known kind"); /* a kind of a later version */
	MALFORMED("\x08", "not protobuf");
	MALFORMED("\x00\x01", "not protobuf");         /* field 0 */
	MALFORMED("\x08\x01\x13\x14", "not protobuf"); /* a group */
	MALFORMED("\x0a\x01\x01\x2a\x00", "call has the wrong wire type");
	MALFORMED("\x08\x01\x28\x01", "its kind has the wrong wire type");
	MALFORMED("\x08\x01\x2a\x05", "not protobuf");
	MALFORMED("\x08\x01\x1a\x02\x0a\x05", "cut off");
	MALFORMED("\x08\x01\x1a\x02\x08\x05", "data.payload");
	MALFORMED("\x08\x01\x1a\x02\x12\x00", "data.end");
	MALFORMED("\x08\x01\x22\x02\x0a\x00", "credit.bytes");
	MALFORMED("\x3a\x02\x08\x01", "ping.number");
	MALFORMED("\x08\x01\x3a\x00", "belong to call 0");
	MALFORMED("\x08\x01\x12\x04\x0a\x02"
		  "a\0",
		"open.method is not text");
	MALFORMED("\x08\x01\x12\x05\x1a\x03\x0a\x01\xff", "metadata is not text");
	MALFORMED("\x08\x01\x12\x04\x1a\x02\x08\x01", "metadata is not text");
	MALFORMED("\x08\x01\x12\x02\x0d\x00", "cut off");
	MALFORMED("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x2a\x00", "not protobuf");
}

static void unknown_fields_are_skipped(void **state)
{
	static const char bytes[] = "\x08\x07\x98\x06\x01\x2a\x03\x9a\x06\x00\xa2\x06\x01z";
	struct frame f;
	(void)state;
	assert_null(frame_parse(str_make(bytes, sizeof(bytes) - 1), &f));
	assert_int_equal(f.kind, FRAME_CANCEL);
	assert_int_equal(f.call, 7);
}

static void varints(void **state)
{
	static const uint64_t values[] = {
		0, 1, 127, 128, 16383, 16384, UINT32_MAX, 1ull << 56, 1ull << 63, UINT64_MAX};
	uint8_t bytes[10];
	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		size_t len = (size_t)(pb_put_varint(bytes, values[i]) - bytes);
		assert_int_equal(len, pb_varint_len(values[i]));
		struct pb_reader r = {bytes, bytes + len}, cut = {bytes, bytes + len - 1};
		uint64_t v;
		assert_true(pb_read_varint(&r, &v));
		assert_int_equal(v, values[i]);
		assert_true(pb_done(&r));
		assert_false(pb_read_varint(&cut, &v));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_is_written),
		cmocka_unit_test(the_others_are_written),
		cmocka_unit_test(generated_frames_are_read),
		cmocka_unit_test(malformed_is_refused),
		cmocka_unit_test(unknown_fields_are_skipped),
		cmocka_unit_test(varints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
