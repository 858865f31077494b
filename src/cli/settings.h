/* settings: where to call and as whom: options, then SKEP_* variables, then the context file.
 *
 * The context file is JSON, $SKEP_CONFIG or ~/.config/skep/config.json (below XDG_CONFIG_HOME when that is set):
 *   { "current": "prod", "contexts": { "prod": { "address": "host:7700", "token": "…", "project": "shop" } } }
 * A host given by option or variable leaves the context out altogether: a token is never sent to
 * another server than the one it was stored for. */
#pragma once
#include "base/json.h"
#include "base/status.h"

struct arena;

#define SETTINGS_ADDRESS "unix:///run/skep/skep.sock"

/* What options gave; NULL = not given. */
struct settings_given {
	const char *host, *token, *project, *context;
	const char *ca, *certificate, *key;
};
struct settings {
	const char *address, *token; /* token "" = none */
	const char *ca, *certificate, *key; /* files; "" = none */
	const char *project;         /* "" = none */
	const char *context;         /* the one in use; "" = none */
};

/* env: "K=V", NULL-terminated. The last of equal names wins. NULL = not set. */
const char *env_get(const char *const *env, const char *name);

/* NULL: there is no home to put it in. */
const char *settings_path(struct arena *a, const char *const *env);
/* The context file, or an empty one ({"contexts": {}}) when there is none. The caller owns *ret_config. */
struct status settings_read(struct arena *a, const char *path, json_t **ret_config)
	__attribute__((warn_unused_result));
/* Replaces the file at once, readable by its owner only; makes its folder. */
struct status settings_write(struct arena *a, const char *path, const json_t *config)
	__attribute__((warn_unused_result));

struct status settings_resolve(struct arena *a, const struct settings_given *g, const char *const *env,
	struct settings *ret) __attribute__((warn_unused_result));
