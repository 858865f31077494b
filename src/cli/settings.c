#include "cli/settings.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/arena.h"
#include "cli/files.h"

#define CONFIG_MAX ((size_t)1 << 20)

const char *env_get(const char *const *env, const char *name)
{
	size_t len = strlen(name);
	const char *value = NULL;
	for (; env && *env; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			value = *env + len + 1;
	return value;
}

/* A variable that is set to nothing counts as not set. */
static const char *env_text(const char *const *env, const char *name)
{
	const char *value = env_get(env, name);
	return value && *value ? value : NULL;
}

const char *settings_path(struct arena *a, const char *const *env)
{
	const char *given = env_text(env, "SKEP_CONFIG");
	const char *xdg = env_text(env, "XDG_CONFIG_HOME");
	const char *home = env_text(env, "HOME");
	if (given)
		return given;
	if (xdg && xdg[0] == '/')
		return arena_fmt(a, "%s/skep/config.json", xdg);
	return home ? arena_fmt(a, "%s/.config/skep/config.json", home) : NULL;
}

struct status settings_read(struct arena *a, const char *path, json_t **ret_config)
{
	struct str text;
	json_t *config;
	bool missing;
	struct status st = file_read(a, path, CONFIG_MAX, &text, &missing);
	if (missing) {
		*ret_config = json_pack("{s:{}}", "contexts");
		return status_ok();
	}
	if (!status_is_ok(&st))
		return status_wrap(&st, "context file");
	st = json_parse(text, &config);
	if (!status_is_ok(&st))
		return status_wrap(&st, "context file %s", path);
	json_t *contexts = json_object_get(config, "contexts");
	if (!json_is_object(config) || (contexts && !json_is_object(contexts))) {
		json_decref(config);
		return status_err(ST_INVALID_ARGUMENT,
			"context file %s: expected {\"current\": \"NAME\", \"contexts\": {\"NAME\": {…}}}", path);
	}
	if (!contexts)
		json_object_set_new(config, "contexts", json_object());
	*ret_config = config;
	return status_ok();
}

static struct status failed(const char *what, const char *path)
{
	char words[128];
	return status_err(
		ST_UNKNOWN, "%s %s: %s", what, path, strerror_r(errno, words, sizeof(words)));
}

/* Makes every folder on the way to the file. */
static struct status make_folders(struct arena *a, const char *path)
{
	char *folder = arena_strdup(a, path);
	for (char *at = folder + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(folder, 0700) != 0 && errno != EEXIST)
			return failed("make folder", folder);
		*at = '/';
	}
	return status_ok();
}

static bool write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0;
}

struct status settings_write(struct arena *a, const char *path, const json_t *config)
{
	struct status st = make_folders(a, path);
	if (!status_is_ok(&st))
		return st;
	char *text = json_dumps(config, JSON_INDENT(2)), *next = arena_fmt(a, "%s.XXXXXX", path);
	int fd = mkostemp(next, O_CLOEXEC); /* mode 0600 */
	if (fd < 0) {
		st = failed("write", path);
	} else if (!write_all(fd, text, strlen(text)) || rename(next, path) != 0) {
		st = failed("write", path);
		(void)unlink(next);
	}
	if (fd >= 0)
		(void)close(fd);
	free(text);
	return st;
}

static struct status find_context(struct arena *a, const char *name, const char *path, const json_t *config,
	struct settings *ret)
{
	const json_t *context = json_object_get(json_object_get(config, "contexts"), name);
	if (!context)
		return status_err(ST_NOT_FOUND, "context \"%s\" does not stand in %s (skep context ls)", name,
			path ? path : "any file");
	ret->context = name;
	ret->address = arena_strdup(a, json_text(context, "address", SETTINGS_ADDRESS));
	ret->token = arena_strdup(a, json_text(context, "token", ""));
	ret->project = arena_strdup(a, json_text(context, "project", ""));
	ret->ca = arena_strdup(a, json_text(context, "ca", ""));
	ret->certificate = arena_strdup(a, json_text(context, "certificate", ""));
	ret->key = arena_strdup(a, json_text(context, "key", ""));
	return status_ok();
}

static struct status use_context(
	struct arena *a, const char *name, const char *const *env, struct settings *ret)
{
	const char *path = settings_path(a, env);
	json_t *config = NULL;
	struct status st = status_ok();
	if (path)
		st = settings_read(a, path, &config);
	if (!status_is_ok(&st))
		return st;
	if (!name && config)
		name = arena_strdup(a, json_text(config, "current", ""));
	if (name && *name)
		st = find_context(a, name, path, config, ret);
	json_decref(config);
	return st;
}

struct status settings_resolve(
	struct arena *a, const struct settings_given *g, const char *const *env, struct settings *ret)
{
	const char *host = g->host || g->context ? g->host : env_text(env, "SKEP_HOST");
	const char *token = g->token ? g->token : env_text(env, "SKEP_TOKEN");
	const char *project = g->project ? g->project : env_text(env, "SKEP_PROJECT");
	const char *ca = g->ca ? g->ca : env_text(env, "SKEP_CA");
	const char *certificate = g->certificate ? g->certificate : env_text(env, "SKEP_CERTIFICATE");
	const char *key = g->key ? g->key : env_text(env, "SKEP_KEY");
	const char *context = g->context ? g->context : env_text(env, "SKEP_CONTEXT");
	*ret = (struct settings){.address = SETTINGS_ADDRESS, .token = "", .ca = "", .certificate = "", .key = "", .project = "", .context = ""};
	if (host) {
		ret->address = host;
	} else {
		struct status st = use_context(a, context, env, ret);
		if (!status_is_ok(&st))
			return st;
	}
	if (token)
		ret->token = token;
	if (ca)
		ret->ca = ca;
	if (certificate)
		ret->certificate = certificate;
	if (key)
		ret->key = key;
	if (project)
		ret->project = project;
	return status_ok();
}
