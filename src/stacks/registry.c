#include "stacks/registry.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "compose/compose.h"
#include "db/registries.h"

#define HUB "docker.io"

static bool is_host(struct str s)
{
	size_t colon = s.len;
	if (s.len == 0 || s.len > 255)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		bool edge = i == 0 || i + 1 == s.len || s.ptr[i - 1] == '.';
		if (c == ':' && colon == s.len && i > 0 && i + 1 < s.len)
			colon = i;
		else if (i > colon ? !isdigit(c) : !isalnum(c) && (edge || (c != '-' && c != '.')))
			return false;
	}
	return true;
}

const char *registry_host(struct arena *a, const char *text)
{
	static const char *const hub[] = {
		"", HUB, "index.docker.io", "registry-1.docker.io", "www.docker.io", "hub.docker.com"};
	const char *scheme = strstr(text, "://");
	struct str rest = str_of(scheme ? scheme + 3 : text);
	struct str host = str_trim(str_cut(&rest, '/'));
	char *lower = str_dup(a, host);
	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	for (size_t i = 0; i < sizeof(hub) / sizeof(*hub); i++)
		if (strcmp(lower, hub[i]) == 0)
			return HUB;
	return is_host(str_of(lower)) ? lower : NULL;
}

static void wipe(void *text)
{
	explicit_bzero(text, strlen(text));
}

json_t *registry_auth_config(const char *host, const char *username, const char *password)
{
	const char *server = strcmp(host, HUB) == 0 ? "https://index.docker.io/v1/" : host;
	return json_pack("{s:o, s:o, s:s}", "username", json_lossy(str_of(username)), "password",
		json_lossy(str_of(password)), "serveraddress", server);
}

/* Base64 for URLs, padded: older Engines insist. */
static const char *header_of(struct arena *a, const struct db_registry *r)
{
	struct buf b = {0};
	json_t *j = registry_auth_config(r->host, r->username, r->password);
	json_write(&b, j);
	json_decref(j);
	char *header = str_base64(a, b.ptr, b.len);
	explicit_bzero(b.ptr, b.len);
	buf_finish(&b);
	for (char *p = header; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	arena_on_free(a, wipe, header);
	return header;
}

void registry_auths_make(struct arena *a, const struct db_registry *r, size_t n,
	struct registry_auths *ret_auths)
{
	*ret_auths = (struct registry_auths){.items = arena_array(a, struct registry_auth, n)};
	for (size_t i = 0; i < n; i++)
		ret_auths->items[ret_auths->len++] = (struct registry_auth){
			arena_strdup(a, r[i].host), header_of(a, &r[i])};
}

const char *registry_auth_for(
	struct arena *a, const struct registry_auths *auths, const char *image)
{
	const char *host = compose_image_registry(a, image);
	for (size_t i = 0; i < auths->len; i++)
		if (strcasecmp(auths->items[i].host, host) == 0)
			return auths->items[i].header;
	return NULL;
}
