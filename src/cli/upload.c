#include "cli/upload.h"
#include <string.h>
#include "base/arena.h"
#include "cli/settings.h"
#include "cli/sources.h"
#include "compose/compose.h"
#include "skep/v1/stacks.pb-c.h"

static ProtobufCBinaryData bytes_of(struct str s)
{
	return (ProtobufCBinaryData){s.len, (uint8_t *)(uintptr_t)s.ptr};
}

static void fill_texts(struct arena *a, const struct sources *s, Skep__V1__DeployStackRequest *r)
{
	r->compose = arena_array(a, Skep__V1__ComposeFile *, s->n_texts);
	for (size_t i = 0; i < s->n_texts; i++) {
		Skep__V1__ComposeFile *f = arena_new(a, Skep__V1__ComposeFile);
		skep__v1__compose_file__init(f);
		f->name = arena_strdup(a, s->texts[i].name);
		f->text = bytes_of(s->texts[i].text);
		r->compose[r->n_compose++] = f;
	}
}

static void fill_files(struct arena *a, const struct sources *s, Skep__V1__DeployStackRequest *r)
{
	r->files = arena_array(a, Skep__V1__UploadedFile *, s->n_files + 1);
	for (size_t i = 0; i < s->n_files; i++) {
		Skep__V1__UploadedFile *f = arena_new(a, Skep__V1__UploadedFile);
		skep__v1__uploaded_file__init(f);
		f->path = arena_strdup(a, s->files[i].path);
		f->content = bytes_of(s->files[i].bytes);
		r->files[r->n_files++] = f;
	}
}

static void fill_variables(
	struct arena *a, const struct sources *s, Skep__V1__DeployStackRequest *r)
{
	r->variables =
		arena_array(a, Skep__V1__DeployStackRequest__VariablesEntry *, s->n_variables + 1);
	for (size_t i = 0; i < s->n_variables; i++) {
		Skep__V1__DeployStackRequest__VariablesEntry *e =
			arena_new(a, Skep__V1__DeployStackRequest__VariablesEntry);
		skep__v1__deploy_stack_request__variables_entry__init(e);
		e->key = arena_strdup(a, s->variables[i].name);
		e->value = arena_strdup(a, s->variables[i].value);
		r->variables[r->n_variables++] = e;
	}
}

/* "" where the daemon would not take it: what needs it is refused there, with words. */
static char *place_of(struct arena *a, const char *path)
{
	bool good = path && path[0] == '/' && strlen(path) <= 4096 && str_is_utf8(str_of(path));
	return arena_strdup(a, good ? path : "");
}

int upload_collect(struct cli *c, Skep__V1__DeployStackRequest *request)
{
	struct sources s;
	int code = sources_collect(c, false, &s);
	if (code)
		return code;
	const char *name = sources_name(c, false, &s, NULL);
	if (!name)
		return CLI_USAGE;
	request->name = arena_strdup(c->arena, name);
	request->directory = place_of(c->arena, s.dir);
	request->home = place_of(c->arena, env_get(c->host->env, "HOME"));
	fill_texts(c->arena, &s, request);
	fill_files(c->arena, &s, request);
	fill_variables(c->arena, &s, request);
	return CLI_DONE;
}
