#include "rpc/codec.h"
#include "base/arena.h"
#include "rpc/method.h"
#include "rpc/prescan.h"

static void *allocate(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void release(void *arena, void *p)
{
	(void)arena;
	(void)p; /* goes with the arena */
}

struct status codec_proto_unpack(struct arena *a, const ProtobufCMessageDescriptor *d,
	struct str bytes, ProtobufCMessage **ret_message)
{
	ProtobufCAllocator in_arena = {allocate, release, a};
	struct status st = prescan(d, bytes, prescan_budget_for(bytes.len));
	if (!status_is_ok(&st))
		return st;
	ProtobufCMessage *m =
		protobuf_c_message_unpack(d, &in_arena, bytes.len, (const uint8_t *)bytes.ptr);
	if (!m)
		return status_err(ST_INVALID_ARGUMENT, "the message is not a %s", d->name);
	*ret_message = m;
	return status_ok();
}

static struct status unpack(struct arena *a, const struct rpc_message *m, struct str bytes,
	ProtobufCMessage **ret_message)
{
	return codec_proto_unpack(a, m->descriptor, bytes, ret_message);
}

static void pack(struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message)
{
	(void)m;
	size_t len = protobuf_c_message_get_packed_size(message);
	buf_reserve(b, len);
	b->len += protobuf_c_message_pack(message, (uint8_t *)b->ptr + b->len);
}

const struct rpc_codec codec_proto = {"proto", unpack, pack};

const struct rpc_message *rpc_registry_find(const struct rpc_registry *r, struct str name)
{
	size_t low = 0, high = r ? r->n : 0;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int cmp = str_cmp(str_of(r->messages[mid]->descriptor->name), name);
		if (cmp == 0)
			return r->messages[mid];
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
