#include "cli/help.h"
#include <string.h>
#include "base/str.h"
#include "cli/text.h"

#define INDENT 2

static void add_entry(struct buf *b, const char *name, size_t width, const char *text)
{
	text_pad(b, INDENT);
	buf_adds(b, name);
	text_pad(b, width - strlen(name) + 2);
	buf_fmt(b, "%s\n", text);
}

/* ---- options ---- */

static void option_text(const struct cli_option *o, struct buf *b)
{
	b->len = 0;
	if (o->letter)
		buf_fmt(b, "-%c, ", o->letter);
	else
		buf_adds(b, "    ");
	buf_fmt(b, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
}

static void add_options(struct buf *b, const char *title, const struct cli_option *options)
{
	struct buf text = {0};
	size_t width = 0;
	if (!options)
		return;
	for (const struct cli_option *o = options; o->name; o++) {
		option_text(o, &text);
		width = text.len > width ? text.len : width;
	}
	buf_fmt(b, "\n%s\n", title);
	for (const struct cli_option *o = options; o->name; o++) {
		option_text(o, &text);
		add_entry(b, buf_str(&text).ptr, width, o->help);
	}
	buf_finish(&text);
}

/* ---- commands ---- */

static const char *name_in(const struct cli_command *c, const struct cli_group *group)
{
	size_t len = group ? strlen(group->name) : 0;
	if (!group)
		return strchr(c->path, ' ') ? NULL : c->path;
	return strncmp(c->path, group->name, len) == 0 && c->path[len] == ' ' ? c->path + len + 1 : NULL;
}

static void add_commands(struct buf *b, const struct cli_program *p, const struct cli_group *group)
{
	size_t width = 0;
	for (size_t i = 0; i < p->n_commands; i++) {
		const char *name = name_in(&p->commands[i], group);
		if (name && !p->commands[i].hidden && strlen(name) > width)
			width = strlen(name);
	}
	buf_adds(b, "\nCommands:\n");
	for (size_t i = 0; !group && i < p->n_groups; i++)
		add_entry(b, p->groups[i].name, width, p->groups[i].help);
	for (size_t i = 0; i < p->n_commands; i++) {
		const char *name = name_in(&p->commands[i], group);
		if (name && !p->commands[i].hidden)
			add_entry(b, name, width, p->commands[i].help);
	}
}

static void add_example(struct buf *b, const char *example)
{
	struct str rest = str_of(example);
	buf_adds(b, "\nExample:\n");
	while (rest.ptr) {
		struct str line = str_cut(&rest, '\n');
		buf_fmt(b, "  " STR_FMT "\n", STR_ARG(line));
	}
}

static void write_command(struct buf *b, const struct cli_program *p, const struct cli_command *c)
{
	const char *space = strrchr(c->path, ' ');
	buf_fmt(b, "Usage: skep %s [OPTIONS]%s%s\n\n%s.\n", c->path, *c->args ? " " : "", c->args, c->help);
	if (c->about)
		buf_fmt(b, "%s\n", c->about);
	if (c->alias && space)
		buf_fmt(b, "\nAlso: skep %.*s %s\n", (int)(space - c->path), c->path, c->alias);
	add_options(b, "Options:", c->options);
	add_options(b, "Global options:", p->options);
	add_example(b, c->example);
}

static void write_group(struct buf *b, const struct cli_program *p, const struct cli_group *g)
{
	buf_fmt(b, "Usage: skep %s COMMAND\n\n%s.\n", g->name, g->help);
	add_commands(b, p, g);
	for (size_t i = 0; i < p->n_commands; i++) {
		if (!name_in(&p->commands[i], g))
			continue;
		add_example(b, p->commands[i].example);
		break;
	}
	buf_fmt(b, "\nskep %s COMMAND -h says more about one of them.\n", g->name);
}

void help_write(struct buf *b, const struct cli_program *p, const struct cli_args *args)
{
	if (args->command) {
		write_command(b, p, args->command);
		return;
	}
	if (args->group) {
		write_group(b, p, args->group);
		return;
	}
	buf_adds(b, "Usage: skep [OPTIONS] COMMAND\n\nDeploys stacks onto a Docker Swarm, through skepd.\n");
	add_commands(b, p, NULL);
	add_options(b, "Global options:", p->options);
	add_example(b, "skep project create shop\nskep stack deploy -p shop -c compose.yml web\nskep stack ps -p shop web");
	buf_adds(b, "\nskep COMMAND -h says more about one of them. Exit codes: 0 done, 1 it failed, 2 wrong usage.\n");
}
