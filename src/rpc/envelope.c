#include "rpc/envelope.h"
#include <strings.h>
#include "rpc/call_impl.h"
#include "rpc/codec.h"
#include "rpc/conn.h"
#include "rpc/gzip.h"
#include "rpc/http.h"
#include "rpc/server_impl.h"

static size_t length_at(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;
	return (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
}

static void put_head(char *p, unsigned flags, size_t len)
{
	const unsigned char head[] = {(unsigned char)flags, (unsigned char)(len >> 24),
		(unsigned char)(len >> 16), (unsigned char)(len >> 8), (unsigned char)len};
	memcpy(p, head, sizeof(head));
}

/* ---- in ---- */

static void refuse(struct http_exchange *x, struct status st)
{
	x->call->quiet = true;
	call_abort(x->call, &st, NULL);
}

static void refuse_long(struct http_exchange *x, size_t len, size_t max)
{
	server_limit(x->conn->server, RPC_LIMIT_MESSAGE);
	refuse(x, status_err(ST_RESOURCE_EXHAUSTED,
			  "the message has %zu bytes; at most %zu are allowed", len, max));
}

/* False: the message's header breaks a rule, and the call was aborted. */
static bool check_head(struct http_exchange *x, const struct envelope_state *s, const char *head)
{
	size_t max = x->conn->server->o.limits.max_message, len = length_at(head + 1);
	unsigned flags = (unsigned char)head[0];
	if (flags & ~ENVELOPE_COMPRESSED)
		refuse(x, status_err(ST_INVALID_ARGUMENT, "a message has the flags 0x%02x", flags));
	else if (flags & ENVELOPE_COMPRESSED && !s->gzip_in)
		refuse(x, status_err(ST_INTERNAL, "a message is marked as compressed, but the "
						  "header names no encoding"));
	else if (len > max)
		refuse_long(x, len, max);
	else
		return true;
	return false;
}

static void deliver(struct http_exchange *x, const char *head, bool end)
{
	struct str payload = {head + ENVELOPE_HEADER, length_at(head + 1)};
	struct buf plain = {0};
	struct status st = status_ok();
	if (head[0]) {
		st = gzip_unpack(&plain, payload, x->conn->server->o.limits.max_message);
		payload = buf_str(&plain);
		if (st.code == ST_RESOURCE_EXHAUSTED)
			server_limit(x->conn->server, RPC_LIMIT_MESSAGE);
	}
	x->call->compressed = head[0] != 0;
	if (status_is_ok(&st))
		call_receive(x->call, true, payload, end);
	else
		call_abort(x->call, &st, NULL);
	buf_finish(&plain);
}

/* The one message is delivered when it is known that no second follows. */
static void receive_one(struct http_exchange *x, const struct envelope_state *s, bool ended)
{
	const char *path = x->call->method->path;
	size_t have = x->in.len, len = ENVELOPE_HEADER;
	if (have >= ENVELOPE_HEADER) {
		if (!check_head(x, s, x->in.ptr))
			return;
		len += length_at(x->in.ptr + 1);
	}
	if (have > len)
		refuse(x, status_err(ST_UNIMPLEMENTED, "%s takes one message; a second one came",
				  path));
	else if (!ended)
		http_expect(x, true);
	else if (have == 0)
		refuse(x, status_err(ST_UNIMPLEMENTED, "%s takes one message; none came", path));
	else if (have < len)
		refuse(x, status_err(ST_INVALID_ARGUMENT, "the message is cut off"));
	else
		deliver(x, x->in.ptr, true);
}

static void receive_many(struct http_exchange *x, const struct envelope_state *s, bool ended)
{
	size_t pos = 0;
	while (x->call && x->in.len - pos >= ENVELOPE_HEADER) {
		const char *head = x->in.ptr + pos;
		size_t len = ENVELOPE_HEADER + length_at(head + 1);
		if (!check_head(x, s, head) || len > x->in.len - pos)
			break;
		pos += len;
		deliver(x, head, false);
	}
	buf_drop(&x->in, pos);
	if (!x->call)
		return;
	if (!ended)
		http_expect(x, x->in.len > 0);
	else if (x->in.len > 0)
		refuse(x, status_err(ST_INVALID_ARGUMENT, "the last message is cut off"));
	else
		call_receive(x->call, false, STR(""), true);
}

void envelope_receive(struct http_exchange *x, const struct envelope_state *s, bool ended)
{
	if (x->call->method->client_streaming)
		receive_many(x, s, ended);
	else
		receive_one(x, s, ended);
}

/* ---- out ---- */

void envelope_put_raw(struct buf *b, unsigned flags, struct str payload)
{
	buf_reserve(b, ENVELOPE_HEADER);
	put_head(b->ptr + b->len, flags, payload.len);
	b->len += ENVELOPE_HEADER;
	buf_add_str(b, payload);
}

void envelope_put(struct buf *b, const struct envelope_state *s, const struct rpc_codec *codec,
	const struct rpc_message *type, const struct ProtobufCMessage *message)
{
	size_t at = b->len;
	envelope_put_raw(b, 0, STR(""));
	codec->pack(b, type, message);
	size_t len = b->len - at - ENVELOPE_HEADER;
	put_head(b->ptr + at, 0, len);
	if (!s->gzip_out || len < GZIP_FROM)
		return;
	struct buf packed = {0};
	gzip_pack(&packed, str_make(b->ptr + at + ENVELOPE_HEADER, len));
	if (packed.len < len) {
		b->len = at;
		envelope_put_raw(b, ENVELOPE_COMPRESSED, buf_str(&packed));
	}
	buf_finish(&packed);
}

/* ---- encodings ---- */

static bool is_word(struct str s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

int envelope_encoding(struct str name)
{
	name = str_trim(name);
	if (name.len == 0 || is_word(name, "identity"))
		return 0;
	return is_word(name, "gzip") ? 1 : -1;
}

bool envelope_accepts_gzip(struct str list)
{
	while (list.len > 0) {
		struct str item = str_cut(&list, ',');
		struct str name = str_trim(str_cut(&item, ';'));
		if (is_word(name, "gzip"))
			return !str_is(str_trim(item), "q=0");
	}
	return false;
}
