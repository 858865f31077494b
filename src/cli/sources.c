#include "cli/sources.h"
#include <errno.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/map.h"
#include "cli/dotenv.h"
#include "cli/files.h"
#include "cli/text.h"

#define FILE_LIMIT ((size_t)1 << 20)

struct collecting {
	struct cli *c;
	struct arena *arena;
	bool compat;
	struct sources *s;
	const char *folder;    /* of the first text, as given */
	struct map from_files; /* --env-file, .env: name → value */
	struct map wanted;     /* what is taken: name → value */
	struct compose_file_ref *refs;
	size_t n_refs;
};

/* ---- texts ---- */

static int read_text(struct collecting *u, const char *path)
{
	struct str text;
	bool missing, is_stdin = strcmp(path, "-") == 0;
	struct status st;
	if (u->s->n_texts == SOURCES_TEXTS_MAX)
		return cli_usage(u->c, "at most %d Compose files make a stack", SOURCES_TEXTS_MAX);
	for (size_t i = 0; is_stdin && i < u->s->n_texts; i++)
		if (strcmp(u->s->texts[i].name, "-") == 0)
			return cli_usage(u->c, "-c - can be given once: there is one stdin");
	if (is_stdin)
		st = file_read_stream(u->arena, u->c->host->in, "stdin", FILE_LIMIT, &text);
	else
		st = file_read(u->arena, path, FILE_LIMIT, &text, &missing);
	if (u->compat && !is_stdin && missing)
		st = status_err(ST_NOT_FOUND, "open %s: no such file or directory", path);
	if (!status_is_ok(&st))
		return cli_fail(u->c, &st);
	u->s->texts[u->s->n_texts++] = (struct compose_text){path, text};
	return CLI_DONE;
}

/* "a.yml,b.yml" are two. */
static int read_list(struct collecting *u, const char *value)
{
	struct str rest = str_of(value);
	int code = CLI_DONE;
	do {
		code = read_text(u, str_dup(u->arena, str_cut(&rest, ',')));
	} while (code == CLI_DONE && rest.ptr);
	return code;
}

static int find_folder(struct collecting *u)
{
	char here[4096];
	const char *folder = file_folder(u->arena, u->s->texts[0].name);
	if (folder[0] != '/' && !getcwd(here, sizeof(here))) {
		char words[128];
		cli_error(
			u->c, "the working directory: %s", strerror_r(errno, words, sizeof(words)));
		return CLI_FAILED;
	}
	u->folder = folder;
	u->s->dir = folder[0] == '/'           ? folder
		    : strcmp(folder, ".") == 0 ? arena_strdup(u->arena, here)
					       : arena_fmt(u->arena, "%s/%s", here, folder);
	return CLI_DONE;
}

static const char *default_text(void)
{
	static const char *const names[] = {
		"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (file_exists(names[i]))
			return names[i];
	return NULL;
}

static int read_texts(struct collecting *u)
{
	const struct cli_args *args = &u->c->args;
	int code = CLI_DONE;
	for (size_t i = 0; i < args->n_given && code == CLI_DONE; i++)
		if (strcmp(args->given[i].option->name, "compose-file") == 0)
			code = read_list(u, args->given[i].value);
	if (code != CLI_DONE)
		return code;
	if (u->s->n_texts == 0) {
		const char *name = default_text();
		if (!name)
			return cli_usage(u->c,
				"no compose.yaml or docker-compose.yml here: give one with -c FILE "
				"(-c - reads stdin)");
		code = read_text(u, name);
	}
	return code == CLI_DONE ? find_folder(u) : code;
}

/* ---- variables ---- */

static int read_env_file(struct collecting *u, const char *path, bool optional)
{
	struct str text;
	bool missing;
	struct status st = file_read(u->arena, path, FILE_LIMIT, &text, &missing);
	if (missing && optional)
		return CLI_DONE;
	if (status_is_ok(&st))
		st = dotenv_parse(u->arena, path, text, &u->from_files);
	return status_is_ok(&st) ? CLI_DONE : cli_fail(u->c, &st);
}

static int read_env_files(struct collecting *u)
{
	const struct cli_args *args = &u->c->args;
	if (!cli_option(u->c, "env-file") && u->compat)
		return CLI_DONE;
	if (!cli_option(u->c, "env-file"))
		return read_env_file(u, file_join(u->arena, u->folder, ".env", NULL), true);
	for (size_t i = 0; i < args->n_given; i++) {
		if (strcmp(args->given[i].option->name, "env-file") != 0)
			continue;
		int code = read_env_file(u, args->given[i].value, false);
		if (code)
			return code;
	}
	return CLI_DONE;
}

static void want(void *data, const char *name)
{
	struct collecting *u = data;
	const char *value = env_get(u->c->host->env, name);
	if (map_gets(&u->wanted, name))
		return;
	if (!value)
		value = map_gets(&u->from_files, name);
	if (value)
		(void)map_puts(&u->wanted, name, (void *)(uintptr_t)value);
}

/* -e KEY=VALUE, or -e KEY for the environment's own value. */
static int take_given(struct collecting *u)
{
	const struct cli_args *args = &u->c->args;
	for (size_t i = 0; i < args->n_given; i++) {
		if (strcmp(args->given[i].option->name, "env") != 0)
			continue;
		struct str rest = str_of(args->given[i].value);
		struct str name = str_cut(&rest, '=');
		if (name.len == 0)
			return cli_usage(u->c, "-e %s: expected KEY=VALUE", args->given[i].value);
		if (rest.ptr)
			(void)map_put(&u->wanted, name, (void *)(uintptr_t)rest.ptr);
		else
			want(u, str_dup(u->arena, name));
	}
	return CLI_DONE;
}

int sources_refuse(struct cli *c, const struct compose_problems *problems)
{
	size_t n = problems->len + problems->more;
	struct buf b = {0};
	cli_error(c, "the Compose text has %zu error%s", n, n == 1 ? "" : "s");
	for (size_t i = 0; i < problems->len; i++) {
		buf_adds(&b, "  ");
		text_clean(&b, str_of(compose_problem_text(c->arena, &problems->items[i])), false);
		buf_addc(&b, '\n');
	}
	if (problems->more)
		buf_fmt(&b, "  … and %zu more\n", problems->more);
	(void)fwrite(b.ptr, 1, b.len, c->host->err);
	buf_finish(&b);
	return CLI_FAILED;
}

/* Docker looks up what is empty in a text or a file too: whatever is set may be asked for. */
static void want_environment(struct collecting *u)
{
	for (const char *const *e = u->c->host->env; e && *e; e++) {
		struct str rest = str_of(*e);
		struct str name = str_cut(&rest, '=');
		if (name.len && rest.ptr && str_is_utf8(rest))
			want(u, str_dup(u->arena, name));
	}
}

static int want_variables(struct collecting *u)
{
	struct compose_input in = {.name = "stack",
		.texts = u->s->texts,
		.texts_len = u->s->n_texts,
		.compat = u->compat};
	struct compose_problems problems = {0};
	struct compose_variable_ref *refs;
	size_t n;
	if (!compose_variable_refs(u->arena, &in, &refs, &n, &problems) && !u->compat)
		return sources_refuse(u->c, &problems);
	for (size_t i = 0; i < n; i++)
		want(u, refs[i].name);
	if (u->compat)
		want_environment(u);
	return CLI_DONE;
}

/* ---- files ---- */

/* What is wanted so far. */
static void list_variables(struct collecting *u)
{
	size_t it = 0;
	struct str name;
	void *value;
	u->s->n_variables = 0;
	u->s->variables = arena_array(u->arena, struct compose_variable, map_len(&u->wanted) + 1);
	while (map_next(&u->wanted, &it, &name, &value))
		u->s->variables[u->s->n_variables++] =
			(struct compose_variable){str_dup(u->arena, name), value};
}

static int find_files(struct collecting *u)
{
	struct compose_problems problems = {0};
	list_variables(u);
	struct compose_input in = {.name = "stack",
		.texts = u->s->texts,
		.texts_len = u->s->n_texts,
		.variables = u->s->variables,
		.variables_len = u->s->n_variables,
		.compat = u->compat};
	if (!compose_file_refs(u->arena, &in, &u->refs, &u->n_refs, &problems) && !u->compat)
		return sources_refuse(u->c, &problems);
	return CLI_DONE; /* docker reports what is wrong together with all else that is */
}

static bool read_file(struct collecting *u, const struct compose_file_ref *ref)
{
	static const char *const kinds[] = {"env_file", "secret", "config"};
	struct str content;
	bool missing;
	const char *home = u->compat ? NULL : env_get(u->c->host->env, "HOME");
	const char *path = file_join(u->arena, u->folder, ref->path, home);
	struct status st = file_read(u->arena, path, FILE_LIMIT, &content, &missing);
	if (missing && (ref->optional || u->compat))
		return true;
	if (!status_is_ok(&st)) {
		cli_error(u->c, "%s:%u:%u: %s %s", u->s->texts[ref->at.file].name, ref->at.line,
			ref->at.column, kinds[ref->kind], st.message);
		return false;
	}
	u->s->files[u->s->n_files++] = (struct compose_upload){ref->path, content};
	if (ref->kind == COMPOSE_REF_ENV_FILE) {
		struct compose_strings keys = compose_env_file_keys(u->arena, content);
		for (size_t i = 0; i < keys.len; i++)
			want(u, keys.items[i]);
		dotenv_names(u->arena, content, want, u);
	}
	return true;
}

static int read_files(struct collecting *u)
{
	bool good = true;
	u->s->files = arena_array(u->arena, struct compose_upload, u->n_refs + 1);
	for (size_t i = 0; i < u->n_refs; i++)
		good &= read_file(u, &u->refs[i]);
	list_variables(u);
	return good ? CLI_DONE : CLI_FAILED;
}

/* ---- all ---- */

int sources_collect(struct cli *c, bool compat, struct sources *ret)
{
	static int (*const steps[])(struct collecting * u) = {
		read_texts, read_env_files, take_given, want_variables, find_files, read_files};
	struct collecting u = {.c = c, .arena = c->arena, .compat = compat, .s = ret};
	int code = CLI_DONE;
	*ret = (struct sources){0};
	map_init(&u.from_files);
	map_init(&u.wanted);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && code == CLI_DONE; i++)
		code = steps[i](&u);
	map_finish(&u.from_files);
	map_finish(&u.wanted);
	return code;
}
