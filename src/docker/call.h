/* call: one request to the Engine, from the version's negotiation to the typed completion. Private
 * to docker/: the nouns (services.c, tasks.c …) start calls and decode their replies here.
 *
 * A call waits in engine->waiting while the API version is not known, then stands in
 * engine->sent. Its op holds the deadline over both. */
#pragma once
#include "base/arena.h"
#include "base/list.h"
#include "docker/docker.h"
#include "docker/items.h"
#include "loop/op.h"

struct engine {
	struct docker base;
	struct loop *loop;
	struct http_client *http;
	char *unix_socket; /* or NULL */
	char *url;         /* "http://localhost", "http://10.0.0.1:2375" */
	char *where;       /* as the user wrote it */
	char api_version[8];
	struct http_request *ping; /* the negotiation under way */
	struct list waiting, sent, events;
	struct list arrived; /* replies that a long one holds up: reply.h */
};
static inline struct engine *engine_of(struct docker *d)
{
	return container_of(d, struct engine, base);
}

union call_done {
	docker_on_done none;
	docker_on_id id;
	docker_on_info info;
	docker_on_services services;
	docker_on_tasks tasks;
	docker_on_container container;
	docker_on_networks networks;
	docker_on_objects objects;
	docker_on_nodes nodes;
	docker_on_image image;
};

struct docker_call {
	struct list node;
	struct engine *engine;
	struct op op;
	struct arena *arena; /* results, and what the request needs until it is sent */
	const char *method, *path, *auth;
	struct buf body; /* until it is sent */
	struct http_request *http;
	struct reply *arrived; /* the reply is here and waits: reply.h */
	json_t *reply;
	bool reply_is_long;
	bool answered; /* the Engine has answered, perhaps with an error */
	/* Calls done. reply: NULL unless st is OK, and for replies without a body. */
	void (*deliver)(struct docker_call *c, const struct status *st, const json_t *reply);
	/* Streams only: on_piece returns false to pause; on_end: the server ended it, the result is
	 * the call's. */
	void (*on_open)(struct docker_call *c);
	bool (*on_piece)(struct docker_call *c, struct str piece);
	struct status (*on_end)(struct docker_call *c);
	/* Long lists only: each element by itself, as it comes; deliver gets no reply. */
	struct status (*on_item)(struct docker_call *c, struct str item);
	struct items items;
	struct known *known; /* what was in the list before, by the hash of its text */
	size_t n_known;
	union call_done done;
	void *data;
	void *extra; /* of the noun */
	size_t n_extra;
};

/* What a noun fills in; everything is copied. */
struct call_request {
	const char *method;
	const char *path;   /* behind the version: "/services?…" */
	const json_t *body; /* or NULL */
	const char *auth;   /* X-Registry-Auth or NULL */
	struct status bad;  /* not OK: the call fails with it, nothing is sent */
	uint64_t ms;
	void (*deliver)(struct docker_call *c, const struct status *st, const json_t *reply);
	void (*on_open)(struct docker_call *c);
	bool (*on_piece)(struct docker_call *c, struct str piece);
	struct status (*on_end)(struct docker_call *c);
	struct status (*on_item)(struct docker_call *c, struct str item);
	union call_done done;
	void *data;
};
struct docker_call *call_start(struct engine *e, const struct call_request *r);
/* `path` is freed. */
struct docker_call *call_start_buf(struct engine *e, struct buf *path, struct call_request *r);
/* What the nouns have in common: a list ("/services?status=true"; f may be NULL), one object, and its
 * removal. `base` is the list's path. Of r they need ms, deliver, done, data. */
struct docker_call *call_list(
	struct docker *d, const char *base, const struct docker_filter *f, struct call_request *r);
struct docker_call *call_inspect(
	struct docker *d, const char *base, const char *id, struct call_request *r);
struct docker_call *call_remove(struct docker *d, const char *base, const char *id, uint64_t ms,
	docker_on_done done, void *data);
/* An element of an earlier list. */
struct known {
	uint64_t hash;
	const void *item;
};
uint64_t known_hash(struct str text);
/* Those of `n` items, of `size` bytes each, that have a hash (`hash_at`: where). */
void known_set(struct docker_call *c, const void *items, size_t n, size_t size, size_t hash_at);
const void *known_find(const struct docker_call *c, uint64_t hash); /* NULL: it is new */
/* From on_item: room for one more result of `size` bytes, zeroed, in c->extra, which moves as it grows. */
void *call_room(struct docker_call *c, size_t size);
/* From on_piece: the stream is of no more use. */
void docker_call_end(struct docker_call *c, const struct status *st);
/* Ends it without completion, at once; c is gone. */
void call_drop(struct docker_call *c);
/* Completes every call with CANCELLED, now. */
void call_cancel_all(struct engine *e);

/* The same with whose reply it was that could not be read. UNAVAILABLE where it broke off, else DATA_LOSS. */
struct status call_explain(const struct docker_call *c, const struct status *st)
	__attribute__((warn_unused_result));
/* The reply's shape is wrong. */
struct status call_bad_reply(const struct docker_call *c, const char *what)
	__attribute__((warn_unused_result));
/* Delivers for calls that return nothing, or the id of what was made. */
void call_deliver_none(struct docker_call *c, const struct status *st, const json_t *reply);
void call_deliver_id(struct docker_call *c, const struct status *st, const json_t *reply);
/* Of a list: n and OK. Of one object: 1. Else the failure. ret_list is the array, or the object. */
struct status call_count(const struct docker_call *c, const struct status *st, const json_t *reply,
	size_t *ret_n) __attribute__((warn_unused_result));
static inline const json_t *call_item(const json_t *reply, size_t i)
{
	return json_is_array(reply) ? json_array_get(reply, i) : reply;
}

/* "/services/" + id; what cannot be one is told in ret_bad. */
void path_id(struct buf *path, const char *base, const char *id, struct status *ret_bad);
void path_escape(struct buf *path, const char *text, const char *keep);
/* filters=… of the lists that are not NULL or empty; {"label": {"a=b": true}, …} */
json_t *filter_add(json_t *filters, const char *key, const char *const *values);
void path_filters(struct buf *path, char separator, json_t *filters); /* filters is freed */

/* Reading: views of j, arrays in the arena. */
struct docker_pairs read_pairs(struct arena *a, const json_t *object);
int64_t read_time_us(const json_t *j, const char *path); /* 0 = absent, or Go's zero time */
