#include "cli/upload.h"
#include "base/arena.h"
#include "base/map.h"
#include "cli/dotenv.h"
#include "cli/files.h"
#include "cli/message.h"
#include "cli/text.h"
#include "compose/compose.h"
#include "skep/v1/stacks.pb-c.h"

#define TEXTS_MAX 16
#define FILE_LIMIT ((size_t)1 << 20)

struct upload {
	struct cli *c;
	struct arena *arena;
	const char *folder; /* of the first text */
	struct compose_text texts[TEXTS_MAX];
	size_t n_texts;
	struct map from_files; /* --env-file, .env: name → value */
	struct map wanted;     /* what is sent: name → value */
	struct compose_file_ref *refs;
	size_t n_refs;
	Skep__V1__UploadedFile **files;
	size_t n_files;
};

/* ---- texts ---- */

static int read_text(struct upload *u, const char *path)
{
	struct str text;
	bool missing, is_stdin = strcmp(path, "-") == 0;
	struct status st;
	if (u->n_texts == TEXTS_MAX)
		return cli_usage(u->c, "at most %d Compose files make a stack", TEXTS_MAX);
	for (size_t i = 0; is_stdin && i < u->n_texts; i++)
		if (strcmp(u->texts[i].name, "-") == 0)
			return cli_usage(u->c, "-c - can be given once: there is one stdin");
	if (is_stdin)
		st = file_read_stream(u->arena, u->c->host->in, "stdin", FILE_LIMIT, &text);
	else
		st = file_read(u->arena, path, FILE_LIMIT, &text, &missing);
	if (!status_is_ok(&st))
		return cli_fail(u->c, &st);
	u->texts[u->n_texts++] = (struct compose_text){path, text};
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

static int read_texts(struct upload *u)
{
	const struct cli_args *args = &u->c->args;
	int code = CLI_DONE;
	for (size_t i = 0; i < args->n_given && code == CLI_DONE; i++)
		if (strcmp(args->given[i].option->name, "compose-file") == 0)
			code = read_text(u, args->given[i].value);
	if (code != CLI_DONE)
		return code;
	if (u->n_texts == 0) {
		const char *name = default_text();
		if (!name)
			return cli_usage(u->c, "no compose.yaml or docker-compose.yml here: give one with -c FILE "
					       "(-c - reads stdin)");
		code = read_text(u, name);
	}
	if (code == CLI_DONE)
		u->folder = file_folder(u->arena, u->texts[0].name);
	return code;
}

/* ---- variables ---- */

static int read_env_file(struct upload *u, const char *path, bool optional)
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

static int read_env_files(struct upload *u)
{
	const struct cli_args *args = &u->c->args;
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
	struct upload *u = data;
	const char *value = env_get(u->c->host->env, name);
	if (map_gets(&u->wanted, name))
		return;
	if (!value)
		value = map_gets(&u->from_files, name);
	if (value)
		(void)map_puts(&u->wanted, name, message_str(value));
}

/* -e KEY=VALUE, or -e KEY for the environment's own value. */
static int take_given(struct upload *u)
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
			(void)map_put(&u->wanted, name, message_str(rest.ptr));
		else
			want(u, str_dup(u->arena, name));
	}
	return CLI_DONE;
}

static int say_problems(struct cli *c, const struct compose_problems *problems)
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

static int want_variables(struct upload *u)
{
	struct compose_input in = {.name = "stack", .texts = u->texts, .texts_len = u->n_texts};
	struct compose_problems problems = {0};
	struct compose_variable_ref *refs;
	size_t n;
	if (!compose_variable_refs(u->arena, &in, &refs, &n, &problems))
		return say_problems(u->c, &problems);
	for (size_t i = 0; i < n; i++)
		want(u, refs[i].name);
	return CLI_DONE;
}

/* ---- files ---- */

static int find_files(struct upload *u)
{
	size_t n = 0, it = 0;
	struct str name;
	void *value;
	struct compose_problems problems = {0};
	struct compose_variable *variables = arena_array(u->arena, struct compose_variable, map_len(&u->wanted) + 1);
	while (map_next(&u->wanted, &it, &name, &value))
		variables[n++] = (struct compose_variable){str_dup(u->arena, name), value};
	struct compose_input in = {.name = "stack", .texts = u->texts, .texts_len = u->n_texts,
		.variables = variables, .variables_len = n};
	if (!compose_file_refs(u->arena, &in, &u->refs, &u->n_refs, &problems))
		return say_problems(u->c, &problems);
	return CLI_DONE;
}

static bool read_file(struct upload *u, const struct compose_file_ref *ref)
{
	static const char *const kinds[] = {"env_file", "secret", "config"};
	struct str content;
	bool missing;
	const char *home = env_get(u->c->host->env, "HOME");
	const char *path = file_join(u->arena, u->folder, ref->path, home);
	struct status st = file_read(u->arena, path, FILE_LIMIT, &content, &missing);
	if (missing && ref->optional)
		return true;
	if (!status_is_ok(&st)) {
		cli_error(u->c, "%s:%u:%u: %s %s", u->texts[ref->at.file].name, ref->at.line, ref->at.column,
			kinds[ref->kind], st.message);
		return false;
	}
	Skep__V1__UploadedFile *f = arena_new(u->arena, Skep__V1__UploadedFile);
	skep__v1__uploaded_file__init(f);
	f->path = arena_strdup(u->arena, ref->path);
	f->content = (ProtobufCBinaryData){content.len, (uint8_t *)(uintptr_t)content.ptr};
	u->files[u->n_files++] = f;
	if (ref->kind == COMPOSE_REF_ENV_FILE) {
		struct compose_strings keys = compose_env_file_keys(u->arena, content);
		for (size_t i = 0; i < keys.len; i++)
			want(u, keys.items[i]);
		dotenv_names(u->arena, content, want, u);
	}
	return true;
}

static int read_files(struct upload *u)
{
	bool good = true;
	u->files = arena_array(u->arena, Skep__V1__UploadedFile *, u->n_refs + 1);
	for (size_t i = 0; i < u->n_refs; i++)
		good &= read_file(u, &u->refs[i]);
	return good ? CLI_DONE : CLI_FAILED;
}

/* ---- the request ---- */

static void fill(struct upload *u, Skep__V1__DeployStackRequest *r)
{
	size_t it = 0;
	struct str name;
	void *value;
	r->compose = arena_array(u->arena, Skep__V1__ComposeFile *, u->n_texts);
	for (size_t i = 0; i < u->n_texts; i++) {
		const struct compose_text *text = &u->texts[i];
		Skep__V1__ComposeFile *f = arena_new(u->arena, Skep__V1__ComposeFile);
		skep__v1__compose_file__init(f);
		f->name = arena_strdup(u->arena, text->name);
		f->text = (ProtobufCBinaryData){text->text.len, (uint8_t *)(uintptr_t)text->text.ptr};
		r->compose[r->n_compose++] = f;
	}
	r->files = u->files;
	r->n_files = u->n_files;
	r->variables = arena_array(u->arena, Skep__V1__DeployStackRequest__VariablesEntry *, map_len(&u->wanted) + 1);
	while (map_next(&u->wanted, &it, &name, &value)) {
		Skep__V1__DeployStackRequest__VariablesEntry *e =
			arena_new(u->arena, Skep__V1__DeployStackRequest__VariablesEntry);
		skep__v1__deploy_stack_request__variables_entry__init(e);
		e->key = str_dup(u->arena, name);
		e->value = value;
		r->variables[r->n_variables++] = e;
	}
}

int upload_collect(struct cli *c, Skep__V1__DeployStackRequest *request)
{
	static int (*const steps[])(struct upload *u) = {
		read_texts, read_env_files, take_given, want_variables, find_files, read_files};
	struct upload u = {.c = c, .arena = c->arena};
	int code = CLI_DONE;
	map_init(&u.from_files);
	map_init(&u.wanted);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && code == CLI_DONE; i++)
		code = steps[i](&u);
	if (code == CLI_DONE)
		fill(&u, request);
	map_finish(&u.from_files);
	map_finish(&u.wanted);
	return code;
}
