/* fuzz_pbjson: text as a message of every kind of field, and back: what is read must be written so
 * that it is read again as the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "base/arena.h"
#include "rpc/pbjson.h"
#include "skep/test/v1/messages.h"

#define ALL &skep_test_v1_msg_all

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read_again(struct arena *a, const ProtobufCMessage *m)
{
	struct buf first = {0}, second = {0};
	ProtobufCMessage *again;
	codec_json.pack(&first, ALL, m);
	struct status st = codec_json.unpack(a, ALL, buf_str(&first), &again);
	assert(status_is_ok(&st));
	codec_json.pack(&second, ALL, again);
	assert(str_eq(buf_str(&first), buf_str(&second)));
	buf_finish(&first);
	buf_finish(&second);
}

/* The first byte: 0: JSON; 1: "path=value" of a query; 2: the binary form, which JSON must carry.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_create();
	struct str text = {(const char *)data + 1, size ? size - 1 : 0};
	ProtobufCMessage *m = pbjson_new(a, skep_test_v1_msg_all.descriptor);
	struct status st = status_err(ST_CANCELLED, "empty");
	if (size > 0 && data[0] % 3 == 0) {
		st = codec_json.unpack(a, ALL, text, &m);
	} else if (size > 0 && data[0] % 3 == 1) {
		struct str path = str_cut(&text, '=');
		st = pbjson_set(a, ALL, m, path, text.ptr ? text : STR(""));
	} else if (size > 0) {
		struct buf b = {0};
		st = codec_proto.unpack(a, ALL, text, &m);
		if (status_is_ok(&st))
			codec_json.pack(&b, ALL, m); /* values that JSON has no form for are bent */
		buf_finish(&b);
		st = status_err(ST_CANCELLED, "written");
	}
	if (status_is_ok(&st))
		write_and_read_again(a, m);
	arena_destroy(a);
	return 0;
}
