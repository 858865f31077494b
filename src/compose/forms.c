#include "compose/forms.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* ---- shell words ---- */

enum shell_state { BETWEEN, WORD, SINGLE, DOUBLE };

static void add_word(struct arena *a, struct compose_strings *words, size_t *cap, struct buf *b)
{
	if (words->len == *cap) {
		*cap = *cap ? *cap * 2 : 8;
		const char **items = arena_array(a, const char *, *cap);
		if (words->len)
			memcpy(items, words->items, words->len * sizeof(*items));
		words->items = items;
	}
	words->items[words->len++] = str_dup(a, buf_str(b));
	b->len = 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One character in a given state; *p may be moved on over what belongs to it. */
static enum shell_state shell_step(
	const char **p, enum shell_state state, struct buf *b, const char **ret_error)
{
	char c = **p;
	if (c == '\\' && state != SINGLE) {
		if (!(*p)[1]) {
			*ret_error = "EOF found after escape character";
			return state;
		}
		buf_addc(b, *++*p);
		return state == BETWEEN ? WORD : state;
	}
	if (state == SINGLE || state == DOUBLE) {
		if (c == (state == SINGLE ? '\'' : '"'))
			return WORD;
		buf_addc(b, c);
		return state;
	}
	if (c == '\'' || c == '"')
		return c == '"' ? DOUBLE : SINGLE;
	if (is_space(c))
		return BETWEEN;
	if (c == '#' && state == BETWEEN) {
		*p += strcspn(*p, "\n");
		--*p;
		return BETWEEN;
	}
	buf_addc(b, c);
	return WORD;
}

const char *form_shell_words(struct arena *a, const char *text, struct compose_strings *ret_words)
{
	struct compose_strings words = {0};
	size_t cap = 0;
	struct buf b = {0};
	enum shell_state state = BETWEEN;
	const char *error = NULL;
	for (const char *p = text; *p && !error; p++) {
		enum shell_state was = state;
		state = shell_step(&p, state, &b, &error);
		if (was != BETWEEN && state == BETWEEN)
			add_word(a, &words, &cap, &b);
	}
	if (!error && (state == SINGLE || state == DOUBLE))
		error = "EOF found when expecting closing quote";
	if (!error && state == WORD)
		add_word(a, &words, &cap, &b);
	buf_finish(&b);
	if (!error)
		*ret_words = words;
	return error;
}

/* ---- ports ---- */

static bool port_number(struct str s, int64_t *ret_port)
{
	int64_t v;
	if (s.len == 0 || s.ptr[0] < '0' || s.ptr[0] > '9' || !str_to_i64(s, &v) || v > 65535)
		return false;
	*ret_port = v;
	return true;
}

static bool port_range(struct str s, int64_t *ret_first, int64_t *ret_last)
{
	const char *dash = memchr(s.ptr, '-', s.len);
	if (!dash) {
		if (!port_number(s, ret_first))
			return false;
		*ret_last = *ret_first;
		return true;
	}
	size_t n = (size_t)(dash - s.ptr);
	return port_number(str_make(s.ptr, n), ret_first) &&
	       port_number(str_make(dash + 1, s.len - n - 1), ret_last) && *ret_last >= *ret_first;
}

static bool is_ip(struct arena *a, struct str s)
{
	unsigned char bytes[16];
	const char *text = str_dup(a, s);
	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

struct port_spec {
	struct str ip, protocol;
	bool published;
	int64_t host_first, host_last, first, last;
};

/* In any case of letters; what is none of the three stays as it is. */
static struct str lower_protocol(struct str s)
{
	static const char *const known[] = {"tcp", "udp", "sctp"};
	for (size_t i = 0; i < 3; i++)
		if (strlen(known[i]) == s.len && strncasecmp(known[i], s.ptr, s.len) == 0)
			return str_of(known[i]);
	return s;
}

static const char *read_port(struct arena *a, struct str text, struct port_spec *s)
{
	struct str target = text, host = {0};
	s->protocol = STR("tcp");
	const char *slash = memchr(text.ptr, '/', text.len);
	if (slash) {
		size_t n = (size_t)(slash - text.ptr);
		struct str protocol = str_make(slash + 1, text.len - n - 1);
		target = str_make(text.ptr, n);
		protocol = str_cut(&protocol, '/'); /* docker looks no further */
		if (protocol.len)
			s->protocol = lower_protocol(protocol);
	}
	const char *colon = memrchr(target.ptr, ':', target.len);
	if (colon) {
		host = str_make(target.ptr, (size_t)(colon - target.ptr));
		target = str_make(colon + 1, target.len - host.len - 1);
		colon = memrchr(host.ptr, ':', host.len);
		if (colon) {
			s->ip = str_make(host.ptr, (size_t)(colon - host.ptr));
			host = str_make(colon + 1, host.len - s->ip.len - 1);
		}
	}
	if (s->ip.len > 1 && s->ip.ptr[0] == '[' && s->ip.ptr[s->ip.len - 1] == ']')
		s->ip = str_make(s->ip.ptr + 1, s->ip.len - 2);
	if (s->ip.len && !is_ip(a, s->ip))
		return "the part in front is no IP address";
	if (!port_range(target, &s->first, &s->last))
		return "the target is no port and no range of ports";
	s->published = host.len != 0;
	if (s->published && !port_range(host, &s->host_first, &s->host_last))
		return "the published part is no port and no range of ports";
	if (s->published && s->first != s->last &&
		s->host_last - s->host_first != s->last - s->first)
		return "the two ranges are not of one length";
	if (!str_is(s->protocol, "tcp") && !str_is(s->protocol, "udp") &&
		!str_is(s->protocol, "sctp"))
		return "the protocol is none of tcp, udp, sctp";
	return NULL;
}

struct port_pair {
	int64_t target, published;
	char key[12];
};

static int by_key(const void *x, const void *y)
{
	const struct port_pair *a = x, *b = y;
	return strcmp(a->key, b->key);
}

const char *form_port(struct arena *a, const char *text, struct compose_mark at, bool docker_order,
	struct node *out)
{
	enum {
		MOST = 10000
	}; /* ports a service can publish by ranges; bounds what a short text becomes */
	struct port_spec s = {0};
	const char *error = read_port(a, str_of(text), &s);
	if (error)
		return error;
	int64_t span = s.last - s.first;
	if (s.published && span == 0)
		span = s.host_last - s.host_first;
	size_t n = (size_t)span + 1;
	if (out->seq.len + n > MOST)
		return "a service may have 10000 ports at most";
	struct port_pair *pairs = arena_array(a, struct port_pair, n);
	for (size_t i = 0; i < n; i++) {
		pairs[i].target = s.first == s.last ? s.first : s.first + (int64_t)i;
		pairs[i].published = s.published ? s.host_first + (int64_t)i : 0;
		(void)snprintf(pairs[i].key, sizeof(pairs[i].key), "%lld", (long long)pairs[i].target);
	}
	if (docker_order && s.first != s.last) /* docker sorts them as text: 100 before 99 */
		qsort(pairs, n, sizeof(*pairs), by_key);
	for (size_t i = 0; i < n; i++) {
		struct node *port = node_new(a, NODE_MAP, at);
		node_put(a, port, "target", at, node_int(a, pairs[i].target, at));
		if (s.published)
			node_put(a, port, "published", at, node_int(a, pairs[i].published, at));
		node_put(a, port, "protocol", at, node_string(a, str_dup(a, s.protocol), at));
		node_put(a, port, "mode", at, node_string(a, "ingress", at));
		if (s.ip.len)
			node_put(a, port, "host_ip", at, node_string(a, str_dup(a, s.ip), at));
		node_push(a, out, port);
	}
	return NULL;
}

/* ---- volumes ---- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_file_path(const char *source)
{
	return strchr("./~", source[0]) || (source[0] == '\\' && source[1] == '\\') ||
	       (is_letter(source[0]) && source[1] == ':');
}

static void volume_options(
	struct arena *a, struct str options, struct compose_mark at, struct node *mount)
{
	static const char *const propagations[] = {
		"private", "rprivate", "shared", "rshared", "slave", "rslave"};
	while (options.ptr) {
		struct str o = str_cut(&options, ',');
		if (str_is(o, "ro") || str_is(o, "rw")) {
			node_remove(mount, "read_only");
			node_put(a, mount, "read_only", at, node_bool(a, str_is(o, "ro"), at));
		} else if (str_is(o, "nocopy")) {
			struct node *volume = node_new(a, NODE_MAP, at);
			node_put(a, volume, "nocopy", at, node_bool(a, true, at));
			node_remove(mount, "volume");
			node_put(a, mount, "volume", at, volume);
		}
		for (size_t i = 0; i < sizeof(propagations) / sizeof(*propagations); i++) {
			if (!str_is(o, propagations[i]))
				continue;
			struct node *bind = node_new(a, NODE_MAP, at);
			node_put(a, bind, "propagation", at, node_string(a, propagations[i], at));
			node_remove(mount, "bind");
			node_put(a, mount, "bind", at, bind);
		}
	}
}

/* The length of the next part: up to a colon that does not belong to a drive letter. */
static size_t volume_part(struct str s)
{
	size_t n = 0;
	while (n < s.len && (s.ptr[n] != ':' || (n == 1 && is_letter(s.ptr[0]))))
		n++;
	return n;
}

const char *form_volume(
	struct arena *a, const char *text, struct compose_mark at, struct node **ret_mount)
{
	struct str parts[3], rest = str_of(text);
	size_t n = 0;
	if (rest.len == 0)
		return "invalid empty volume spec";
	if (rest.len <= 2) {
		parts[n++] = rest;
		rest.len = 0;
	}
	for (bool more = rest.len != 0; more;) {
		size_t len = volume_part(rest);
		more = len < rest.len;
		if (len == 0)
			return arena_fmt(a, "invalid spec: %s: empty section between colons", text);
		if (n == 3 || (n == 2 && more))
			return arena_fmt(a, "invalid spec: %s: too many colons", text);
		parts[n++] = str_make(rest.ptr, len);
		rest = more ? str_make(rest.ptr + len + 1, rest.len - len - 1) : rest;
	}
	struct node *mount = node_new(a, NODE_MAP, at);
	const char *source = n > 1 ? str_dup(a, parts[0]) : NULL;
	const char *type = source && is_file_path(source) ? "bind" : "volume";
	node_put(a, mount, "type", at, node_string(a, type, at));
	if (source)
		node_put(a, mount, "source", at, node_string(a, source, at));
	node_put(a, mount, "target", at, node_string(a, str_dup(a, parts[n > 1 ? 1 : 0]), at));
	if (n == 3)
		volume_options(a, parts[2], at, mount);
	*ret_mount = mount;
	return NULL;
}

/* ---- numbers ---- */

static bool digits(struct str s, unsigned base, __int128 *value, int *ret_count)
{
	int n = 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
			     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
			     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
						    : 99;
		if (d >= base || *value > ((__int128)1 << 90))
			return false;
		*value = *value * (__int128)base + (__int128)d;
		n++;
	}
	*ret_count = n;
	return true;
}

/* [0x|0o|0b]digits */
static bool whole(struct str s, __int128 *ret_value)
{
	unsigned base = 10;
	if (s.len > 2 && s.ptr[0] == '0') {
		char p = (char)(s.ptr[1] | 0x20);
		base = p == 'x' ? 16 : p == 'o' ? 8 : p == 'b' ? 2 : 10;
		if (base != 10)
			s = str_make(s.ptr + 2, s.len - 2);
	}
	int count;
	*ret_value = 0;
	return digits(s, base, ret_value, &count) && count > 0;
}

/* digits[.digits][e[+-]digits] as mantissa and power of ten */
static bool decimal(struct str s, __int128 *ret_mantissa, int64_t *ret_power)
{
	size_t end = 0;
	while (end < s.len && s.ptr[end] != 'e' && s.ptr[end] != 'E')
		end++;
	struct str number = str_make(s.ptr, end), fraction = {0};
	int64_t power = 0;
	if (end < s.len) {
		struct str e = str_make(s.ptr + end + 1, s.len - end - 1);
		if (e.len && e.ptr[0] == '+')
			e = str_make(e.ptr + 1, e.len - 1);
		if (!str_to_i64(e, &power) || power > 40 || power < -40)
			return false;
	}
	const char *dot = memchr(number.ptr, '.', number.len);
	if (dot) {
		size_t n = (size_t)(dot - number.ptr);
		fraction = str_make(dot + 1, number.len - n - 1);
		number.len = n;
	}
	int before = 0, after = 0;
	*ret_mantissa = 0;
	if (!digits(number, 10, ret_mantissa, &before) ||
		!digits(fraction, 10, ret_mantissa, &after))
		return false;
	*ret_power = power - after;
	return before + after > 0;
}

const char *form_cpus(struct arena *a, const char *text, int64_t *ret_nano)
{
	struct str s = str_of(text);
	bool negative = s.len && s.ptr[0] == '-';
	if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
		s = str_make(s.ptr + 1, s.len - 1);
	const char *bad = arena_fmt(a, "failed to parse %s as a rational number", text);
	__int128 top, bottom = 1;
	int64_t power = 0;
	const char *slash = memchr(s.ptr, '/', s.len);
	if (slash) {
		size_t n = (size_t)(slash - s.ptr);
		if (!whole(str_make(s.ptr, n), &top) ||
			!whole(str_make(slash + 1, s.len - n - 1), &bottom) || bottom == 0)
			return bad;
	} else if (!whole(s, &top) && !decimal(s, &top, &power)) {
		return bad;
	}
	if (top > INT64_MAX || bottom > INT64_MAX)
		return "value is too precise";
	for (power += 9; power > 0 && top <= INT64_MAX; power--)
		top *= 10;
	for (; power < 0 && bottom <= INT64_MAX; power++)
		bottom *= 10;
	if (top == 0)
		bottom = 1;
	if (top % bottom != 0 || top / bottom > INT64_MAX || (power > 0 && top != 0) ||
		(power < 0 && top != 0))
		return "value is too precise";
	*ret_nano = negative ? -(int64_t)(top / bottom) : (int64_t)(top / bottom);
	return NULL;
}

const char *form_size_error(struct arena *a, const char *text)
{
	size_t len = strlen(text), end = len;
	while (end > 0 && !strchr("0123456789. ", text[end - 1]))
		end--;
	if (end == 0)
		return arena_fmt(a, "invalid size: '%s'", text);
	const char *suffix = text + end;
	size_t number = text[end - 1] == ' ' ? end - 1 : end;
	double value;
	if (!str_to_double(str_make(text, number), &value))
		return arena_fmt(a, "strconv.ParseFloat: parsing \"%.*s\": invalid syntax",
			(int)number, text);
	if (value < 0 || *suffix == '\0')
		return arena_fmt(a, "invalid size: '%s'", text);
	char *lower = arena_strdup(a, suffix);
	for (char *p = lower; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
	return arena_fmt(a, "invalid suffix: '%s'", lower);
}

const char *form_path(struct arena *a, const char *dir, const char *path)
{
	struct str rest = str_of(path[0] == '/' ? path : arena_fmt(a, "%s/%s", dir, path));
	struct buf b = {0};
	while (rest.ptr) {
		struct str part = str_cut(&rest, '/');
		if (part.len == 0 || str_is(part, "."))
			continue;
		if (str_is(part, "..")) {
			while (b.len && b.ptr[b.len - 1] != '/')
				b.len--;
			if (b.len)
				b.len--;
			continue;
		}
		if (b.len || path[0] == '/' || dir[0] == '/')
			buf_addc(&b, '/');
		buf_add_str(&b, part);
	}
	const char *text = b.len ? str_dup(a, buf_str(&b)) : "/";
	buf_finish(&b);
	return text;
}
