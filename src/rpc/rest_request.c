/* A request as its method's message: the body, then the query, then what the headers say, then the
 * path, which none of them can overrule. */
#include "rpc/rest.h"
#include "base/arena.h"
#include "rpc/call_impl.h"
#include "rpc/pbjson.h"

static int find_field(const struct rpc_message *m, struct str name)
{
	for (unsigned i = 0; i < m->n_fields; i++)
		if (str_is(name, m->fields[i].name) || str_is(name, m->fields[i].json_name))
			return (int)i;
	return -1;
}

/* The path of what a query calls `name`: a page's fields stand there without it. */
static struct str path_of(struct arena *a, const struct rpc_message *m, struct str name)
{
	struct str rest = name, first = str_cut(&rest, '.');
	if (find_field(m, first) >= 0)
		return name;
	for (unsigned i = 0; i < m->n_fields; i++)
		if (m->fields[i].is_flat && find_field(m->fields[i].message, first) >= 0)
			return str_of(
				arena_fmt(a, "%s." STR_FMT, m->fields[i].name, STR_ARG(name)));
	return name;
}

static bool is_repeated(const struct rpc_message *m, struct str name)
{
	int i = find_field(m, name);
	return i >= 0 && m->descriptor->fields[i].label == PROTOBUF_C_LABEL_REPEATED;
}

static struct status check_name(const struct rpc_route *route, const struct rpc_message *m,
	struct str name, struct str before)
{
	for (unsigned i = 0; i < route->n_fields; i++)
		if (str_is(name, route->fields[i]))
			return status_err(ST_INVALID_ARGUMENT,
				"%s: stands in the path, and cannot stand in the query too",
				route->fields[i]);
	while (before.len > 0 && !is_repeated(m, name)) {
		struct str item = str_cut(&before, '&');
		if (str_eq(str_cut(&item, '='), name))
			return status_err(ST_INVALID_ARGUMENT,
				STR_FMT ": stands twice in the query", STR_ARG(name));
	}
	return status_ok();
}

static struct status take_parameter(const struct rpc_call *call, struct arena *a,
	ProtobufCMessage *message, struct str item)
{
	const struct http_exchange *x = call->exchange;
	const struct rest *r = x->state;
	const struct rpc_message *m = call->method->input;
	struct str before = str_make(x->query.ptr, (size_t)(item.ptr - x->query.ptr));
	struct str name = str_cut(&item, '=');
	struct str value = item.ptr ? item : STR("");
	if (!http_decode(a, name, true, &name) || !http_decode(a, value, true, &value))
		return status_err(ST_INVALID_ARGUMENT,
			"the query is malformed: %% stands before two hexadecimal digits");
	if (!str_is_utf8(name) || memchr(name.ptr, '\0', name.len))
		return status_err(ST_INVALID_ARGUMENT, "a name in the query is not valid UTF-8");
	if (r->route->body && strcmp(r->route->body, "*") == 0)
		return status_err(ST_INVALID_ARGUMENT,
			"\"%.64s\": nothing stands in the query here; the body takes it", name.ptr);
	struct status st = check_name(r->route, m, name, before);
	return status_is_ok(&st) ? pbjson_set(a, m, message, path_of(a, m, name), value) : st;
}

static struct status take_query(
	const struct rpc_call *call, struct arena *a, ProtobufCMessage *message)
{
	struct str rest = call->exchange->query;
	struct status st = status_ok();
	unsigned n = 0;
	while (rest.len > 0 && status_is_ok(&st)) {
		struct str item = str_cut(&rest, '&');
		if (item.len > 0)
			st = take_parameter(call, a, message, item);
		if (++n > HTTP_FIELDS_MAX)
			st = status_err(ST_INVALID_ARGUMENT,
				"the query has more than %d parameters", HTTP_FIELDS_MAX);
	}
	return st;
}

/* `"text"` or text. */
static struct str unquote(struct str s)
{
	return s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"'
		       ? str_make(s.ptr + 1, s.len - 2)
		       : s;
}

/* RFC 9110 §13.1.1, of one version: lists and weak ones fit none of ours. */
static struct status take_if_match(
	const struct rpc_call *call, struct arena *a, ProtobufCMessage *message)
{
	struct str etag = http_header(call->exchange, "if-match");
	if (etag.len == 0 || str_is(etag, "*"))
		return status_ok();
	etag = unquote(etag);
	if (etag.len == 0 || memchr(etag.ptr, '"', etag.len))
		return status_err(ST_INVALID_ARGUMENT,
			"if-match is one ETag as it came, in double quotes, or *");
	return pbjson_set(a, call->method->input, message, STR("etag"), etag);
}

static struct status take_headers(
	const struct rpc_call *call, struct arena *a, ProtobufCMessage *message)
{
	const struct rpc_method *m = call->method;
	struct str key = http_header(call->exchange, "idempotency-key");
	struct str last = http_header(call->exchange, "last-event-id");
	struct status st = status_ok();
	if (key.len > 0 && m->takes_request_id)
		st = pbjson_set(a, m->input, message, STR("request_id"), unquote(key));
	if (status_is_ok(&st) && m->takes_etag)
		st = take_if_match(call, a, message);
	if (status_is_ok(&st) && last.len > 0 && m->resume_from)
		st = pbjson_set(a, m->input, message, str_of(m->resume_from), last);
	return st;
}

static struct status take_path(
	const struct rpc_call *call, struct arena *a, ProtobufCMessage *message)
{
	const struct rest *r = call->exchange->state;
	struct status st = status_ok();
	for (unsigned i = 0; i < r->route->n_fields && status_is_ok(&st); i++) {
		struct str value;
		if (!http_decode(a, r->variables[i], false, &value))
			return status_err(ST_INVALID_ARGUMENT,
				"the path is malformed: %% stands before two hexadecimal digits");
		st = pbjson_set(
			a, call->method->input, message, str_of(r->route->fields[i]), value);
	}
	return st;
}

struct status rest_message(const struct rpc_call *call, struct arena *a, struct str body,
	ProtobufCMessage **ret_message)
{
	const struct rest *r = call->exchange->state;
	const struct rpc_message *m = call->method->input;
	ProtobufCMessage *message = pbjson_new(a, m->descriptor);
	struct status st = status_ok();
	if (r->route->body && body.len > 0)
		st = strcmp(r->route->body, "*") == 0
			     ? pbjson_merge(a, m, body, message)
			     : pbjson_merge_field(a, m, message, r->route->body, body);
	if (status_is_ok(&st))
		st = take_query(call, a, message);
	if (status_is_ok(&st))
		st = take_headers(call, a, message);
	if (status_is_ok(&st))
		st = take_path(call, a, message);
	*ret_message = message;
	return st;
}
