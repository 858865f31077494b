/* registry: image registries' names, and what the Engine is told to log in with. Pure. Callers: api (hosts
 * that people write), registry_login, the flows (X-Registry-Auth of their requests). */
#pragma once
#include <jansson.h>
#include <stddef.h>

struct arena;
struct db_registry;

/* The host as images name it: lower case, without scheme and path; "" and Docker Hub's other names
 * ("https://index.docker.io/v1/") are "docker.io". NULL: no host. */
const char *registry_host(struct arena *a, const char *text);

/* What the Engine calls an AuthConfig; json_decref. */
json_t *registry_auth_config(const char *host, const char *username, const char *password);

struct registry_auth {
	const char *host, *header; /* X-Registry-Auth */
};
struct registry_auths {
	struct registry_auth *items;
	size_t len;
};
/* Passwords stay in the arena until it is freed, then they are wiped. */
void registry_auths_make(struct arena *a, const struct db_registry *r, size_t n,
	struct registry_auths *ret_auths);
/* For an image; NULL: there are no credentials for its registry. */
const char *registry_auth_for(
	struct arena *a, const struct registry_auths *auths, const char *image);
