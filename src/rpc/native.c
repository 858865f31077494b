#include "rpc/native.h"
#include <inttypes.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "net/transport.h"
#include "rpc/call_impl.h"
#include "rpc/codec.h"
#include "rpc/dispatch.h"
#include "rpc/frame.h"
#include "rpc/rate.h"
#include "rpc/server_impl.h"

#define BUCKETS        64             /* numbers rise by one, so neighbours spread well */
#define ENVELOPE       ((size_t)1024) /* room for a frame's other fields */
#define METADATA_MAX   64
#define FRAME_PEEK     ((size_t)16) /* enough for the call's number */
#define SKIPPED_FRAMES 16 /* a longer one than so many times the limit ends the connection */
#define RATE_SECONDS   10 /* worth of a rate may come at once */
#define GRANT_FROM     (FRAME_FIRST_CREDIT / 4)

struct native {
	uint64_t last_call;
	size_t skip;                /* bytes left of a frame that was refused for its length … */
	size_t skip_frame;          /* … of so many */
	struct list calls[BUCKETS]; /* rpc_call.id_node */
	struct rate resets, controls;
};

static const struct rpc_protocol native_protocol;

/* ---- calls by number ---- */

static struct rpc_call *find_call(struct native *n, uint64_t id)
{
	list_for_each (&n->calls[id % BUCKETS], node) {
		struct rpc_call *call = container_of(node, struct rpc_call, id_node);
		if (call->id == id)
			return call;
	}
	return NULL;
}

/* Answers a number that no call stands behind. */
static void refuse(struct rpc_conn *c, uint64_t id, const struct status *st)
{
	struct buf packed = {0};
	rpc_status_pack(&packed, st, NULL);
	frame_put_finish(transport_out(c->transport), id, buf_str(&packed));
	transport_commit(c->transport);
	buf_finish(&packed);
}

/* ---- the wire: frames in ---- */

static void native_open(struct rpc_conn *c)
{
	struct native *n = mem_new(struct native);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&n->calls[i]);
	c->wire_state = n;
}

static void native_close(struct rpc_conn *c)
{
	free(c->wire_state);
}

static void native_goaway(struct rpc_conn *c, const struct status *why)
{
	const struct native *n = c->wire_state; /* NULL when the peer has not spoken yet */
	struct buf packed = {0};
	if (why)
		rpc_status_pack(&packed, why, NULL);
	c->refusing = true;
	frame_put_goaway(transport_out(c->transport), n ? n->last_call : 0, buf_str(&packed));
	transport_commit(c->transport);
	buf_finish(&packed);
}

static void copy_metadata(struct rpc_call *call, const struct frame *f)
{
	struct rpc_metadata *m = arena_array(call->arena, struct rpc_metadata, f->n_metadata);
	struct str name, value;
	size_t pos = 0, n = 0;
	while (n < f->n_metadata && frame_metadata_next(f, &pos, &name, &value))
		m[n++] = (struct rpc_metadata){
			str_dup(call->arena, name), str_dup(call->arena, value)};
	call->metadata = m;
	call->n_metadata = n;
}

/* True: refused, and *ret_st says why. (Left alone otherwise: a status is large.) */
static bool is_too_large(struct rpc_conn *c, const struct frame *f, struct status *ret_st)
{
	const struct rpc_limits *l = &c->server->o.limits;
	if (f->payload.len > l->max_message) {
		server_limit(c->server, RPC_LIMIT_MESSAGE);
		*ret_st = status_err(ST_RESOURCE_EXHAUSTED,
			"the message has %zu bytes; at most %zu are allowed", f->payload.len,
			l->max_message);
	} else if (f->n_metadata > METADATA_MAX || f->metadata_len > l->max_metadata) {
		server_limit(c->server, RPC_LIMIT_METADATA);
		*ret_st = status_err(ST_RESOURCE_EXHAUSTED,
			"the metadata has %u entries and %zu bytes; at most %d and %zu are allowed",
			f->n_metadata, f->metadata_len, METADATA_MAX, l->max_metadata);
	} else {
		return false;
	}
	return true;
}

static void on_open(struct rpc_conn *c, struct native *n, const struct frame *f)
{
	if (f->call <= n->last_call) {
		struct status st = status_err(ST_INVALID_ARGUMENT,
			"call %" PRIu64 " was opened after call %" PRIu64
			": the numbers of calls must rise",
			f->call, n->last_call);
		conn_fail(c, &st);
		return;
	}
	n->last_call = f->call;
	struct rpc_call *call = call_create(c, &native_protocol, &codec_proto, f->call);
	call->send_credit = f->credit ? f->credit : FRAME_FIRST_CREDIT;
	call->receive_credit = FRAME_FIRST_CREDIT;
	list_push(&n->calls[f->call % BUCKETS], &call->id_node);
	struct status st;
	if (is_too_large(c, f, &st)) {
		call_abort(call, &st, NULL);
		return;
	}
	if (f->n_metadata)
		copy_metadata(call, f);
	if (f->timeout_ms)
		call->deadline_at = loop_now_ms(c->server->o.loop) + f->timeout_ms;
	dispatch_open(call, dispatch_find(c->server, f->method), f->method, f->has_payload, f->payload, f->end);
}

static void on_data(struct rpc_conn *c, struct rpc_call *call, const struct frame *f)
{
	struct status st;
	if (f->has_payload && call->receive_credit <= 0) {
		st = status_err(ST_RESOURCE_EXHAUSTED,
			"the client sent more than its credit: it must wait for a credit frame");
		call_abort(call, &st, NULL);
		return;
	}
	if (is_too_large(c, f, &st)) {
		call_abort(call, &st, NULL);
		return;
	}
	if (f->has_payload)
		call->receive_credit -= (int64_t)(f->payload.len + FRAME_MESSAGE_COST);
	call_receive(call, f->has_payload, f->payload, f->end);
}

/* What costs its sender little, at its rate. False: the connection was ended. */
static bool may_go_on(struct rpc_conn *c, struct rate *r, unsigned per_s, enum rpc_limit limit,
	const char *what)
{
	if (rate_take(r, per_s, RATE_SECONDS * per_s, loop_now_ms(c->server->o.loop), NULL))
		return true;
	struct status st = status_err(ST_RESOURCE_EXHAUSTED, "%s (%u/s are allowed)", what, per_s);
	server_limit(c->server, limit);
	c->server->counters.abuses++;
	conn_fail(c, &st);
	return false;
}

static void flush_queue(struct rpc_call *call);

static void on_credit(struct rpc_call *call, const struct frame *f)
{
	call->send_credit += f->credit;
	if (call->send_credit > INT32_MAX)
		call->send_credit = INT32_MAX;
	flush_queue(call);
	call_flushed(call);
}

/* data, credit, cancel: of a call that should be open. One that has just ended is no
 * mistake of the client's: its frame and our finish have crossed. */
static void on_call_frame(struct rpc_conn *c, struct native *n, const struct frame *f)
{
	struct rpc_call *call = find_call(n, f->call);
	if (!call) {
		struct status st =
			status_err(ST_NOT_FOUND, "call %" PRIu64 " was never opened", f->call);
		if (f->call > n->last_call)
			refuse(c, f->call, &st);
	} else if (f->kind == FRAME_DATA) {
		on_data(c, call, f);
	} else if (f->kind == FRAME_CREDIT) {
		on_credit(call, f);
	} else {
		struct status st = status_err(ST_CANCELLED, "cancelled by the client");
		call_abort(call, &st, NULL);
		may_go_on(c, &n->resets, c->server->o.limits.resets_per_s, RPC_LIMIT_RESETS,
			"too many calls were opened and taken back");
	}
}

static void broke_rules(struct rpc_conn *c, const char *what)
{
	struct status st = status_err(ST_INVALID_ARGUMENT, "malformed frame: %s", what);
	conn_fail(c, &st);
}

static void on_frame(struct rpc_conn *c, struct native *n, struct str bytes)
{
	struct frame f;
	const char *wrong = frame_parse(bytes, &f);
	conn_spoke(c);
	if (wrong) {
		broke_rules(c, wrong);
		return;
	}
	switch (f.kind) {
	case FRAME_OPEN:
		on_open(c, n, &f);
		return;
	case FRAME_DATA:
	case FRAME_CREDIT:
	case FRAME_CANCEL:
		on_call_frame(c, n, &f);
		return;
	case FRAME_FINISH:
		broke_rules(c, "a finish frame from the client");
		return;
	case FRAME_PING:
		if (!f.ack && may_go_on(c, &n->controls, c->server->o.limits.controls_per_s,
				      RPC_LIMIT_CONTROLS, "too many pings")) {
			frame_put_ping(transport_out(c->transport), f.number, true);
			transport_commit(c->transport);
		}
		return;
	case FRAME_GOAWAY: /* the client opens no more */
		c->draining = c->refusing = true;
		conn_settle(c);
		return;
	}
}

/* A frame beyond the limit: its call gets a status, the others go on, its bytes are dropped. */
static void on_long_frame(struct rpc_conn *c, struct native *n, size_t len, struct str head)
{
	size_t max = c->server->o.limits.max_message;
	uint64_t id = frame_peek_call(head);
	struct rpc_call *call = find_call(n, id);
	struct status st = status_err(ST_RESOURCE_EXHAUSTED,
		"the frame has %zu bytes; messages of at most %zu are allowed", len, max);
	server_limit(c->server, RPC_LIMIT_MESSAGE);
	conn_spoke(c);
	if (id == 0 || len / SKIPPED_FRAMES > max) {
		conn_fail(c, &st);
		return;
	}
	if (call)
		call_abort(call, &st, NULL);
	else if (id > n->last_call)
		refuse(c, id, &st);
	if (id > n->last_call)
		n->last_call = id;
	n->skip = n->skip_frame = len;
}

static size_t skip(struct native *n, size_t len)
{
	size_t some = len < n->skip ? len : n->skip;
	n->skip -= some;
	return some;
}

static size_t native_feed(struct rpc_conn *c, const char *bytes, size_t len)
{
	struct native *n = c->wire_state;
	const struct rpc_limits *l = &c->server->o.limits;
	size_t max = l->max_message + l->max_metadata + ENVELOPE, pos = 0, frame = 0;
	while (!c->closing && !transport_is_pressed(c->transport)) {
		pos += skip(n, len - pos);
		frame = 0;
		if (len - pos < FRAME_HEADER)
			break;
		if (!frame_header(bytes + pos, &frame)) {
			struct status st = status_err(ST_INVALID_ARGUMENT,
				"malformed frame: its flags are 0x%02x and must be 0",
				(unsigned)(unsigned char)bytes[pos]);
			conn_fail(c, &st);
			break;
		}
		struct str have = {bytes + pos + FRAME_HEADER, len - pos - FRAME_HEADER};
		if (have.len < frame && (frame <= max || have.len < FRAME_PEEK))
			break;
		pos += FRAME_HEADER;
		if (frame > max) {
			on_long_frame(c, n, frame, have);
			continue;
		}
		pos += frame;
		on_frame(c, n, str_make(have.ptr, frame));
	}
	bool partial = n->skip > 0 || pos < len;
	c->partial_need = !partial ? 0 : n->skip ? n->skip_frame : FRAME_HEADER + frame;
	return pos;
}

const struct rpc_wire native_wire = {
	"native", native_open, native_feed, native_goaway, NULL, NULL, native_close};

/* ---- the protocol: frames out ---- */

static void send_now(struct rpc_call *call, const ProtobufCMessage *message, size_t len)
{
	struct transport *t = call->conn->transport;
	protobuf_c_message_pack(message, frame_data_begin(transport_out(t), call->id, len));
	call->send_credit -= (int64_t)(len + FRAME_MESSAGE_COST);
	transport_commit(t);
}

static void queue(struct rpc_call *call, const ProtobufCMessage *message, size_t len)
{
	const struct rpc_limits *l = &call->server->o.limits;
	if (call->queue.len + len > l->max_buffered + l->max_message) {
		struct status st = status_err(ST_RESOURCE_EXHAUSTED,
			"the client takes the messages of this stream too slowly");
		call_abort(call, &st, NULL);
		return;
	}
	buf_add(&call->queue, &len, sizeof(len));
	buf_reserve(&call->queue, len);
	protobuf_c_message_pack(message, (uint8_t *)call->queue.ptr + call->queue.len);
	call->queue.len += len;
}

static void flush_queue(struct rpc_call *call)
{
	struct transport *t = call->conn->transport;
	size_t pos = 0, len;
	while (call->send_credit > 0 && pos < call->queue.len) {
		memcpy(&len, call->queue.ptr + pos, sizeof(len));
		pos += sizeof(len);
		memcpy(frame_data_begin(transport_out(t), call->id, len), call->queue.ptr + pos,
			len);
		pos += len;
		call->send_credit -= (int64_t)(len + FRAME_MESSAGE_COST);
		transport_commit(t);
	}
	if (pos)
		buf_drop(&call->queue, pos);
}

static bool native_is_waiting(const struct rpc_call *call)
{
	return call->queue.len > 0;
}

static bool native_is_writable(const struct rpc_call *call)
{
	return call->send_credit > 0 && call->queue.len == 0 &&
	       !transport_is_pressed(call->conn->transport);
}

static bool native_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	if (call->send_credit > 0 && call->queue.len == 0)
		send_now(call, message, len);
	else
		queue(call, message, len);
	return !call->gone && native_is_writable(call);
}

static void native_finish(struct rpc_call *call, const ProtobufCMessage *reply,
	const struct status *st, const struct rpc_details *details)
{
	struct transport *t = call->conn->transport;
	if (reply) {
		size_t len = protobuf_c_message_get_packed_size(reply);
		protobuf_c_message_pack(reply, frame_finish_begin(transport_out(t), call->id, len));
	} else {
		struct buf packed = {0};
		if (!status_is_ok(st))
			rpc_status_pack(&packed, st, details);
		frame_put_finish(transport_out(t), call->id, buf_str(&packed));
		buf_finish(&packed);
	}
	transport_commit(t);
}

/* Credit goes back in larger pieces than a message. */
static void native_consumed(struct rpc_call *call, size_t bytes)
{
	struct transport *t = call->conn->transport;
	call->ungranted += (uint32_t)bytes + FRAME_MESSAGE_COST;
	if (call->ungranted < GRANT_FROM || call->ended)
		return;
	frame_put_credit(transport_out(t), call->id, call->ungranted);
	call->receive_credit += call->ungranted;
	call->ungranted = 0;
	transport_commit(t);
}

static const struct rpc_protocol native_protocol = {"native", native_send, native_is_writable,
	native_is_waiting, native_finish, native_consumed, NULL};
