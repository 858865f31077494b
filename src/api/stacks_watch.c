/* skep.v1.Stacks.Watch: the stack now, and again whenever it reads differently after news of it. */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "api/hub.h"
#include "api/stacks.h"
#include "base/arena.h"
#include "crypto/crypto.h"

struct stack_watch {
	struct rpc_call *call;
	struct api_subscription news;
	struct db_stack_ref ref;
	struct uuid id; /* "" until the first answer */
	unsigned char sent[SHA256_LEN];
	bool reading, dirty, full, left;
};

static void read_stack(struct stack_watch *w);

static void leave(struct stack_watch *w, const struct status *st)
{
	api_hub_unsubscribe(&w->news);
	api_fail(w->call, st);
}

static bool has_left(struct stack_watch *w)
{
	struct status st = status_err(ST_CANCELLED, "the caller left");
	w->reading = false;
	if (!w->left)
		return false;
	leave(w, &st); /* which ends the call, and frees `w` */
	return true;
}

static void send_if_new(struct stack_watch *w, const struct db_stack *s)
{
	struct arena *a = arena_create();
	Skep__V1__Stack *m = api_stack(a, api_of(w->call), s);
	size_t len = skep__v1__stack__get_packed_size(m);
	uint8_t *bytes = arena_alloc(a, len + 1);
	unsigned char digest[SHA256_LEN];
	skep__v1__stack__pack(m, bytes);
	crypto_sha256(str_make((const char *)bytes, len), digest);
	if (memcmp(digest, w->sent, sizeof(digest)) != 0) {
		memcpy(w->sent, digest, sizeof(digest));
		w->full = !rpc_call_send(w->call, &m->base);
	}
	arena_destroy(a);
}

static void on_stack(void *data, const struct status *st, const struct db_stack *s)
{
	struct stack_watch *w = data;
	if (has_left(w))
		return;
	if (st->code == ST_NOT_FOUND && w->id.text[0]) {
		struct status removed = status_ok();
		leave(w, &removed);
		return;
	}
	if (!status_is_ok(st)) {
		leave(w, st);
		return;
	}
	if (!w->id.text[0]) {
		w->id = s->id;
		w->ref = (struct db_stack_ref){.id = w->id.text, .project = "", .name = ""};
		api_hub_subscribe(api_of(w->call)->hub, w->id.text, &w->news);
		w->dirty = true; /* what happened between reading and subscribing */
	}
	send_if_new(w, s);
	if (w->dirty && !w->full)
		read_stack(w);
}

static void read_stack(struct stack_watch *w)
{
	struct db *db = api_of(w->call)->db;
	struct db_scope scope = api_scope(w->call);
	w->reading = true;
	w->dirty = false;
	db->stacks->get(db, &scope, &w->ref, on_stack, w);
}

static void on_news(struct api_subscription *s)
{
	struct stack_watch *w = container_of(s, struct stack_watch, news);
	w->dirty = true;
	if (!w->reading && !w->full)
		read_stack(w);
}

static void on_writable(struct rpc_call *call)
{
	struct stack_watch *w = rpc_call_data(call);
	bool was_full = w->full;
	w->full = false;
	if (was_full && w->dirty && !w->reading)
		read_stack(w);
}

static void on_cancel(struct rpc_call *call)
{
	struct stack_watch *w = rpc_call_data(call);
	w->left = true;
	if (!w->reading)
		(void)has_left(w);
}

void api_stacks_watch(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__GetStackRequest *q = (const void *)request;
	if (!api_stack_ref_check(call, q->stack))
		return;
	struct stack_watch *w = arena_new(rpc_call_arena(call), struct stack_watch);
	w->call = call;
	w->ref = api_stack_ref(q->stack);
	w->news.on_news = on_news;
	list_init(&w->news.node);
	rpc_call_set_data(call, w);
	rpc_call_on_cancel(call, on_cancel);
	rpc_call_on_writable(call, on_writable);
	read_stack(w);
}
