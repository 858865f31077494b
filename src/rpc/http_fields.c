#include "rpc/http_fields.h"
#include "base/arena.h"
#include "rpc/http.h"

#define ONE(text) {text, sizeof(text) - 1}

/* Fields of which the first one is taken. */
static const struct {
	const char *name;
	size_t len;
} singles[] = {ONE("host"), ONE("if-match"), ONE("grpc-timeout"), ONE("content-type"), ONE("authorization"), ONE("last-event-id"),
	ONE("grpc-encoding"), ONE("idempotency-key"), ONE("content-encoding"), ONE("connect-timeout-ms")};
#define SINGLES (sizeof(singles) / sizeof(singles[0]))
#define HOST    0
/* Their lengths: most fields have another one. */
#define LENGTHS (1U << 4 | 1U << 8 | 1U << 12 | 1U << 13 | 1U << 15 | 1U << 16 | 1U << 18)

/* RFC 3986's characters of a host and a port; empty is allowed. */
static bool is_host(struct str s)
{
	static const char others[] = "-._~!$&'()*+,;=:[]%";
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!plain && (c == '\0' || !strchr(others, c)))
			return false;
	}
	return true;
}

static unsigned single_of(struct str name)
{
	unsigned k = 0;
	if (name.len > 18 || !(LENGTHS >> name.len & 1))
		return SINGLES;
	while (k < SINGLES && (name.len != singles[k].len || memcmp(name.ptr, singles[k].name, name.len) != 0))
		k++;
	return k;
}

const char *http_fields_wrong(const struct http_exchange *x)
{
	unsigned seen = 0;
	for (unsigned i = 0; i < x->n_fields; i++) {
		const struct http_field *f = &x->fields[i];
		unsigned k = single_of(f->name);
		if (k == SINGLES)
			continue;
		if (seen & 1U << k)
			return arena_fmt(x->arena, "%s: stands twice", singles[k].name);
		seen |= 1U << k;
		if (k == HOST && !is_host(f->value))
			return "host: is none: a name or an address, and a port";
		if (k == HOST && x->authority.len > 0 && !str_eq(f->value, x->authority))
			return "host: is not what :authority says";
	}
	return NULL;
}
