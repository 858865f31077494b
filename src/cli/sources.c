#include "cli/sources.h"
#include <errno.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/map.h"
#include "cli/files.h"
#include "cli/text.h"

#define FILE_LIMIT ((size_t)1 << 20)

struct collecting {
	struct cli *c;
	struct arena *arena;
	bool compat;
	struct sources *s;
	const char *folder; /* of the first text, as given */
	struct map wanted;  /* variables that are taken: name → value */
	struct map asked;   /* files that were looked for: path → any */
	size_t files_cap;
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

static void add_file(struct collecting *u, const char *path, struct str content)
{
	if (u->s->n_files == u->files_cap) {
		size_t cap = u->files_cap ? u->files_cap * 2 : 8;
		struct compose_upload *files = arena_array(u->arena, struct compose_upload, cap);
		if (u->s->n_files)
			memcpy(files, u->s->files, u->s->n_files * sizeof(*files));
		u->s->files = files;
		u->files_cap = cap;
	}
	u->s->files[u->s->n_files++] = (struct compose_upload){path, content};
	(void)map_puts(&u->asked, path, u);
}

/* Puts a file behind what the files before it said. */
static struct status read_env_file(struct collecting *u, const char *path, struct buf *b)
{
	struct str text;
	bool missing;
	struct status st = file_read(u->arena, path, FILE_LIMIT, &text, &missing);
	if (!status_is_ok(&st))
		return st;
	const char *wrong = compose_dotenv_problem(u->arena, text);
	if (wrong)
		return status_err(ST_INVALID_ARGUMENT, "%s: %s", path, wrong);
	buf_add_str(b, text);
	buf_addc(b, '\n');
	return st;
}

/* Those of --env-file stand for .env. */
static int read_env_files(struct collecting *u)
{
	const struct cli_args *args = &u->c->args;
	struct buf b = {0};
	struct status st = status_ok();
	for (size_t i = 0; i < args->n_given && status_is_ok(&st); i++)
		if (strcmp(args->given[i].option->name, "env-file") == 0)
			st = read_env_file(u, args->given[i].value, &b);
	if (status_is_ok(&st) && cli_option(u->c, "env-file"))
		add_file(u, ".env", str_of(str_dup(u->arena, buf_str(&b))));
	buf_finish(&b);
	return status_is_ok(&st) ? CLI_DONE : cli_fail(u->c, &st);
}

/* True: it is set, and was not known to be wanted. */
static bool want(struct collecting *u, const char *name)
{
	const char *value = env_get(u->c->host->env, name);
	if (!value || map_gets(&u->wanted, name))
		return false;
	(void)map_puts(&u->wanted, name, (void *)(uintptr_t)value);
	return true;
}

/* --profile stands for COMPOSE_PROFILES. */
static void take_profiles(struct collecting *u)
{
	const struct cli_args *args = &u->c->args;
	struct buf b = {0};
	for (size_t i = 0; i < args->n_given; i++)
		if (strcmp(args->given[i].option->name, "profile") == 0)
			buf_fmt(&b, "%s%s", b.len ? "," : "", args->given[i].value);
	if (b.len)
		(void)map_puts(&u->wanted, "COMPOSE_PROFILES", str_dup(u->arena, buf_str(&b)));
	buf_finish(&b);
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
	take_profiles(u);
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

/* ---- what the texts name ---- */

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

/* All that is known so far. */
static struct compose_input input_of(struct collecting *u)
{
	list_variables(u);
	return (struct compose_input){.texts = u->s->texts,
		.texts_len = u->s->n_texts,
		.uploads = u->s->files,
		.uploads_len = u->s->n_files,
		.variables = u->s->variables,
		.variables_len = u->s->n_variables,
		.compat = u->compat};
}

/* Docker looks up what is empty in a text or a file too: whatever is set may be asked for. */
static void want_environment(struct collecting *u)
{
	for (const char *const *e = u->c->host->env; e && *e; e++) {
		struct str rest = str_of(*e);
		struct str name = str_cut(&rest, '=');
		if (name.len && rest.ptr && str_is_utf8(rest))
			(void)want(u, str_dup(u->arena, name));
	}
}

static int want_variables(struct collecting *u, bool *more)
{
	struct compose_input in = input_of(u);
	struct compose_problems problems = {0};
	struct compose_variable_ref *refs;
	size_t n;
	if (!compose_variable_refs(u->arena, &in, &refs, &n, &problems) && !u->compat)
		return sources_refuse(u->c, &problems);
	for (size_t i = 0; i < n; i++)
		*more |= want(u, refs[i].name);
	if (u->compat)
		want_environment(u);
	return CLI_DONE; /* docker reports what is wrong together with all else that is */
}

static bool read_file(struct collecting *u, const struct compose_file_ref *ref)
{
	static const char *const kinds[] = {
		"env_file", "secret", "config", "Compose file", "env file"};
	struct str content;
	bool missing;
	const char *home = u->compat ? NULL : env_get(u->c->host->env, "HOME");
	const char *path = file_join(u->arena, u->folder, ref->path, home);
	struct status st = file_read(u->arena, path, FILE_LIMIT, &content, &missing);
	(void)map_puts(&u->asked, ref->path, u);
	if (u->compat ? missing || !*ref->path
		      : missing && ref->optional) /* compose_load has the words */
		return true;
	if (status_is_ok(&st)) {
		add_file(u, ref->path, content);
		return true;
	}
	if (*ref->file)
		cli_error(u->c, "%s:%u:%u: %s %s", ref->file, ref->at.line, ref->at.column,
			kinds[ref->kind], st.message);
	else
		cli_error(u->c, "%s", st.message);
	return false;
}

static int read_files(struct collecting *u, bool *more)
{
	struct compose_input in = input_of(u);
	struct compose_problems problems = {0};
	struct compose_file_ref *refs;
	bool good = true, dotenv = false;
	size_t n;
	bool clear = compose_file_refs(u->arena, &in, &refs, &n, &problems);
	for (size_t i = 0; i < n; i++)
		dotenv |= refs[i].kind == COMPOSE_REF_DOTENV && !map_gets(&u->asked, refs[i].path);
	if (!clear && !dotenv && !u->compat)
		return sources_refuse(u->c, &problems);
	for (size_t i = 0; i < n; i++) {
		bool later = dotenv && refs[i].kind != COMPOSE_REF_DOTENV;
		if (later || map_gets(&u->asked, refs[i].path))
			continue;
		good &= read_file(u, &refs[i]);
		*more = true;
	}
	return good ? CLI_DONE : CLI_FAILED;
}

/* What is read may name more: until nothing new is. */
static int follow(struct collecting *u)
{
	int code = CLI_DONE;
	bool more = true;
	while (more && code == CLI_DONE) {
		more = false;
		code = want_variables(u, &more);
		if (code == CLI_DONE)
			code = read_files(u, &more);
	}
	list_variables(u);
	return code;
}

/* ---- all ---- */

int sources_collect(struct cli *c, bool compat, struct sources *ret)
{
	static int (*const steps[])(struct collecting * u) = {
		read_texts, read_env_files, take_given, follow};
	struct collecting u = {.c = c, .arena = c->arena, .compat = compat, .s = ret};
	int code = CLI_DONE;
	*ret = (struct sources){0};
	map_init(&u.wanted);
	map_init(&u.asked);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && code == CLI_DONE; i++)
		code = steps[i](&u);
	map_finish(&u.wanted);
	map_finish(&u.asked);
	return code;
}

const char *sources_name(struct cli *c, bool compat, const struct sources *s, const char *otherwise)
{
	if (c->args.n_args)
		return c->args.args[0];
	struct compose_input in = {.texts = s->texts,
		.texts_len = s->n_texts,
		.uploads = s->files,
		.uploads_len = s->n_files,
		.variables = s->variables,
		.variables_len = s->n_variables};
	const char *name = compat ? NULL : compose_text_name(c->arena, &in);
	name = name ? name : otherwise;
	if (!name)
		cli_usage(c, "give the stack's NAME, or write name: in the Compose file");
	return name;
}
