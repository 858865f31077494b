/* forms_image: image references, restart policies, capabilities. */
#include "compose/forms.h"
#include <ctype.h>
#include <string.h>

static bool lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9]+ joined by one of . _ __ or any number of -, and / between components */
static bool valid_path(struct str s)
{
	size_t i = 0;
	while (i < s.len) {
		size_t start = i;
		while (i < s.len && lower_alnum(s.ptr[i]))
			i++;
		if (i == start)
			return false;
		if (i == s.len)
			return true;
		if (s.ptr[i] == '.' || s.ptr[i] == '/') {
			i++;
		} else if (s.ptr[i] == '_') {
			i += i + 1 < s.len && s.ptr[i + 1] == '_' ? 2 : 1;
		} else {
			start = i;
			while (i < s.len && s.ptr[i] == '-')
				i++;
			if (i == start)
				return false;
		}
	}
	return false;
}

/* host[:port]: letters, digits and inner hyphens between dots, or an IPv6 address in brackets */
static bool valid_host(struct str s)
{
	const char *colon = s.len && s.ptr[0] != '[' ? memchr(s.ptr, ':', s.len) : NULL;
	if (s.len && s.ptr[0] == '[') {
		const char *end = memchr(s.ptr, ']', s.len);
		if (!end)
			return false;
		size_t n = (size_t)(end - s.ptr) + 1;
		for (size_t i = 1; i + 1 < n; i++)
			if (!isxdigit((unsigned char)s.ptr[i]) && s.ptr[i] != ':')
				return false;
		if (n == s.len)
			return true;
		if (s.ptr[n] != ':')
			return false;
		colon = s.ptr + n;
	}
	size_t host = colon ? (size_t)(colon - s.ptr) : s.len;
	if (colon) {
		if (host + 1 == s.len)
			return false;
		for (size_t i = host + 1; i < s.len; i++)
			if (!isdigit((unsigned char)s.ptr[i]))
				return false;
	}
	if (s.ptr[0] == '[')
		return true;
	for (size_t i = 0; i < host; i++) {
		bool edge = i == 0 || i + 1 == host || s.ptr[i - 1] == '.' || s.ptr[i + 1] == '.';
		if (!isalnum((unsigned char)s.ptr[i]) &&
			(edge || (s.ptr[i] != '-' && s.ptr[i] != '.')))
			return false;
	}
	return host != 0;
}

static bool valid_tag(struct str s)
{
	if (s.len == 0 || s.len > 128 || s.ptr[0] == '.' || s.ptr[0] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) && !strchr("_.-", s.ptr[i]))
			return false;
	return true;
}

static bool valid_digest(struct str s)
{
	struct str algorithm = str_cut(&s, ':');
	if (!str_is(algorithm, "sha256") && !str_is(algorithm, "sha384") &&
		!str_is(algorithm, "sha512"))
		return false;
	size_t want = str_is(algorithm, "sha256") ? 64 : str_is(algorithm, "sha384") ? 96 : 128;
	if (s.len != want)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!isdigit((unsigned char)s.ptr[i]) && (s.ptr[i] < 'a' || s.ptr[i] > 'f'))
			return false;
	return true;
}

static bool has_upper(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
			return true;
	return false;
}

/* The first component is a registry when it looks like a host. */
static bool names_host(struct str first)
{
	return memchr(first.ptr, '.', first.len) || memchr(first.ptr, ':', first.len) ||
	       str_is(first, "localhost") || has_upper(first);
}

const char *form_image(struct arena *a, const char *text, const char **ret_full)
{
	struct str rest = str_of(text), digest = {0}, tag = {0}, host = {0};
	const char *at = strchr(text, '@');
	if (at) {
		rest.len = (size_t)(at - text);
		digest = str_of(at + 1);
	}
	const char *slash = memchr(rest.ptr, '/', rest.len);
	if (slash) {
		struct str first = str_make(rest.ptr, (size_t)(slash - rest.ptr));
		if (names_host(first)) {
			host = first;
			rest = str_make(slash + 1, rest.len - first.len - 1);
		}
	}
	const char *colon = memrchr(rest.ptr, ':', rest.len);
	if (colon) {
		size_t n = (size_t)(colon - rest.ptr);
		tag = str_make(colon + 1, rest.len - n - 1);
		rest.len = n;
	}
	bool hub = !host.len || str_is(host, "docker.io") || str_is(host, "index.docker.io");
	if (has_upper(rest))
		return arena_fmt(a,
			"invalid reference format: repository name (%s" STR_FMT
			") must be lowercase",
			hub && !memchr(rest.ptr, '/', rest.len) ? "library/" : "", STR_ARG(rest));
	if (!valid_path(rest) || (host.ptr && !valid_host(host)) || (colon && !valid_tag(tag)) ||
		(at && !valid_digest(digest)) || host.len + rest.len > 255)
		return "invalid reference format";
	if (hub && str_starts(rest, "library/") && !memchr(rest.ptr + 8, '/', rest.len - 8))
		rest = str_make(rest.ptr + 8, rest.len - 8);
	*ret_full = arena_fmt(a, STR_FMT "%s" STR_FMT "%s" STR_FMT "%s" STR_FMT,
		STR_ARG(hub ? STR("") : host), hub ? "" : "/", STR_ARG(rest),
		colon ? ":"
		: at  ? ""
		      : ":latest",
		STR_ARG(colon ? tag : STR("")), at ? "@" : "", STR_ARG(at ? digest : STR("")));
	return NULL;
}

const char *compose_image_registry(struct arena *a, const char *image)
{
	const char *slash = strchr(image, '/');
	struct str first = slash ? str_make(image, (size_t)(slash - image)) : STR("");
	if (!slash || !names_host(first) || str_is(first, "index.docker.io"))
		return "docker.io";
	return str_dup(a, first);
}

const char *form_restart(struct arena *a, const char *text, struct compose_restart *ret)
{
	struct str rest = str_of(text);
	struct str name = str_cut(&rest, ':');
	int64_t attempts = 0;
	if (name.len == 0 && rest.ptr)
		return "invalid restart policy format: no policy provided before colon";
	if (rest.len && !str_to_i64(rest, &attempts))
		return "invalid restart policy format: maximum retry count must be an integer";
	if (attempts < 0)
		return "invalid restart policy: maximum retry count cannot be negative";
	if (name.len == 0 || str_is(name, "no"))
		return NULL;
	if (str_is(name, "always") || str_is(name, "unless-stopped")) {
		*ret = (struct compose_restart){.set = true, .condition = "any"};
		return NULL;
	}
	if (!str_is(name, "on-failure"))
		return arena_fmt(a, "unknown restart policy: " STR_FMT, STR_ARG(name));
	*ret = (struct compose_restart){.set = true,
		.condition = "on-failure",
		.max_attempts = {.set = true, .value = attempts}};
	return NULL;
}

const char *form_capability(struct arena *a, const char *text)
{
	struct str s = str_trim(str_of(text));
	char *upper = str_dup(a, s);
	for (char *p = upper; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	if (strcmp(upper, "ALL") == 0 || strcmp(upper, "RESET") == 0 ||
		strncmp(upper, "CAP_", 4) == 0)
		return upper;
	return arena_fmt(a, "CAP_%s", upper);
}
