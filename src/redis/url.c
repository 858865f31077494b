#include "redis/url.h"
#include "base/arena.h"

#define PORT         6379
#define DB_MAX       1000000
#define PATH_MAX_LEN 107 /* sun_path; hiredis would cut it silently */

static bool hex_digit(char c, unsigned *ret_value)
{
	if (c >= '0' && c <= '9')
		*ret_value = (unsigned)(c - '0');
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		*ret_value = (unsigned)((c | 0x20) - 'a' + 10);
	else
		return false;
	return true;
}

/* NULL: a bad escape, or a NUL. */
static const char *unescape(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		unsigned hi, lo;
		out[n] = s.ptr[i];
		if (s.ptr[i] == '%') {
			if (i + 2 >= s.len || !hex_digit(s.ptr[i + 1], &hi) ||
				!hex_digit(s.ptr[i + 2], &lo))
				return NULL;
			out[n] = (char)(hi << 4 | lo);
			i += 2;
		}
		if (out[n++] == '\0')
			return NULL;
	}
	out[n] = '\0';
	return out;
}

static struct status bad_escape(const char *what)
{
	return status_err(ST_INVALID_ARGUMENT, "the %s in the Redis URL has a bad %% escape", what);
}

/* "[user]:password@" in front of *rest; the last @ before the path ends it. */
static struct status parse_userinfo(struct arena *a, struct str *rest, struct redis_url *url)
{
	struct str authority = *rest;
	const char *at = NULL;
	for (size_t i = 0; i < authority.len && authority.ptr[i] != '/' && authority.ptr[i] != '?';
		i++)
		if (authority.ptr[i] == '@')
			at = authority.ptr + i;
	if (at == NULL)
		return status_ok();
	struct str info = str_make(rest->ptr, (size_t)(at - rest->ptr));
	*rest = str_make(at + 1, rest->len - info.len - 1);
	struct str user = str_cut(&info, ':');
	if (info.ptr == NULL)
		return status_err(
			ST_INVALID_ARGUMENT, "the Redis URL names a user without a password; write "
					     ":password@ for a password alone");
	if (user.len > 0 && (url->user = unescape(a, user)) == NULL)
		return bad_escape("user");
	if (info.len > 0 && (url->password = unescape(a, info)) == NULL)
		return bad_escape("password");
	return status_ok();
}

static struct status parse_db(struct str text, struct redis_url *url)
{
	uint64_t n;
	if (text.len == 0)
		return status_ok();
	if (!str_to_u64(text, &n) || n > DB_MAX)
		return status_err(ST_INVALID_ARGUMENT,
			"the database \"" STR_FMT "\" in the Redis URL is not a number",
			STR_ARG(text));
	url->db = (int)n;
	return status_ok();
}

static struct status parse_unix(struct arena *a, struct str rest, struct redis_url *url)
{
	struct str path = str_cut(&rest, '?');
	if (!str_starts(path, "/") || path.len < 2)
		return status_err(ST_INVALID_ARGUMENT,
			"the path in the Redis URL is not absolute: unix:///path");
	url->path = unescape(a, path);
	if (url->path == NULL)
		return bad_escape("path");
	if (strlen(url->path) > PATH_MAX_LEN)
		return status_err(ST_INVALID_ARGUMENT,
			"the socket path \"%s\" is longer than %d bytes", url->path, PATH_MAX_LEN);
	if (rest.len > 0 && !str_starts(rest, "db="))
		return status_err(ST_INVALID_ARGUMENT,
			"\"?" STR_FMT "\" in the Redis URL is not ?db=n", STR_ARG(rest));
	if (rest.len > 0)
		rest = str_make(rest.ptr + 3, rest.len - 3);
	return parse_db(rest, url);
}

static struct status parse_tcp(struct arena *a, struct str rest, struct redis_url *url)
{
	struct str hostport = str_cut(&rest, '/');
	struct str host, port = {NULL, 0};
	if (str_starts(hostport, "[")) {
		hostport = str_make(hostport.ptr + 1, hostport.len - 1);
		host = str_cut(&hostport, ']');
		if (hostport.ptr == NULL || (hostport.len > 0 && hostport.ptr[0] != ':'))
			return status_err(
				ST_INVALID_ARGUMENT, "the address in the Redis URL lacks its ]");
		if (hostport.len > 0)
			port = str_make(hostport.ptr + 1, hostport.len - 1);
	} else {
		host = str_cut(&hostport, ':');
		port = hostport;
	}
	url->host = unescape(a, host);
	if (url->host == NULL || url->host[0] == '\0')
		return status_err(
			ST_INVALID_ARGUMENT, "the Redis URL names no host: redis://host:port");
	uint64_t n = PORT;
	if (port.ptr && (!str_to_u64(port, &n) || n == 0 || n > 65535))
		return status_err(ST_INVALID_ARGUMENT,
			"the port \"" STR_FMT "\" in the Redis URL is not 1–65535", STR_ARG(port));
	url->port = (int)n;
	return parse_db(rest, url);
}

struct status redis_url_parse(struct arena *a, const char *text, struct redis_url *ret_url)
{
	struct redis_url url = {0};
	struct str rest = str_of(text);
	bool tcp = str_starts(rest, "redis://"), local = str_starts(rest, "unix://");
	if (str_starts(rest, "rediss://"))
		return status_err(ST_INVALID_ARGUMENT,
			"rediss:// (TLS) is not supported; use a unix socket or a tunnel");
	if (!tcp && !local)
		return status_err(ST_INVALID_ARGUMENT,
			"the Redis URL must begin with redis://host:port or unix:///path");
	size_t scheme = tcp ? 8 : 7;
	rest = str_make(rest.ptr + scheme, rest.len - scheme);
	struct status st = parse_userinfo(a, &rest, &url);
	if (!status_is_ok(&st))
		return st;
	st = tcp ? parse_tcp(a, rest, &url) : parse_unix(a, rest, &url);
	if (status_is_ok(&st))
		*ret_url = url;
	return st;
}

struct status redis_urls_parse(struct arena *a, const char *text, struct redis_urls *ret_urls)
{
	struct redis_urls urls = {.n = 0};
	struct str rest = str_of(text);
	do {
		struct str one = str_trim(str_cut(&rest, ','));
		if (urls.n == REDIS_URLS_MAX)
			return status_err(ST_INVALID_ARGUMENT, "more than %d Redis URLs", REDIS_URLS_MAX);
		struct status st = redis_url_parse(a, str_dup(a, one), &urls.list[urls.n++]);
		if (!status_is_ok(&st))
			return st;
	} while (rest.ptr);
	*ret_urls = urls;
	return status_ok();
}
