#include "rpc/client.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "net/transport.h"
#include "rpc/client_impl.h"
#include "rpc/codec.h"

#define METADATA_MAX 32
#define GRANT_FROM   (FRAME_FIRST_CREDIT / 4)

/* ---- life ---- */

struct rpc_client *rpc_client_create(struct loop *l, const struct rpc_client_options *o)
{
	struct rpc_client *c = mem_new(struct rpc_client);
	c->loop = l;
	c->connect_timeout_ms = o->connect_timeout_ms ? o->connect_timeout_ms : 5000;
	c->max_message = o->max_message ? o->max_message : (size_t)16 << 20;
	if (o->token && *o->token) {
		struct buf b = {0};
		buf_fmt(&b, "Bearer %s", o->token);
		c->authorization = b.ptr;
	}
	list_init(&c->calls);
	list_init(&c->waiting);
	for (size_t i = 0; i < CLIENT_BUCKETS; i++)
		list_init(&c->table[i]);
	c->arena = arena_create();
	c->ca = mem_strdup(o->ca);
	c->certificate = mem_strdup(o->certificate);
	c->key = mem_strdup(o->key);
	link_init(c, o->address);
	return c;
}

static void free_call(struct rpc_client_call *call)
{
	list_remove(&call->node);
	list_remove(&call->id_node);
	timer_stop(&call->deadline);
	defer_cancel(&call->cancel);
	buf_finish(&call->unsent);
	buf_finish(&call->queue);
	free(call);
}

static void free_calls(struct list *calls)
{
	while (!list_empty(calls))
		free_call(container_of(calls->next, struct rpc_client_call, node));
}

void client_enter(struct rpc_client *c)
{
	c->entered++;
}

void client_leave(struct rpc_client *c)
{
	if (--c->entered > 0 || !c->destroyed)
		return;
	arena_destroy(c->arena);
	free(c->host);
	free(c->address);
	free(c->ca);
	free(c->certificate);
	free(c->key);
	if (c->authorization)
		explicit_bzero(c->authorization, strlen(c->authorization));
	free(c->authorization);
	free(c);
}

void rpc_client_destroy(struct rpc_client *c)
{
	if (!c)
		return;
	client_enter(c);
	c->destroyed = true;
	link_finish(c);
	free_calls(&c->calls);
	free_calls(&c->waiting);
	client_leave(c);
}

/* ---- the end of a call ---- */

static void end_call(
	struct rpc_client_call *call, const struct status *st, const struct rpc_details *details)
{
	static const struct rpc_details none;
	struct rpc_client *c = call->client;
	void (*on_done)(void *, const struct status *, const struct rpc_details *) = call->on_done;
	void *data = call->data;
	free_call(call);
	client_enter(c);
	if (on_done)
		on_done(data, st, details ? details : &none);
	if (!c->destroyed && c->state == LINK_LEAVING)
		link_leave(c);
	client_leave(c);
}

void client_fail_calls(struct rpc_client *c, struct list *calls, const struct status *st)
{
	uint64_t last = c->last_id; /* callbacks may open new ones */
	client_enter(c);
	while (!c->destroyed && !list_empty(calls)) {
		struct rpc_client_call *call =
			container_of(calls->next, struct rpc_client_call, node);
		if (call->id > last)
			break;
		end_call(call, st, NULL);
	}
	client_leave(c);
}

static void send_cancel(struct rpc_client_call *call)
{
	if (!call->sent)
		return;
	frame_put_cancel(transport_out(call->client->transport), call->id);
	transport_commit(call->client->transport);
}

static void on_deadline(struct timer *t)
{
	struct rpc_client_call *call = container_of(t, struct rpc_client_call, deadline);
	struct status st = status_err(
		ST_DEADLINE_EXCEEDED, "no answer from %s in time", call->client->address);
	send_cancel(call);
	end_call(call, &st, NULL);
}

static void on_cancel(struct defer *d)
{
	struct rpc_client_call *call = container_of(d, struct rpc_client_call, cancel);
	struct status st = status_err(ST_CANCELLED, "cancelled");
	end_call(call, &st, NULL);
}

void rpc_client_cancel(struct rpc_client_call *call)
{
	send_cancel(call);
	defer_post(&call->cancel);
}

/* ---- frames out ---- */

/* Where this call's frames go now. */
static struct buf *out(struct rpc_client_call *call)
{
	return call->sent ? transport_out(call->client->transport) : &call->unsent;
}

static void commit(struct rpc_client_call *call)
{
	if (call->sent)
		transport_commit(call->client->transport);
}

static size_t collect_metadata(
	const struct rpc_client *c, const char *const *given, struct str ret[2 * METADATA_MAX])
{
	size_t n = 0;
	if (c->authorization) {
		ret[n++] = STR("authorization");
		ret[n++] = str_of(c->authorization);
	}
	for (; given && given[0] && n < 2 * METADATA_MAX; given += 2) {
		ret[n++] = str_of(given[0]);
		ret[n++] = str_of(given[1]);
	}
	return n / 2;
}

static void put_open(struct rpc_client_call *call, const struct rpc_client_call_options *o)
{
	struct str metadata[2 * METADATA_MAX];
	struct frame_open open = {
		.method = str_of(o->method),
		.timeout_ms = o->deadline_ms < UINT32_MAX ? (uint32_t)o->deadline_ms : UINT32_MAX,
		.end = o->request != NULL,
		.has_payload = o->request != NULL,
		.metadata = metadata,
		.n_metadata = collect_metadata(call->client, o->metadata, metadata),
	};
	if (o->request)
		open.payload_len = protobuf_c_message_get_packed_size(o->request);
	uint8_t *p = frame_open_begin(out(call), call->id, &open);
	if (o->request)
		protobuf_c_message_pack(o->request, p);
	commit(call);
}

struct rpc_client_call *rpc_client_call(
	struct rpc_client *c, const struct rpc_client_call_options *o)
{
	struct rpc_client_call *call = mem_new(struct rpc_client_call);
	call->client = c;
	call->id = ++c->last_id;
	call->reply = o->reply;
	call->on_message = o->on_message;
	call->on_writable = o->on_writable;
	call->on_done = o->on_done;
	call->data = o->data;
	call->send_credit = FRAME_FIRST_CREDIT;
	call->ended = o->request != NULL;
	timer_init_named(&call->deadline, c->loop, on_deadline, "rpc_client_deadline");
	defer_init_named(&call->cancel, c->loop, on_cancel, "rpc_client_cancel");
	call->sent = c->state == LINK_UP;
	list_push(call->sent ? &c->calls : &c->waiting, &call->node);
	list_push(&c->table[call->id % CLIENT_BUCKETS], &call->id_node);
	put_open(call, o);
	if (o->deadline_ms)
		timer_set(&call->deadline, o->deadline_ms);
	link_need(c);
	return call;
}

void client_send_waiting(struct rpc_client *c)
{
	list_for_each (&c->waiting, n) {
		struct rpc_client_call *call = container_of(n, struct rpc_client_call, node);
		buf_add_str(transport_out(c->transport), buf_str(&call->unsent));
		buf_finish(&call->unsent);
		call->sent = true;
	}
	list_move_all(&c->calls, &c->waiting);
	transport_commit(c->transport);
}

static bool is_writable(const struct rpc_client_call *call)
{
	return call->send_credit > 0 && call->queue.len == 0 &&
	       !(call->sent && transport_is_pressed(call->client->transport));
}

bool rpc_client_send(struct rpc_client_call *call, const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	assert(!call->ended);
	if (call->send_credit > 0 && call->queue.len == 0) {
		protobuf_c_message_pack(message, frame_data_begin(out(call), call->id, len));
		call->send_credit -= (int64_t)(len + FRAME_MESSAGE_COST);
		commit(call);
	} else {
		buf_add(&call->queue, &len, sizeof(len));
		buf_reserve(&call->queue, len);
		protobuf_c_message_pack(message, (uint8_t *)call->queue.ptr + call->queue.len);
		call->queue.len += len;
	}
	call->full = !is_writable(call);
	return !call->full;
}

void rpc_client_end(struct rpc_client_call *call)
{
	if (call->ended)
		return;
	call->ended = true;
	if (call->queue.len == 0) {
		frame_put_end(out(call), call->id);
		commit(call);
	}
}

static void flush_queue(struct rpc_client_call *call)
{
	size_t pos = 0, len;
	while (call->send_credit > 0 && pos < call->queue.len) {
		memcpy(&len, call->queue.ptr + pos, sizeof(len));
		pos += sizeof(len);
		memcpy(frame_data_begin(out(call), call->id, len), call->queue.ptr + pos, len);
		pos += len;
		call->send_credit -= (int64_t)(len + FRAME_MESSAGE_COST);
	}
	if (pos == 0)
		return;
	buf_drop(&call->queue, pos);
	if (call->queue.len == 0 && call->ended)
		frame_put_end(out(call), call->id);
	commit(call);
}

static void wake_writer(struct rpc_client_call *call)
{
	if (!call->full || call->ended || !is_writable(call))
		return;
	call->full = false;
	if (call->on_writable)
		call->on_writable(call->data);
}

void client_wake_writers(struct rpc_client *c)
{
	struct list calls;
	list_init(&calls);
	list_move_all(&calls, &c->calls); /* callbacks may add and end others */
	while (!list_empty(&calls)) {
		struct list *n = list_pop(&calls);
		list_push(&c->calls, n);
		wake_writer(container_of(n, struct rpc_client_call, node));
		if (c->destroyed)
			break;
	}
	free_calls(&calls); /* only after destroy is there anything */
}

/* ---- frames in ---- */

static struct rpc_client_call *find_call(struct rpc_client *c, uint64_t id)
{
	list_for_each (&c->table[id % CLIENT_BUCKETS], n) {
		struct rpc_client_call *call = container_of(n, struct rpc_client_call, id_node);
		if (call->id == id)
			return call;
	}
	return NULL;
}

/* False: the message was malformed, and the call is over. */
static bool deliver(struct rpc_client_call *call, struct str payload)
{
	struct rpc_client *c = call->client;
	ProtobufCMessage *message;
	struct status st = codec_proto_unpack(c->arena, call->reply, payload, &message);
	if (status_is_ok(&st)) {
		if (call->on_message)
			call->on_message(call->data, message);
		if (!c->destroyed)
			arena_reset(c->arena);
		return true;
	}
	st = status_err(ST_INTERNAL, "the server's answer is malformed: %s", st.message);
	end_call(call, &st, NULL);
	return false;
}

static void on_data_frame(struct rpc_client *c, struct rpc_client_call *call, const struct frame *f)
{
	if (!f->has_payload || !deliver(call, f->payload) || c->destroyed)
		return;
	call->ungranted += (uint32_t)f->payload.len + FRAME_MESSAGE_COST;
	if (call->ungranted < GRANT_FROM)
		return;
	frame_put_credit(transport_out(c->transport), call->id, call->ungranted);
	call->ungranted = 0;
	transport_commit(c->transport);
}

static void on_finish_frame(
	struct rpc_client *c, struct rpc_client_call *call, const struct frame *f)
{
	struct status st = status_ok();
	struct rpc_details details = {0};
	if (f->has_payload && (!deliver(call, f->payload) || c->destroyed))
		return;
	if (f->has_status && !rpc_status_unpack(c->arena, f->status, &st, &details))
		st = status_err(ST_INTERNAL, "the server's status is malformed");
	end_call(call, &st, &details);
	if (!c->destroyed)
		arena_reset(c->arena);
}

static void on_goaway_frame(struct rpc_client *c, const struct frame *f)
{
	struct rpc_details details;
	struct list refused;
	struct status st = status_err(
		ST_UNAVAILABLE, "%s took no more calls on this connection; try again", c->address);
	if (f->has_status && rpc_status_unpack(c->arena, f->status, &c->why, &details) &&
		!status_is_ok(&c->why))
		st = c->why;
	arena_reset(c->arena);
	c->state = LINK_LEAVING;
	list_init(&refused);
	list_for_each (&c->calls, n) {
		if (container_of(n, struct rpc_client_call, node)->id <= f->number)
			continue;
		list_remove(n);
		list_push(&refused, n);
	}
	while (!list_empty(&refused) && !c->destroyed)
		end_call(container_of(refused.next, struct rpc_client_call, node), &st, NULL);
	free_calls(&refused); /* there are some only when a callback destroyed the client */
	if (!c->destroyed)
		link_leave(c);
}

static void on_call_frame(struct rpc_client *c, const struct frame *f)
{
	struct rpc_client_call *call = find_call(c, f->call);
	if (!call) /* cancelled, or over by its deadline */
		return;
	if (f->kind == FRAME_DATA) {
		on_data_frame(c, call, f);
	} else if (f->kind == FRAME_FINISH) {
		on_finish_frame(c, call, f);
	} else if (f->kind == FRAME_CREDIT) {
		call->send_credit += f->credit;
		if (call->send_credit > INT32_MAX)
			call->send_credit = INT32_MAX;
		flush_queue(call);
		wake_writer(call);
	}
}

void client_on_frame(struct rpc_client *c, struct str bytes)
{
	struct frame f;
	const char *wrong = frame_parse(bytes, &f);
	if (wrong) {
		struct status st = status_err(ST_INTERNAL,
			"%s sent what is not Skep's protocol: malformed frame: %s", c->address,
			wrong);
		link_drop(c, &st);
		return;
	}
	switch (f.kind) {
	case FRAME_DATA:
	case FRAME_CREDIT:
	case FRAME_FINISH:
		on_call_frame(c, &f);
		return;
	case FRAME_PING:
		if (!f.ack) {
			frame_put_ping(transport_out(c->transport), f.number, true);
			transport_commit(c->transport);
		}
		return;
	case FRAME_GOAWAY:
		on_goaway_frame(c, &f);
		return;
	case FRAME_OPEN:
	case FRAME_CANCEL:
		return; /* a client's; nothing to do */
	}
}
