#include "cli/command.h"
#include <string.h>
#include "base/arena.h"
#include "base/str.h"
#include "cli/text.h"

/* ---- finding ---- */

/* The path's last word, and in *ret_group its first one when there are two. */
static const char *last_word(const struct cli_command *c, struct str *ret_group)
{
	struct str rest = str_of(c->path);
	struct str first = str_cut(&rest, ' ');
	*ret_group = rest.ptr ? first : str_of("");
	return rest.ptr ? rest.ptr : c->path;
}

const struct cli_command *command_find(
	const struct cli_program *p, const char *word, const char *word2)
{
	const char *want = word2 ? word2 : word;
	for (size_t i = 0; i < p->n_commands; i++) {
		const struct cli_command *c = &p->commands[i];
		struct str group;
		const char *last = last_word(c, &group);
		if (!str_is(group, word2 ? word : ""))
			continue;
		if (strcmp(last, want) == 0 || (c->alias && strcmp(c->alias, want) == 0))
			return c;
	}
	return NULL;
}

const struct cli_group *command_find_group(const struct cli_program *p, const char *word)
{
	for (size_t i = 0; i < p->n_groups; i++)
		if (strcmp(p->groups[i].name, word) == 0)
			return &p->groups[i];
	return NULL;
}

static const struct cli_option *find_in(
	const struct cli_option *list, const char *name, size_t len, char letter)
{
	for (const struct cli_option *o = list; o && o->name; o++) {
		if (letter ? o->letter == letter
			   : strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

const struct cli_option *command_find_option(
	const struct cli_program *p, const struct cli_command *command, const char *name, size_t len)
{
	const struct cli_option *o = command ? find_in(command->options, name, len, 0) : NULL;
	return o ? o : find_in(p->options, name, len, 0);
}

const struct cli_option *command_find_letter(
	const struct cli_program *p, const struct cli_command *command, char letter)
{
	const struct cli_option *o = command ? find_in(command->options, NULL, 0, letter) : NULL;
	return o ? o : find_in(p->options, NULL, 0, letter);
}

bool command_is_choice(const char *choices, const char *word)
{
	struct str rest = str_of(choices);
	while (rest.ptr) {
		if (str_is(str_cut(&rest, ' '), word))
			return true;
	}
	return false;
}

const char *command_option(const struct cli_args *args, const char *name)
{
	for (size_t i = args->n_given; i-- > 0;)
		if (strcmp(args->given[i].option->name, name) == 0)
			return args->given[i].value;
	return NULL;
}

/* ---- the nearest name ---- */

struct nearest {
	const char *to;
	const char *name; /* NULL: nothing is near */
	unsigned distance;
};

static void near_consider(struct nearest *n, const char *name)
{
	unsigned limit = strlen(n->to) < 4 ? 1 : 2;
	unsigned d = text_distance(n->to, name);
	if (strncmp(name, n->to, strlen(n->to)) == 0)
		d = 1; /* what was typed begins it */
	if (d <= limit && (!n->name || d < n->distance)) {
		n->name = name;
		n->distance = d;
	}
}

static const char *nearest_option(
	const struct cli_program *p, const struct cli_command *command, const char *name)
{
	struct nearest n = {.to = name};
	for (const struct cli_option *o = command ? command->options : NULL; o && o->name; o++)
		near_consider(&n, o->name);
	for (const struct cli_option *o = p->options; o && o->name; o++)
		near_consider(&n, o->name);
	return n.name;
}

static const char *nearest_command(
	const struct cli_program *p, const struct cli_group *group, const char *word)
{
	struct nearest n = {.to = word};
	for (size_t i = 0; i < p->n_commands; i++) {
		struct str of;
		const char *last = last_word(&p->commands[i], &of);
		if (!p->commands[i].hidden && str_is(of, group ? group->name : ""))
			near_consider(&n, last);
	}
	for (size_t i = 0; !group && i < p->n_groups; i++)
		near_consider(&n, p->groups[i].name);
	return n.name;
}

/* "deploy", for "stack deploy"; NULL: in no group, or in several. */
static const char *command_of_a_group(const struct cli_program *p, const char *word)
{
	const char *path = NULL;
	for (size_t i = 0; i < p->n_commands; i++) {
		struct str of;
		const char *last = last_word(&p->commands[i], &of);
		if (p->commands[i].hidden || of.len == 0 || strcmp(last, word) != 0)
			continue;
		if (path)
			return NULL;
		path = p->commands[i].path;
	}
	return path;
}

/* ---- the line ---- */

struct parse {
	struct arena *a;
	const struct cli_program *p;
	const char *const *argv;
	size_t argc, at;
	struct cli_args *ret;
};

static const char *path_of(const struct parse *ps)
{
	if (ps->ret->command)
		return arena_fmt(ps->a, "skep %s", ps->ret->command->path);
	return ps->ret->group ? arena_fmt(ps->a, "skep %s", ps->ret->group->name) : "skep";
}

static struct status unknown_option(const struct parse *ps, const char *shown, const char *name)
{
	const char *near = nearest_option(ps->p, ps->ret->command, name);
	if (near)
		return status_err(ST_INVALID_ARGUMENT, "unknown option %s; did you mean --%s?", shown, near);
	return status_err(ST_INVALID_ARGUMENT, "unknown option %s (%s -h lists them)", shown, path_of(ps));
}

static struct status give(struct parse *ps, const struct cli_option *o, const char *value)
{
	if (o->choices && !command_is_choice(o->choices, value))
		return status_err(ST_INVALID_ARGUMENT, "--%s takes one of: %s; not \"%s\"", o->name,
			o->choices, value);
	if (strcmp(o->name, "help") == 0)
		ps->ret->help = true;
	else
		ps->ret->given[ps->ret->n_given++] = (struct cli_given){o, value};
	return status_ok();
}

static struct status take_value(
	struct parse *ps, const struct cli_option *o, const char *attached)
{
	if (attached)
		return give(ps, o, attached);
	if (ps->at == ps->argc)
		return status_err(ST_INVALID_ARGUMENT, "--%s needs a value: --%s %s", o->name, o->name,
			o->value);
	return give(ps, o, ps->argv[ps->at++]);
}

static struct status take_long(struct parse *ps, const char *word)
{
	const char *name = word + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct cli_option *o = command_find_option(ps->p, ps->ret->command, name, len);
	if (!o) {
		const char *bare = arena_strndup(ps->a, name, len);
		return unknown_option(ps, arena_fmt(ps->a, "--%s", bare), bare);
	}
	if (o->value)
		return take_value(ps, o, equals ? equals + 1 : NULL);
	if (equals)
		return status_err(ST_INVALID_ARGUMENT, "--%s takes no value", o->name);
	return give(ps, o, "");
}

static struct status take_letters(struct parse *ps, const char *word)
{
	for (const char *at = word + 1; *at; at++) {
		const struct cli_option *o = command_find_letter(ps->p, ps->ret->command, *at);
		if (!o)
			return unknown_option(ps, arena_fmt(ps->a, "-%c", *at), "");
		if (o->value) {
			const char *rest = at + 1;
			return take_value(ps, o, *rest == '\0' ? NULL : *rest == '=' ? rest + 1 : rest);
		}
		struct status st = give(ps, o, "");
		if (!status_is_ok(&st))
			return st;
	}
	return status_ok();
}

static struct status take_command(struct parse *ps, const char *word)
{
	struct cli_args *r = ps->ret;
	if (strcmp(word, "help") == 0) {
		r->help = true;
		return status_ok();
	}
	r->command = command_find(ps->p, r->group ? r->group->name : word, r->group ? word : NULL);
	if (!r->command && !r->group) {
		r->group = command_find_group(ps->p, word);
		if (r->group)
			return status_ok();
	}
	if (r->command)
		return status_ok();
	const char *near = nearest_command(ps->p, r->group, word);
	const char *front = r->group ? arena_fmt(ps->a, "%s ", r->group->name) : "";
	const char *under = near || r->group ? NULL : command_of_a_group(ps->p, word);
	if (near || under)
		return status_err(ST_INVALID_ARGUMENT, "unknown command \"%s%s\"; did you mean \"%s%s\"?",
			front, word, front, near ? near : under);
	return status_err(ST_INVALID_ARGUMENT, "unknown command \"%s%s\" (%s -h lists them)", front,
		word, path_of(ps));
}

static struct status check_count(const struct parse *ps)
{
	const struct cli_args *r = ps->ret;
	const struct cli_command *c = r->command;
	if (r->help || !c)
		return status_ok();
	if (r->n_args > c->max_args)
		return status_err(ST_INVALID_ARGUMENT, "\"%s\" is one argument too many: skep %s%s%s",
			r->args[c->max_args], c->path, *c->args ? " " : "", c->args);
	if (r->n_args < c->min_args)
		return status_err(ST_INVALID_ARGUMENT, "too few arguments: skep %s %s", c->path, c->args);
	return status_ok();
}

struct status command_parse(struct arena *a, const struct cli_program *p, size_t argc,
	const char *const *argv, struct cli_args *ret_args)
{
	struct parse ps = {.a = a, .p = p, .argv = argv, .argc = argc, .ret = ret_args};
	bool only_args = false;
	size_t letters = 1;
	for (size_t i = 0; i < argc; i++)
		letters += strlen(argv[i]) + 1; /* "-abc" gives three */
	*ret_args = (struct cli_args){0};
	ret_args->args = arena_array(a, const char *, argc + 1);
	ret_args->given = arena_array(a, struct cli_given, letters);
	while (ps.at < argc) {
		const char *word = argv[ps.at++];
		struct status st = status_ok();
		if (!only_args && strcmp(word, "--") == 0)
			only_args = true;
		else if (!only_args && word[0] == '-' && word[1] == '-')
			st = take_long(&ps, word);
		else if (!only_args && word[0] == '-' && word[1] != '\0')
			st = take_letters(&ps, word);
		else if (!ret_args->command)
			st = take_command(&ps, word);
		else
			ret_args->args[ret_args->n_args++] = word;
		if (!status_is_ok(&st))
			return st;
	}
	return check_count(&ps);
}
