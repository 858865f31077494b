/* A request as its method's message: the body, then the query, then what the headers say, then the
 * path. What one of them says another one cannot say otherwise. */
#include "rpc/rest.h"
#include "base/arena.h"
#include "rpc/call_impl.h"
#include "rpc/pbjson.h"

#define NAME_DEPTH 8 /* of a field in a query */

static int find_field(const struct rpc_message *m, struct str name)
{
	for (unsigned i = 0; i < m->n_fields; i++)
		if (str_is(name, m->fields[i].name) || str_is(name, m->fields[i].json_name))
			return (int)i;
	return -1;
}

/* A field as the tables name it: "page.page_size" of "pageSize" and "page.pageSize"; a page's fields
 * stand in a query without it. What is none stays as it is. */
struct named {
	const char *path;
	bool is_repeated;
};

static struct named name_of(struct arena *a, const struct rpc_message *m, struct str text)
{
	struct named found = {"", false};
	struct str rest = text, first = str_cut(&rest, '.');
	rest = text;
	for (unsigned i = 0; find_field(m, first) < 0 && i < m->n_fields; i++)
		if (m->fields[i].is_flat && find_field(m->fields[i].message, first) >= 0) {
			found.path = m->fields[i].name;
			m = m->fields[i].message;
			break;
		}
	for (unsigned depth = 0; rest.ptr; depth++) {
		const char *dot = found.path[0] ? "." : "";
		struct str left = rest, part = str_cut(&rest, '.');
		int i = m && depth < NAME_DEPTH ? find_field(m, part) : -1;
		if (i < 0) {
			found.path = arena_fmt(a, "%s%s" STR_FMT, found.path, dot, STR_ARG(left));
			found.is_repeated = false;
			break;
		}
		found.path = arena_fmt(a, "%s%s%s", found.path, dot, m->fields[i].name);
		found.is_repeated = m->descriptor->fields[i].label == PROTOBUF_C_LABEL_REPEATED;
		m = m->fields[i].message;
	}
	return found;
}

/* What the query has said so far. */
struct query {
	const char *names[HTTP_FIELDS_MAX];
	unsigned n;
};

static struct status check_name(const struct rpc_route *route, const struct query *q, const struct named *name)
{
	for (unsigned i = 0; i < route->n_fields; i++)
		if (strcmp(name->path, route->fields[i]) == 0)
			return status_err(ST_INVALID_ARGUMENT,
				"%s: stands in the path, and cannot stand in the query too",
				route->fields[i]);
	for (unsigned i = 0; i < q->n && !name->is_repeated; i++)
		if (strcmp(name->path, q->names[i]) == 0)
			return status_err(ST_INVALID_ARGUMENT, "%s: stands twice in the query", name->path);
	return status_ok();
}

static struct status take_parameter(const struct rpc_call *call, struct arena *a,
	ProtobufCMessage *message, struct str item, struct query *q)
{
	const struct rest *r = call->exchange->state;
	const struct rpc_message *m = call->method->input;
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
	if (q->n == HTTP_FIELDS_MAX)
		return status_err(ST_INVALID_ARGUMENT, "the query has more than %d parameters", HTTP_FIELDS_MAX);
	const struct named field = name_of(a, m, name);
	struct status st = check_name(r->route, q, &field);
	q->names[q->n++] = field.path;
	return status_is_ok(&st) ? pbjson_set(a, m, message, str_of(field.path), value) : st;
}

static struct status take_query(
	const struct rpc_call *call, struct arena *a, ProtobufCMessage *message)
{
	struct str rest = call->exchange->query;
	struct query q = {.n = 0};
	struct status st = status_ok();
	while (rest.len > 0 && status_is_ok(&st)) {
		struct str item = str_cut(&rest, '&');
		if (item.len > 0)
			st = take_parameter(call, a, message, item, &q);
	}
	return st;
}

/* Of what stands in the path, or a header: does the request say something else already? (A number that is
 * not there is 0.) */
static bool says_another(const struct rpc_message *m, const ProtobufCMessage *message, const char *field, struct str text)
{
	struct buf said = {0};
	bool another = pbjson_text(&said, m, message, field) && said.len > 0 &&
		       !str_is(buf_str(&said), "0") && !str_eq(buf_str(&said), text);
	buf_finish(&said);
	return another;
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
	if (says_another(call->method->input, message, "etag", etag))
		return status_err(ST_INVALID_ARGUMENT, "etag: stands in if-match, and is another one in the request");
	return pbjson_set(a, call->method->input, message, STR("etag"), etag);
}

static struct status take_headers(
	const struct rpc_call *call, struct arena *a, ProtobufCMessage *message)
{
	const struct rpc_method *m = call->method;
	struct str key = unquote(http_header(call->exchange, "idempotency-key"));
	struct str last = http_header(call->exchange, "last-event-id");
	struct status st = status_ok();
	if (key.len > 0 && m->takes_request_id && says_another(m->input, message, "request_id", key))
		st = status_err(ST_INVALID_ARGUMENT,
			"request_id: stands in the idempotency-key, and is another one in the body");
	else if (key.len > 0 && m->takes_request_id)
		st = pbjson_set(a, m->input, message, STR("request_id"), key);
	if (status_is_ok(&st) && m->takes_etag)
		st = take_if_match(call, a, message);
	if (status_is_ok(&st) && last.len > 0 && m->resume_from)
		st = pbjson_set(a, m->input, message, str_of(m->resume_from), last);
	return st;
}

/* Of "stack.name" in the path: nothing else says anything of the stack; of another one, its id would
 * win over the path. */
static struct status check_path(const struct rpc_route *route, const struct rpc_message *m, const ProtobufCMessage *message)
{
	for (unsigned i = 0; i < route->n_fields; i++) {
		struct str rest = str_of(route->fields[i]), first = str_cut(&rest, '.');
		int at = find_field(m, first);
		if (!rest.ptr || at < 0 || (route->body && str_is(first, route->body)))
			continue;
		const void *place = (const char *)message + m->descriptor->fields[at].offset;
		if (*(const ProtobufCMessage *const *)place)
			return status_err(ST_INVALID_ARGUMENT,
				"%s: stands in the path, and cannot stand in the query or body too", m->fields[at].name);
	}
	return status_ok();
}

static struct status take_path(
	const struct rpc_call *call, struct arena *a, ProtobufCMessage *message)
{
	const struct rest *r = call->exchange->state;
	const struct rpc_message *m = call->method->input;
	struct status st = check_path(r->route, m, message);
	for (unsigned i = 0; i < r->route->n_fields && status_is_ok(&st); i++) {
		const char *field = r->route->fields[i];
		struct str value;
		if (!http_decode(a, r->variables[i], false, &value))
			return status_err(ST_INVALID_ARGUMENT,
				"the path is malformed: %% stands before two hexadecimal digits");
		if (says_another(m, message, field, value))
			return status_err(ST_INVALID_ARGUMENT, "%s: stands in the path, and is another one in the body", field);
		st = pbjson_set(a, m, message, str_of(field), value);
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
