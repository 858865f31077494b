#include "docker/call.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "docker/error.h"
#include "docker/reply.h"
#include "net/http_client.h"

#define PING_MS 10000
#define CALL_ROOM 16 /* results; a power of two */

static void negotiate(struct engine *e);

/* ---- the end ---- */

static void call_free(struct docker_call *c)
{
	list_remove(&c->node);
	reply_release(c);
	items_finish(&c->items);
	buf_finish(&c->body);
	arena_destroy(c->arena);
	free(c);
}

static void on_call_abort(struct op *op)
{
	struct docker_call *c = container_of(op, struct docker_call, op);
	if (c->http)
		http_request_drop(c->http);
	c->http = NULL;
	reply_drop(c);
}

static void on_call_complete(struct op *op)
{
	struct docker_call *c = container_of(op, struct docker_call, op);
	struct status st = op->st;
	list_remove(&c->node);
	if (st.code == ST_DEADLINE_EXCEEDED)
		st = status_wrap(&op->st, "the Docker Engine at %s", c->engine->where);
	c->deliver(c, &st, status_is_ok(&st) ? c->reply : NULL);
	call_free(c);
}

void docker_call_end(struct docker_call *c, const struct status *st)
{
	op_finish(&c->op, st);
	on_call_abort(&c->op);
}

void call_drop(struct docker_call *c)
{
	op_drop(&c->op);
	call_free(c);
}

static void cancel_list(struct list *calls)
{
	while (!list_empty(calls)) {
		struct docker_call *c = container_of(calls->next, struct docker_call, node);
		op_drop(&c->op);
		c->op.st = status_err(ST_CANCELLED, "cancelled: the Docker client was closed");
		on_call_complete(&c->op);
	}
}

void call_cancel_all(struct engine *e)
{
	cancel_list(&e->waiting);
	cancel_list(&e->sent);
}

/* ---- the request ---- */

/* Without a connection, or with another Engine's words, the agreed version may no longer hold. */
static struct status transport_status(struct engine *e, const struct status *st, bool sent)
{
	e->base.api = 0;
	if (st->code == ST_INTERNAL || st->code == ST_RESOURCE_EXHAUSTED) /* not HTTP; without an end */
		return status_make(ST_DATA_LOSS, st->origin, "%s", st->message);
	if (st->code == ST_UNAVAILABLE && !sent && !strstr(st->message, "Permission denied"))
		return status_make(st->code, st->origin, "%s; is dockerd running?", st->message);
	return *st;
}

struct status call_explain(const struct docker_call *c, const struct status *st)
{
	if (status_is_ok(st))
		return *st;
	enum st_code code = st->code == ST_UNAVAILABLE ? ST_UNAVAILABLE : ST_DATA_LOSS;
	return status_err(code, "the Docker Engine's reply to %s %s is %s", c->method, c->path,
		st->message);
}

static struct status read_reply(
	struct docker_call *c, const struct status *st, const struct http_response *r)
{
	if (!status_is_ok(st))
		return transport_status(c->engine, st, r->sent);
	c->answered = true;
	if (r->code >= 300 || r->code < 200) {
		if (str_starts(r->body, "{\"message\":\"client version"))
			c->engine->base.api = 0;
		return engine_error(r->code, r->body);
	}
	if (c->on_item) {
		struct status end = items_end(&c->items);
		return call_explain(c, &end);
	}
	return c->on_piece ? c->on_end(c) : status_ok();
}

static void on_http_done(void *data, const struct status *st, const struct http_response *r)
{
	struct docker_call *c = data;
	c->http = NULL;
	struct status result = read_reply(c, st, r);
	if (c->on_piece || c->on_item)
		op_finish(&c->op, &result);
	else
		reply_arrived(c, &result, status_is_ok(&result) ? r->body : STR(""));
}

static void on_http_open(void *data, const struct http_response *r)
{
	struct docker_call *c = data;
	(void)r;
	timer_stop(&c->op.deadline);
	if (c->on_open)
		c->on_open(c);
}

static bool on_http_data(void *data, struct str piece)
{
	struct docker_call *c = data;
	return c->on_piece(c, piece); /* c may be gone now */
}

static struct status on_item(void *data, struct str item)
{
	struct docker_call *c = data;
	return c->on_item(c, item);
}

/* A list of thousands is no reason to hold the loop up. */
static bool on_list_piece(void *data, struct str piece)
{
	struct docker_call *c = data;
	struct status st = items_feed(&c->items, piece, on_item, c);
	if (!status_is_ok(&st)) {
		st = call_explain(c, &st);
		docker_call_end(c, &st);
		return true;
	}
	if (!loop_must_yield(c->engine->loop))
		return true;
	http_request_continue(c->http);
	return false;
}

static void call_send(struct docker_call *c)
{
	struct engine *e = c->engine;
	const char *headers[3] = {NULL};
	size_t n = 0;
	if (c->body.len > 0)
		headers[n++] = "Content-Type: application/json";
	if (c->auth)
		headers[n++] = arena_fmt(c->arena, "X-Registry-Auth: %s", c->auth);
	struct http_request_options o = {.method = c->method,
		.url = arena_fmt(c->arena, "%s/v%s%s", e->url, e->api_version, c->path),
		.unix_socket = e->unix_socket,
		.peer = "the Docker Engine",
		.headers = headers,
		.body = c->body.len > 0 ? buf_str(&c->body) : (struct str){0},
		.on_done = on_http_done,
		.data = c};
	if (c->on_piece) {
		o.on_data = on_http_data;
		o.on_open = on_http_open;
	}
	if (c->on_item) {
		o.on_data = on_list_piece;
		o.pieces = true;
	}
	list_remove(&c->node);
	list_push(&e->sent, &c->node);
	e->base.requests++;
	c->http = http_request(e->http, &o);
	buf_finish(&c->body); /* it has its own */
}

struct docker_call *call_start(struct engine *e, const struct call_request *r)
{
	struct docker_call *c = mem_new(struct docker_call);
	c->engine = e;
	c->arena = arena_create_small();
	c->method = r->method;
	c->path = arena_strdup(c->arena, r->path);
	c->auth = arena_strdup(c->arena, r->auth);
	if (r->body)
		json_write(&c->body, r->body);
	c->deliver = r->deliver;
	c->on_open = r->on_open;
	c->on_piece = r->on_piece;
	c->on_end = r->on_end;
	c->on_item = r->on_item;
	c->done = r->done;
	c->data = r->data;
	op_start(&c->op, e->loop, r->ms ? r->ms : DOCKER_DEADLINE_MS, on_call_abort,
		on_call_complete);
	list_push(&e->waiting, &c->node);
	if (!status_is_ok(&r->bad))
		op_finish(&c->op, &r->bad);
	else if (e->base.api)
		call_send(c);
	else
		negotiate(e);
	return c;
}

struct docker_call *call_start_buf(struct engine *e, struct buf *path, struct call_request *r)
{
	r->path = path->ptr;
	struct docker_call *c = call_start(e, r);
	buf_finish(path);
	return c;
}

struct docker_call *call_list(
	struct docker *d, const char *base, const struct docker_filter *f, struct call_request *r)
{
	struct buf path = {0};
	r->method = "GET";
	buf_adds(&path, base);
	if (f)
		path_filters(&path, strchr(base, '?') ? '&' : '?',
			filter_add(filter_add(filter_add(NULL, "label", f->labels), "id", f->ids),
				"name", f->names));
	return call_start_buf(engine_of(d), &path, r);
}

struct docker_call *call_inspect(
	struct docker *d, const char *base, const char *id, struct call_request *r)
{
	struct buf path = {0};
	r->method = r->method ? r->method : "GET";
	buf_adds(&path, base);
	path_id(&path, "/", id, &r->bad);
	return call_start_buf(engine_of(d), &path, r);
}

struct docker_call *call_remove(struct docker *d, const char *base, const char *id, uint64_t ms,
	docker_on_done done, void *data)
{
	struct call_request r = {.method = "DELETE",
		.ms = ms,
		.deliver = call_deliver_none,
		.done.none = done,
		.data = data};
	return call_inspect(d, base, id, &r);
}

/* ---- the version ---- */

static struct status agree(struct engine *e, const struct http_response *r)
{
	const char *theirs = r->header(r, "Api-Version");
	uint64_t minor;
	if (r->code != 200)
		return engine_error(r->code, r->body);
	if (!theirs || strncmp(theirs, "1.", 2) != 0 || !str_to_u64(str_of(theirs + 2), &minor))
		return status_err(ST_FAILED_PRECONDITION,
			"%s does not answer like a Docker Engine: GET /_ping has no Api-Version",
			e->where);
	if (minor < DOCKER_API_MIN)
		return status_err(ST_FAILED_PRECONDITION,
			"the Docker Engine at %s speaks API %s only; 1.%d is needed: upgrade it to "
			"20.10 or newer",
			e->where, theirs, DOCKER_API_MIN);
	e->base.api = minor < DOCKER_API_MAX ? (unsigned)minor : DOCKER_API_MAX;
	(void)snprintf(e->api_version, sizeof e->api_version, "1.%u", e->base.api);
	return status_ok();
}

static void on_ping(void *data, const struct status *st, const struct http_response *r)
{
	struct engine *e = data;
	struct list waiting, *n;
	e->ping = NULL;
	struct status result = status_is_ok(st) ? agree(e, r) : transport_status(e, st, r->sent);
	list_init(&waiting);
	list_move_all(&waiting, &e->waiting);
	while ((n = list_pop(&waiting)) != NULL) {
		struct docker_call *c = container_of(n, struct docker_call, node);
		list_push(&e->sent, n);
		if (!status_is_ok(&result))
			op_finish(&c->op, &result);
		else if (op_is_running(&c->op))
			call_send(c);
	}
}

static void negotiate(struct engine *e)
{
	if (e->ping)
		return;
	char url[512];
	(void)snprintf(url, sizeof url, "%s/_ping", e->url);
	const struct http_request_options o = {.method = "GET",
		.url = url,
		.unix_socket = e->unix_socket,
		.peer = "the Docker Engine",
		.deadline_ms = PING_MS,
		.on_done = on_ping,
		.data = e};
	e->base.requests++;
	e->ping = http_request(e->http, &o);
}

/* ---- for the nouns ---- */

struct status call_bad_reply(const struct docker_call *c, const char *what)
{
	return status_err(ST_DATA_LOSS, "the Docker Engine's reply to %s %s has no %s", c->method,
		c->path, what);
}

void call_deliver_none(struct docker_call *c, const struct status *st, const json_t *reply)
{
	(void)reply;
	c->done.none(c->data, st);
}

void call_deliver_id(struct docker_call *c, const struct status *st, const json_t *reply)
{
	if (!status_is_ok(st)) {
		c->done.id(c->data, st, NULL, NULL);
		return;
	}
	const char *id = json_text(reply, "ID", json_text(reply, "Id", c->extra));
	const json_t *first = json_array_get(json_at(reply, "Warnings"), 0);
	const char *warning = json_text(first, "", json_text(reply, "Warning", ""));
	struct status bad = id ? status_ok() : call_bad_reply(c, "ID");
	c->done.id(c->data, &bad, id, id ? warning : NULL);
}

struct status call_count(
	const struct docker_call *c, const struct status *st, const json_t *reply, size_t *ret_n)
{
	*ret_n = 0;
	if (!status_is_ok(st))
		return *st;
	if (!json_is_array(reply) && !json_is_object(reply))
		return call_bad_reply(c, "list or object");
	*ret_n = json_is_array(reply) ? json_array_size(reply) : 1;
	return status_ok();
}

uint64_t known_hash(struct str text)
{
	static const uint64_t key[2] = {0x736b6570, 0x6b6e6f77};
	uint64_t hash = map_siphash13(key, text);
	return hash ? hash : 1;
}

static int compare_known(const void *left, const void *right)
{
	const struct known *a = left, *b = right;
	return (a->hash > b->hash) - (a->hash < b->hash);
}

void known_set(struct docker_call *c, const void *items, size_t n, size_t size, size_t hash_at)
{
	c->known = arena_array(c->arena, struct known, n);
	for (size_t i = 0; i < n; i++) {
		const unsigned char *item = (const unsigned char *)items + i * size;
		uint64_t hash;
		memcpy(&hash, item + hash_at, sizeof(hash));
		if (hash)
			c->known[c->n_known++] = (struct known){hash, item};
	}
	if (c->n_known)
		qsort(c->known, c->n_known, sizeof(*c->known), compare_known);
}

const void *known_find(const struct docker_call *c, uint64_t hash)
{
	const struct known key = {.hash = hash}, *found = NULL;
	if (c->n_known)
		found = bsearch(&key, c->known, c->n_known, sizeof(key), compare_known);
	return found ? found->item : NULL;
}

void *call_room(struct docker_call *c, size_t size)
{
	size_t n = c->n_extra++;
	if (n == 0 || (n >= CALL_ROOM && (n & (n - 1)) == 0)) {
		void *more = arena_zalloc_array(c->arena, size, n ? n * 2 : CALL_ROOM);
		if (n)
			memcpy(more, c->extra, n * size);
		c->extra = more;
	}
	return (unsigned char *)c->extra + n * size;
}

void path_escape(struct buf *path, const char *text, const char *keep)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			     (*p >= '0' && *p <= '9') || strchr("-._~", *p) || strchr(keep, *p);
		if (plain)
			buf_addc(path, (char)*p);
		else
			buf_fmt(path, "%%%02X", *p);
	}
}

void path_id(struct buf *path, const char *base, const char *id, struct status *ret_bad)
{
	if (id[0] == '\0' || id[0] == '.' || strchr(id, '/'))
		*ret_bad = status_err(ST_INVALID_ARGUMENT, "\"%s\" is not a name or an id", id);
	buf_adds(path, base);
	path_escape(path, id, "");
}

json_t *filter_add(json_t *filters, const char *key, const char *const *values)
{
	if (values == NULL || values[0] == NULL)
		return filters;
	json_t *set = json_object();
	for (size_t i = 0; values[i]; i++) {
		json_t *text =
			json_lossy(str_of(values[i])); /* never dropped: that would match all */
		(void)json_object_set_new(set, json_string_value(text), json_true());
		json_decref(text);
	}
	if (filters == NULL)
		filters = json_object();
	(void)json_object_set_new(filters, key, set);
	return filters;
}

void path_filters(struct buf *path, char separator, json_t *filters)
{
	if (filters == NULL)
		return;
	struct buf text = {0};
	json_write(&text, filters);
	json_decref(filters);
	buf_addc(path, separator);
	buf_adds(path, "filters=");
	path_escape(path, text.ptr, "");
	buf_finish(&text);
}

struct docker_pairs read_pairs(struct arena *a, const json_t *object)
{
	struct docker_pair *pairs = arena_array(a, struct docker_pair, json_object_size(object));
	size_t n = 0;
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)object, key, value)
	{
		if (json_is_string(value))
			pairs[n++] = (struct docker_pair){key, json_string_value(value)};
	}
	return (struct docker_pairs){pairs, n};
}

int64_t read_time_us(const json_t *j, const char *path)
{
	int64_t us = time_parse(json_text(j, path, ""));
	return us > 0 ? us : 0;
}
