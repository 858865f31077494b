#include "rpc/pbjson.h"
#include <stdio.h>
#include "base/arena.h"
#include "base/map.h"
#include "rpc/method.h"
#include "rpc/pbjson_impl.h"
#include "rpc/prescan.h"

/* The way to the present value; written out only when something is wrong. */
struct level {
	const struct level *up;
	struct str name; /* of a field or map key; empty: an element */
	size_t index;
	unsigned depth;
};

struct reader {
	struct lex lex;
	struct prescan_budget left;
	struct status *st; /* the first failure */
};

static bool read_message(struct reader *r, const struct rpc_message *m, ProtobufCMessage *message,
	struct lex_token t, const struct level *at);

/* ---- failing ---- */

static void write_path(struct buf *b, const struct level *at)
{
	if (!at)
		return;
	write_path(b, at->up);
	if (at->name.len == 0 && at->up)
		buf_fmt(b, "[%zu]", at->index);
	else if (at->name.len > 0)
		buf_fmt(b, "%s" STR_FMT, b->len ? "." : "",
			(int)(at->name.len < 64 ? at->name.len : 64), at->name.ptr);
}

static bool fail(struct reader *r, enum st_code code, const struct level *at, const char *what)
{
	struct buf path = {0};
	write_path(&path, at);
	if (r->st->code == ST_OK)
		*r->st = status_err(
			code, "%.200s%s%s", buf_str(&path).ptr, path.len ? ": " : "", what);
	buf_finish(&path);
	return false;
}

static bool wrong(struct reader *r, const struct level *at, const char *what)
{
	return fail(r, ST_INVALID_ARGUMENT, at, what);
}

static bool bad_text(struct reader *r, const struct level *at)
{
	char words[160];
	(void)snprintf(words, sizeof(words), "not JSON at byte %td: %s", r->lex.at - r->lex.start,
		r->lex.wrong);
	return wrong(r, at, words);
}

static bool spend(struct reader *r, const struct level *at, size_t elements, size_t memory)
{
	if (elements > r->left.elements)
		return fail(r, ST_RESOURCE_EXHAUSTED, at, "the message has too many elements");
	if (memory > r->left.memory)
		return fail(r, ST_RESOURCE_EXHAUSTED, at, "the message would need too much memory");
	r->left.elements -= elements;
	r->left.memory -= memory;
	return true;
}

/* ---- values ---- */

static bool is_string(struct lex_token t)
{
	return t.kind == LEX_STRING;
}

static ProtobufCMessage *make(
	struct reader *r, const struct level *at, const ProtobufCMessageDescriptor *d)
{
	return spend(r, at, 1, d->sizeof_message) ? pbjson_new(r->lex.arena, d) : NULL;
}

static bool store(struct reader *r, const struct rpc_message *type,
	const ProtobufCFieldDescriptor *d, struct lex_token t, void *to, const struct level *at)
{
	if (t.kind == LEX_BAD)
		return bad_text(r, at);
	if (d->type == PROTOBUF_C_TYPE_MESSAGE && type) {
		ProtobufCMessage *inner = *(ProtobufCMessage **)to;
		if (!inner)
			inner = make(r, at, type->descriptor);
		*(ProtobufCMessage **)to = inner;
		return inner && read_message(r, type, inner, t, at);
	}
	if (!spend(r, at, is_string(t), t.text.len))
		return false;
	const char *what = pbjson_store(r->lex.arena, d, t, false, to);
	return !what || wrong(r, at, what);
}

/* Room for one more element; arrays grow by doubling inside the arena. */
static void *append(struct reader *r, const ProtobufCFieldDescriptor *d, ProtobufCMessage *message,
	const struct level *at)
{
	size_t *n = (size_t *)(void *)((char *)message + d->quantifier_offset);
	char **items = (char **)(void *)((char *)message + d->offset);
	size_t size = pbjson_size_of(d->type);
	if ((*n & (*n - 1)) == 0) { /* 0, 1, 2, 4 …: full */
		size_t cap = *n ? *n * 2 : 1;
		if (!spend(r, at, 0, cap * size))
			return NULL;
		char *fresh = arena_zalloc_array(r->lex.arena, size, cap);
		if (*n)
			memcpy(fresh, *items, *n * size);
		*items = fresh;
	}
	return *items + (*n)++ * size;
}

static bool read_list(struct reader *r, const struct rpc_field *f,
	const ProtobufCFieldDescriptor *d, ProtobufCMessage *message, const struct level *up)
{
	struct level at = {.up = up, .depth = up->depth};
	if (lex_take(&r->lex, ']'))
		return true;
	do {
		struct lex_token t = lex_next(&r->lex);
		bool null_fits = f->message && f->message->wkt == RPC_WKT_VALUE;
		null_fits |= d->type == PROTOBUF_C_TYPE_ENUM;
		if (t.kind == LEX_NULL && !null_fits)
			return wrong(r, &at, "an element must not be null");
		void *to = append(r, d, message, &at);
		if (!to || !store(r, f->message, d, t, to, &at))
			return false;
		at.index++;
	} while (lex_take(&r->lex, ','));
	r->lex.wrong = "a comma or ] is expected";
	return lex_take(&r->lex, ']') || bad_text(r, up);
}

static ProtobufCMessage *new_entry(struct reader *r, const struct rpc_field *f,
	const ProtobufCFieldDescriptor *d, ProtobufCMessage *message, const struct level *at,
	struct lex_token key)
{
	ProtobufCMessage *entry = make(r, at, f->message->descriptor);
	void *to = entry ? append(r, d, message, at) : NULL;
	const ProtobufCFieldDescriptor *k = &f->message->descriptor->fields[0];
	if (!to)
		return NULL;
	*(ProtobufCMessage **)to = entry;
	const char *what = pbjson_store(r->lex.arena, k, key, true, (char *)entry + k->offset);
	if (what)
		(void)wrong(r, at, what);
	return what ? NULL : entry;
}

static bool read_entries(struct reader *r, const struct rpc_field *f,
	const ProtobufCFieldDescriptor *d, ProtobufCMessage *message, const struct level *up,
	struct map *seen)
{
	const ProtobufCFieldDescriptor *v = &f->message->descriptor->fields[1];
	do {
		struct lex_token key = lex_next(&r->lex);
		struct level at = {.up = up, .name = key.text, .depth = up->depth};
		if (key.kind != LEX_STRING || !lex_take(&r->lex, ':')) {
			r->lex.wrong = r->lex.wrong ? r->lex.wrong : "a key and : are expected";
			return bad_text(r, up);
		}
		if (map_put(seen, key.text, r))
			return wrong(r, &at, "stands twice");
		ProtobufCMessage *entry = new_entry(r, f, d, message, &at, key);
		struct lex_token t = lex_next(&r->lex);
		bool null_fits = f->message->fields[1].message &&
				 f->message->fields[1].message->wkt == RPC_WKT_VALUE;
		if (t.kind == LEX_NULL && !null_fits)
			return wrong(r, &at, "must not be null");
		if (!entry || !store(r, f->message->fields[1].message, v, t,
				      (char *)entry + v->offset, &at))
			return false;
	} while (lex_take(&r->lex, ','));
	r->lex.wrong = "a comma or } is expected";
	return lex_take(&r->lex, '}') || bad_text(r, up);
}

static bool read_map(struct reader *r, const struct rpc_field *f, const ProtobufCFieldDescriptor *d,
	ProtobufCMessage *message, const struct level *at)
{
	struct map seen;
	if (lex_take(&r->lex, '}'))
		return true;
	map_init(&seen);
	bool fine = read_entries(r, f, d, message, at, &seen);
	map_finish(&seen);
	return fine;
}

/* ---- fields ---- */

static int find_field(const struct rpc_message *m, struct str name)
{
	for (unsigned i = 0; i < m->n_fields; i++)
		if (str_is(name, m->fields[i].json_name) || str_is(name, m->fields[i].name))
			return (int)i;
	return -1;
}

/* False: another member of the oneof is set. */
static bool choose(ProtobufCMessage *message, const ProtobufCFieldDescriptor *d)
{
	uint32_t *which = (uint32_t *)(void *)((char *)message + d->quantifier_offset);
	if (*which && *which != d->id)
		return false;
	*which = d->id;
	return true;
}

static bool is_null(
	const struct rpc_field *f, const ProtobufCFieldDescriptor *d, struct lex_token t)
{
	bool is_value = f->message && !f->is_map && f->message->wkt == RPC_WKT_VALUE;
	bool is_enum = d->type == PROTOBUF_C_TYPE_ENUM &&
		       strcmp(((const ProtobufCEnumDescriptor *)d->descriptor)->name,
			       "google.protobuf.NullValue") == 0;
	return t.kind == LEX_NULL &&
	       ((!is_value && !is_enum) || d->label == PROTOBUF_C_LABEL_REPEATED);
}

static bool read_field(struct reader *r, const struct rpc_message *m, unsigned i,
	ProtobufCMessage *message, const struct level *at)
{
	const struct rpc_field *f = &m->fields[i];
	const ProtobufCFieldDescriptor *d = &m->descriptor->fields[i];
	struct lex_token t = lex_next(&r->lex);
	if (t.kind == LEX_BAD)
		return bad_text(r, at);
	if (is_null(f, d, t))
		return true;
	if (f->is_map)
		return t.kind == LEX_OBJECT ? read_map(r, f, d, message, at)
					    : wrong(r, at, "must be an object");
	if (d->label == PROTOBUF_C_LABEL_REPEATED)
		return t.kind == LEX_ARRAY ? read_list(r, f, d, message, at)
					   : wrong(r, at, "must be a list");
	if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && !choose(message, d))
		return wrong(r, at, "excludes another field that stands beside it");
	return store(r, f->message, d, t, (char *)message + d->offset, at);
}

/* Behind the opening brace. skip: a member that belongs to somebody else ("@type"), or NULL. */
static bool read_members(struct reader *r, const struct rpc_message *m, ProtobufCMessage *message,
	const struct level *up, const char *ignore)
{
	bool *seen = arena_zalloc(r->lex.arena, m->n_fields + 1);
	if (lex_take(&r->lex, '}'))
		return true;
	do {
		struct lex_token name = lex_next(&r->lex);
		struct level at = {.up = up, .name = name.text, .depth = up ? up->depth + 1 : 1};
		if (name.kind != LEX_STRING || !lex_take(&r->lex, ':')) {
			r->lex.wrong = name.kind == LEX_BAD ? r->lex.wrong
							    : "a member's name and : are expected";
			return bad_text(r, up);
		}
		if (ignore && str_is(name.text, ignore)) {
			if (!lex_skip(&r->lex, PRESCAN_MAX_DEPTH))
				return bad_text(r, &at);
			continue;
		}
		int i = find_field(m, name.text);
		if (i < 0)
			return wrong(r, &at, "there is no such field");
		if (seen[i])
			return wrong(r, &at, "stands twice");
		seen[i] = true;
		if (!read_field(r, m, (unsigned)i, message, &at))
			return false;
	} while (lex_take(&r->lex, ','));
	r->lex.wrong = "a comma or } is expected";
	return lex_take(&r->lex, '}') || bad_text(r, up);
}

/* ---- well-known types ---- */

static void *member(const struct rpc_message *m, ProtobufCMessage *message, unsigned i)
{
	return (char *)message + m->descriptor->fields[i].offset;
}

static bool read_moment(struct reader *r, const struct rpc_message *m, ProtobufCMessage *message,
	struct lex_token t, const struct level *at)
{
	bool is_time = m->wkt == RPC_WKT_TIMESTAMP;
	int64_t *seconds = member(m, message, 0);
	int32_t *nanos = member(m, message, 1);
	if (is_string(t) && (is_time ? pbjson_read_timestamp(t.text, seconds, nanos)
				     : pbjson_read_duration(t.text, seconds, nanos)))
		return true;
	return wrong(r, at,
		is_time ? "must be a time such as \"2026-03-01T12:00:00Z\""
			: "must be a duration such as \"1.5s\"");
}

/* The kinds of google.protobuf.Value by their field numbers. */
enum { KIND_NULL = 1, KIND_NUMBER, KIND_STRING, KIND_BOOL, KIND_STRUCT, KIND_LIST };

static bool read_any_value(struct reader *r, const struct rpc_message *m, ProtobufCMessage *message,
	struct lex_token t, const struct level *at)
{
	static const unsigned kinds[] = {[LEX_OBJECT] = KIND_STRUCT,
		[LEX_ARRAY] = KIND_LIST,
		[LEX_STRING] = KIND_STRING,
		[LEX_NUMBER] = KIND_NUMBER,
		[LEX_TRUE] = KIND_BOOL,
		[LEX_FALSE] = KIND_BOOL,
		[LEX_NULL] = KIND_NULL};
	const ProtobufCFieldDescriptor *d = &m->descriptor->fields[kinds[t.kind] - 1];
	*(uint32_t *)(void *)((char *)message + d->quantifier_offset) = d->id;
	return store(
		r, m->fields[kinds[t.kind] - 1].message, d, t, (char *)message + d->offset, at);
}

/* "a,bC" to {"a", "b_c"} */
static bool read_mask(struct reader *r, const struct rpc_message *m, ProtobufCMessage *message,
	struct lex_token t, const struct level *at)
{
	const ProtobufCFieldDescriptor *d = &m->descriptor->fields[0];
	struct str rest = t.text;
	if (!is_string(t))
		return wrong(r, at, "must be a string of names with commas between them");
	while (rest.len > 0) {
		struct str path = str_cut(&rest, ',');
		char *snake = arena_alloc(r->lex.arena, 2 * path.len + 1), *p = snake;
		if (path.len == 0 || memchr(path.ptr, '_', path.len))
			return wrong(
				r, at, "names are separated by commas and written in camelCase");
		for (size_t i = 0; i < path.len; i++) {
			bool is_upper = path.ptr[i] >= 'A' && path.ptr[i] <= 'Z';
			if (is_upper)
				*p++ = '_';
			*p++ = is_upper ? (char)(path.ptr[i] - 'A' + 'a') : path.ptr[i];
		}
		*p = '\0';
		if (!spend(r, at, 1, 2 * path.len))
			return false;
		char **to = append(r, d, message, at);
		if (!to)
			return false;
		*to = snake;
	}
	return true;
}

/* "@type" may stand anywhere: the object is walked once to find it, and once to be read. */
static bool find_type(struct reader *r, struct str *ret_url, const struct level *at)
{
	struct lex ahead = r->lex;
	*ret_url = STR("");
	if (lex_take(&ahead, '}'))
		return true;
	do {
		struct lex_token name = lex_next(&ahead);
		bool is_type = is_string(name) && str_is(name.text, "@type");
		if (!is_string(name) || !lex_take(&ahead, ':'))
			break;
		if (is_type) {
			struct lex_token t = lex_next(&ahead);
			*ret_url = t.text;
			return is_string(t) || wrong(r, at, "@type must be a string");
		}
		if (!lex_skip(&ahead, PRESCAN_MAX_DEPTH))
			break;
	} while (lex_take(&ahead, ','));
	return wrong(r, at, "an Any needs its \"@type\"");
}

/* Of a well-known type: {"@type": …, "value": …}. */
static bool read_any_wkt(struct reader *r, const struct rpc_message *type, ProtobufCMessage *inner,
	const struct level *at)
{
	bool found = false;
	if (lex_take(&r->lex, '}'))
		return wrong(r, at, "the Any has no value");
	do {
		struct lex_token name = lex_next(&r->lex);
		if (!is_string(name) || !lex_take(&r->lex, ':'))
			return bad_text(r, at);
		if (str_is(name.text, "@type")) {
			if (!lex_skip(&r->lex, 1))
				return bad_text(r, at);
		} else if (str_is(name.text, "value") && !found) {
			found = true;
			struct lex_token t = lex_next(&r->lex);
			if (t.kind == LEX_BAD)
				return bad_text(r, at);
			if (!read_message(r, type, inner, t, at))
				return false;
		} else {
			return wrong(
				r, at, "an Any of this type has \"@type\" and \"value\" alone");
		}
	} while (lex_take(&r->lex, ','));
	return (lex_take(&r->lex, '}') && found) || wrong(r, at, "the Any has no value");
}

static bool read_any(struct reader *r, const struct rpc_message *m, ProtobufCMessage *message,
	struct lex_token t, const struct level *at)
{
	struct str url;
	if (t.kind != LEX_OBJECT)
		return wrong(r, at, "must be an object");
	if (!find_type(r, &url, at))
		return false;
	if (url.len == 0)
		return lex_take(&r->lex, '}') || wrong(r, at, "@type names no known type");
	const char *slash = memrchr(url.ptr, '/', url.len);
	const struct rpc_message *type =
		slash ? rpc_registry_find(m->registry, str_of(slash + 1)) : NULL;
	if (!type)
		return wrong(r, at, "@type names no known type");
	ProtobufCMessage *inner = make(r, at, type->descriptor);
	struct level below = {.up = at, .name = STR("@type"), .depth = at ? at->depth + 1 : 1};
	if (!inner || (type->wkt == RPC_WKT_NONE ? !read_members(r, type, inner, &below, "@type")
						 : !read_any_wkt(r, type, inner, &below)))
		return false;
	size_t len = protobuf_c_message_get_packed_size(inner);
	ProtobufCBinaryData *value = member(m, message, 1);
	if (!spend(r, at, 1, len))
		return false;
	*value = (ProtobufCBinaryData){len, arena_alloc(r->lex.arena, len + 1)};
	protobuf_c_message_pack(inner, value->data);
	*(char **)member(m, message, 0) = (char *)url.ptr;
	return true;
}

/* ---- messages ---- */

static bool read_struct(struct reader *r, const struct rpc_message *m, ProtobufCMessage *message,
	struct lex_token t, const struct level *at)
{
	const struct level here = {.up = at ? at->up : NULL,
		.name = at ? at->name : STR(""),
		.index = at ? at->index : 0,
		.depth = at ? at->depth + 1 : 1};
	bool is_list = m->wkt == RPC_WKT_LIST_VALUE;
	if (t.kind != (is_list ? LEX_ARRAY : LEX_OBJECT))
		return wrong(r, at, is_list ? "must be a list" : "must be an object");
	return is_list ? read_list(r, &m->fields[0], &m->descriptor->fields[0], message, &here)
		       : read_map(r, &m->fields[0], &m->descriptor->fields[0], message, &here);
}

static bool read_message(struct reader *r, const struct rpc_message *m, ProtobufCMessage *message,
	struct lex_token t, const struct level *at)
{
	if (at && at->depth > PRESCAN_MAX_DEPTH)
		return fail(r, ST_RESOURCE_EXHAUSTED, NULL, "messages are nested deeper than 100");
	switch (m->wkt) {
	case RPC_WKT_NONE:
	case RPC_WKT_EMPTY:
		return t.kind == LEX_OBJECT ? read_members(r, m, message, at, NULL)
					    : wrong(r, at, "must be an object");
	case RPC_WKT_TIMESTAMP:
	case RPC_WKT_DURATION:
		return read_moment(r, m, message, t, at);
	case RPC_WKT_ANY:
		return read_any(r, m, message, t, at);
	case RPC_WKT_STRUCT:
	case RPC_WKT_LIST_VALUE:
		return read_struct(r, m, message, t, at);
	case RPC_WKT_VALUE:
		return read_any_value(r, m, message, t, at);
	case RPC_WKT_FIELD_MASK:
		return read_mask(r, m, message, t, at);
	case RPC_WKT_WRAPPER:
		return store(r, NULL, &m->descriptor->fields[0], t, member(m, message, 0), at);
	}
	return false;
}

ProtobufCMessage *pbjson_new(struct arena *a, const ProtobufCMessageDescriptor *d)
{
	ProtobufCMessage *m = arena_alloc(a, d->sizeof_message);
	d->message_init(m);
	return m;
}

static struct reader reader_of(struct arena *a, struct str text, struct status *st)
{
	*st = status_ok();
	return (struct reader){
		.lex = {text.ptr, text.ptr + text.len, text.ptr, a, NULL},
		.left = prescan_budget_for(text.len),
		.st = st,
	};
}

static void end(struct reader *r, bool fine)
{
	if (!fine || lex_at_end(&r->lex))
		return;
	r->lex.wrong = "something follows the value";
	(void)bad_text(r, NULL);
}

struct status pbjson_merge(
	struct arena *a, const struct rpc_message *m, struct str text, ProtobufCMessage *message)
{
	struct status st;
	struct reader r = reader_of(a, text, &st);
	struct lex_token t = lex_next(&r.lex);
	end(&r, t.kind == LEX_BAD ? bad_text(&r, NULL) : read_message(&r, m, message, t, NULL));
	return st;
}

struct status pbjson_merge_field(struct arena *a, const struct rpc_message *m,
	ProtobufCMessage *message, const char *field, struct str text)
{
	struct status st;
	struct reader r = reader_of(a, text, &st);
	int i = find_field(m, str_of(field));
	const struct level at = {.name = str_of(field), .depth = 1};
	if (i < 0)
		return status_err(ST_INTERNAL, "%s has no field %s", m->descriptor->name, field);
	end(&r, read_field(&r, m, (unsigned)i, message, &at));
	return st;
}

/* ---- single fields, from plain text ---- */

static bool set_scalar(struct reader *r, const struct rpc_field *f,
	const ProtobufCFieldDescriptor *d, void *to, struct str text, const struct level *at)
{
	struct lex_token t = {LEX_STRING, {str_dup(r->lex.arena, text), text.len}};
	if (!str_is_utf8(text) || memchr(text.ptr, 0, text.len))
		return wrong(r, at, "is not valid UTF-8");
	if (d->type != PROTOBUF_C_TYPE_MESSAGE) {
		const char *what = pbjson_store(r->lex.arena, d, t, true, to);
		return !what || wrong(r, at, what);
	}
	if (f->message->wkt == RPC_WKT_NONE || f->message->wkt == RPC_WKT_EMPTY)
		return wrong(r, at, "is a message: name one of its fields");
	if (f->message->wkt == RPC_WKT_WRAPPER) {
		ProtobufCMessage *inner = make(r, at, f->message->descriptor);
		*(ProtobufCMessage **)to = inner;
		const ProtobufCFieldDescriptor *value = &f->message->descriptor->fields[0];
		return inner && set_scalar(r, &f->message->fields[0], value,
					(char *)inner + value->offset, text, at);
	}
	return store(r, f->message, d, t, to, at);
}

static bool set_entry(struct reader *r, const struct rpc_field *f,
	const ProtobufCFieldDescriptor *d, ProtobufCMessage *message, struct str key,
	struct str text, const struct level *up)
{
	const struct level at = {.up = up, .name = key, .depth = up->depth};
	struct lex_token k = {LEX_STRING, {str_dup(r->lex.arena, key), key.len}};
	if (!str_is_utf8(key) || memchr(key.ptr, 0, key.len))
		return wrong(r, up, "has a key that is not valid UTF-8");
	const ProtobufCFieldDescriptor *v = &f->message->descriptor->fields[1];
	ProtobufCMessage *entry = new_entry(r, f, d, message, &at, k);
	return entry &&
	       set_scalar(r, &f->message->fields[1], v, (char *)entry + v->offset, text, &at);
}

static bool set_path(struct reader *r, const struct rpc_message *m, ProtobufCMessage *message,
	struct str path, struct str text, const struct level *up)
{
	struct str rest = path, name = str_cut(&rest, '.');
	const struct level at = {.up = up, .name = name, .depth = up ? up->depth + 1 : 1};
	int i = find_field(m, name);
	if (i < 0)
		return wrong(r, &at, "there is no such field");
	const struct rpc_field *f = &m->fields[i];
	const ProtobufCFieldDescriptor *d = &m->descriptor->fields[i];
	char *to = (char *)message + d->offset;
	if (f->is_map)
		return rest.ptr ? set_entry(r, f, d, message, rest, text, &at)
				: wrong(r, &at, "is a map: name a key, as in field.key");
	if (d->label == PROTOBUF_C_LABEL_REPEATED)
		to = rest.ptr ? NULL : append(r, d, message, &at);
	else if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && !choose(message, d))
		return wrong(r, &at, "excludes another field that is given too");
	if (!to || (rest.ptr && (!f->message || f->message->wkt != RPC_WKT_NONE)))
		return wrong(r, &at, "has no fields of its own here");
	if (!rest.ptr)
		return set_scalar(r, f, d, to, text, &at);
	ProtobufCMessage **inner = (ProtobufCMessage **)(void *)to;
	if (!*inner)
		*inner = pbjson_new(r->lex.arena, f->message->descriptor);
	return set_path(r, f->message, *inner, rest, text, &at);
}

struct status pbjson_set(struct arena *a, const struct rpc_message *m, ProtobufCMessage *message,
	struct str path, struct str text)
{
	struct status st;
	struct reader r = reader_of(a, text, &st);
	(void)set_path(&r, m, message, path, text, NULL);
	return st;
}
