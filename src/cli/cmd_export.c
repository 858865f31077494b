/* stack export: the active release as Compose text, or the files it was deployed from. */
#include "cli/commands.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/arena.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/files.h"
#include "cli/message.h"
#include "cli/text.h"
#include "cli/view.h"
#include "skep/v1/messages.h"
#include "skep/v1/stacks.pb-c.h"

#define VARIABLES ".env"

/* ---- into a folder ---- */

/* The folders of a path, made where they are missing. */
static void make_folders(struct cli *c, const char *path)
{
	for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/'))
		(void)mkdir(str_dup(c->arena, str_make(path, (size_t)(p - path))), 0777);
}

/* They may hold passwords: nobody else reads them, and nothing that is there is overwritten. */
static int write_file(struct cli *c, const char *folder, const char *name, struct str bytes)
{
	const char *path = arena_fmt(c->arena, "%s/%s", folder, name);
	make_folders(c, path);
	FILE *f = fopen(path, "wxe");
	bool ok = f && fchmod(fileno(f), 0600) == 0 && fwrite(bytes.ptr, 1, bytes.len, f) == bytes.len;
	int why = errno;
	ok = (!f || fclose(f) == 0) && ok;
	if (!ok) {
		char words[128];
		cli_error(c, "%s: %s", path, strerror_r(why, words, sizeof(words)));
		return CLI_FAILED;
	}
	cli_print(c, "%s\n", text_line(c->arena, path));
	return CLI_DONE;
}

/* Where a file goes that was named like this; NULL: outside of the folder. */
static const char *inside(const char *path)
{
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
		if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
			return NULL;
	return path[0] && path[0] != '/' ? path : NULL;
}

static const char *compose_name(struct cli *c, const char *name, size_t index)
{
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
	if (strcmp(base, "-") == 0 || strcmp(base, "..") == 0 || strcmp(base, ".") == 0 || !base[0])
		base = "compose.yml";
	return index ? arena_fmt(c->arena, "%zu-%s", index + 1, base) : base;
}

/* Between double quotes, where $$ is a dollar. */
static void add_value(struct buf *b, const char *value)
{
	struct buf doubled = {0};
	for (; *value; value++) {
		buf_addc(&doubled, *value);
		if (*value == '$')
			buf_addc(&doubled, '$');
	}
	json_t *text = json_lossy(buf_str(&doubled));
	json_write(b, text);
	json_decref(text);
	buf_finish(&doubled);
}

static struct str variables_text(struct cli *c, const Skep__V1__ExportStackResponse *r)
{
	struct buf b = {0};
	for (size_t i = 0; i < r->n_variables; i++) {
		buf_fmt(&b, "%s=", r->variables[i]->key);
		add_value(&b, r->variables[i]->value);
		buf_addc(&b, '\n');
	}
	struct str text = str_make(arena_strndup(c->arena, buf_str(&b).ptr, b.len), b.len);
	buf_finish(&b);
	return text;
}

static int write_source(struct cli *c, const Skep__V1__ExportStackResponse *r, const char *folder)
{
	int code = CLI_DONE;
	for (size_t i = 0; i < r->n_compose && code == CLI_DONE; i++)
		code = write_file(c, folder, compose_name(c, r->compose[i]->name, i),
			str_make((const char *)r->compose[i]->text.data, r->compose[i]->text.len));
	for (size_t i = 0; i < r->n_files && code == CLI_DONE; i++) {
		const char *path = inside(r->files[i]->path);
		struct str bytes = str_make((const char *)r->files[i]->content.data, r->files[i]->content.len);
		if (path)
			code = write_file(c, folder, path, bytes);
		else
			cli_warn(c, arena_fmt(c->arena, "%s lies outside of the folder: it is not written",
					    text_line(c->arena, r->files[i]->path)));
	}
	if (r->n_variables > 0 && code == CLI_DONE)
		code = write_file(c, folder, VARIABLES, variables_text(c, r));
	return code;
}

/* ---- onto stdout ---- */

static void print(struct cli *c, struct str text)
{
	struct buf b = {0};
	buf_add_str(&b, text);
	cli_write(c, &b);
}

static int print_source(struct cli *c, const Skep__V1__ExportStackResponse *r)
{
	if (r->n_compose != 1) {
		cli_error(c, "it was deployed from %zu Compose files: --dir DIR writes them", r->n_compose);
		return CLI_FAILED;
	}
	print(c, str_make((const char *)r->compose[0]->text.data, r->compose[0]->text.len));
	if (r->n_files + r->n_variables > 0)
		cli_warn(c, arena_fmt(c->arena, "%zu files and %zu variables belong to it: --dir DIR writes them too",
				    r->n_files, r->n_variables));
	return CLI_DONE;
}

/* A deploy from elsewhere would mean other folders of the nodes. */
static void warn_of_place(struct cli *c, const char *what, const char *path)
{
	if (path[0])
		cli_warn(c, arena_fmt(c->arena, "%s seen from %s", what, text_line(c->arena, path)));
}

static int show(struct cli *c, const Skep__V1__ExportStackResponse *r)
{
	const char *folder = cli_option(c, "dir");
	for (size_t i = 0; i < r->n_warnings; i++)
		cli_warn(c, text_line(c->arena, r->warnings[i]));
	warn_of_place(c, "relative bind sources were", r->directory);
	warn_of_place(c, "~ of bind sources was", r->home);
	if (folder)
		return write_source(c, r, folder);
	switch (c->format) {
	case FORMAT_JSON:
	case FORMAT_YAML:
		view_json(c, message_json(&skep_v1_msg_export_stack_response, &r->base));
		return CLI_DONE;
	case FORMAT_TABLE:
	case FORMAT_NAME:
		break;
	}
	if (cli_flag(c, "source"))
		return print_source(c, r);
	print(c, str_of(r->text));
	return CLI_DONE;
}

int cmd_stack_export(struct cli *c)
{
	Skep__V1__ExportStackRequest r = SKEP__V1__EXPORT_STACK_REQUEST__INIT;
	Skep__V1__StackRef ref = SKEP__V1__STACK_REF__INIT;
	ProtobufCMessage *reply;
	if (cli_option(c, "dir") && !cli_flag(c, "source"))
		return cli_usage(c, "--dir goes with --source");
	int code = cmd_stack_ref(c, &ref);
	if (code)
		return code;
	r.stack = &ref;
	r.source = cli_flag(c, "source");
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Stacks/Export",
		.reply = &skep_v1_msg_export_stack_response, .request = &r.base}, &reply);
	return code ? code : show(c, (const Skep__V1__ExportStackResponse *)reply);
}
