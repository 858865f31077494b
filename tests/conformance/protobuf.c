/* The program that protobuf's conformance_test_runner tests: the codecs of src/rpc (binary and JSON) on protobuf's own test message. Reads
 * requests (conformance.ConformanceRequest behind a length, little-endian) from standard input until it ends, and answers each the same
 * way on standard output. What Skep does not have it says so: text format, proto2, editions, JSON with unknown fields passed over. */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "google/protobuf/any.pb-c.h"
#include "protobuf_test_messages/messages.h"
#include "rpc/codec.h"
#include "rpc/pb.h"
#include "rpc/pbjson.h"
#include "skep/v1/messages.h"

extern const struct rpc_message conformance_any;
static const struct rpc_field any_fields[] = {
	{.name = "type_url", .json_name = "typeUrl"},
	{.name = "value", .json_name = "value"},
};
static struct rpc_registry registry; /* both tables, sorted */
const struct rpc_message conformance_any = {
	&google__protobuf__any__descriptor, any_fields, 2, RPC_WKT_ANY, &registry};

#define TYPE         "protobuf_test_messages.proto3.TestAllTypesProto3"
#define MAX_REQUEST  ((uint32_t)64 * 1024 * 1024)
enum format { F_NONE, F_PROTOBUF, F_JSON };
enum { CATEGORY_IGNORE_UNKNOWN = 3 };
enum answer { PARSE_ERROR = 1, PROTOBUF = 3, JSON = 4, SKIPPED = 5 }; /* field numbers */

struct request {
	enum format in;
	struct str payload, type;
	uint64_t out, category;
};

static int by_name(const void *a, const void *b)
{
	const struct rpc_message *const *x = a, *const *y = b;
	return strcmp((*x)->descriptor->name, (*y)->descriptor->name);
}

static void make_registry(void)
{
	size_t n = protobuf_test_messages_message_count + skep_v1_message_count;
	const struct rpc_message **all = calloc(n, sizeof(*all));
	if (!all)
		abort();
	for (size_t i = 0; i < n; i++)
		all[i] = i < protobuf_test_messages_message_count
				 ? protobuf_test_messages_messages[i]
				 : skep_v1_messages[i - protobuf_test_messages_message_count];
	for (size_t i = 0; i < n; i++) /* that one knows gen/'s messages alone */
		if (strcmp(all[i]->descriptor->name, conformance_any.descriptor->name) == 0)
			all[i] = &conformance_any;
	qsort(all, n, sizeof(*all), by_name);
	registry = (struct rpc_registry){all, n};
}

static bool read_request(struct str bytes, struct request *r)
{
	struct pb_reader reader = pb_reader(bytes);
	struct pb_field f;
	*r = (struct request){.type = STR("")};
	while (!pb_done(&reader)) {
		if (!pb_read(&reader, &f))
			return false;
		if (f.number == 1 || f.number == 2) {
			r->in = f.number == 1 ? F_PROTOBUF : F_JSON;
			r->payload = f.bytes;
		} else if (f.number == 3) {
			r->out = f.value;
		} else if (f.number == 4) {
			r->type = f.bytes;
		} else if (f.number == 5) {
			r->category = f.value;
		}
	}
	return true;
}

static enum answer answer(const struct request *r, struct arena *a, struct buf *ret_text)
{
	const struct rpc_codec *codecs[] = {NULL, &codec_proto, &codec_json};
	ProtobufCMessage *message;
	if (r->in == F_NONE || (r->out != F_PROTOBUF && r->out != F_JSON) || !str_is(r->type, TYPE) ||
		r->category == CATEGORY_IGNORE_UNKNOWN) {
		buf_adds(ret_text, "not a feature of this implementation");
		return SKIPPED;
	}
	const struct rpc_message *type = &protobuf_test_messages_proto3_msg_test_all_types_proto3;
	struct status st = codecs[r->in]->unpack(a, type, r->payload, &message);
	if (!status_is_ok(&st)) {
		buf_adds(ret_text, st.message);
		return PARSE_ERROR;
	}
	codecs[r->out]->pack(ret_text, type, message);
	return r->out == F_PROTOBUF ? PROTOBUF : JSON;
}

static bool write_answer(enum answer number, struct str text)
{
	uint8_t head[16];
	uint8_t *end = pb_put_head(head, (uint32_t)number, text.len);
	size_t n = (size_t)(end - head);
	uint32_t len = htole32((uint32_t)(n + text.len));
	return fwrite(&len, sizeof(len), 1, stdout) == 1 && fwrite(head, 1, n, stdout) == n &&
	       fwrite(text.ptr, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
}

static bool tell(const struct request *r, struct arena *a, struct buf *text)
{
	enum answer kind = answer(r, a, text);
	return write_answer(kind, buf_str(text));
}

/* False: the end, or something is wrong. */
static bool serve_one(void)
{
	uint32_t len;
	if (fread(&len, sizeof(len), 1, stdin) != 1 || le32toh(len) > MAX_REQUEST)
		return false;
	len = le32toh(len);
	char *bytes = malloc(len + 1U);
	struct arena *a = arena_create();
	struct buf text = {0};
	struct request r;
	bool fine = bytes && fread(bytes, 1, len, stdin) == len && read_request(str_make(bytes, len), &r) &&
		    tell(&r, a, &text);
	buf_finish(&text);
	arena_destroy(a);
	free(bytes);
	return fine;
}

int main(void)
{
	make_registry();
	while (serve_one())
		;
	return feof(stdin) ? 0 : 1;
}
