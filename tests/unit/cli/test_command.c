/* The table of commands, reading lines against it, help, completion. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/help.h"

struct line {
	struct arena *a;
	struct cli_args args;
	struct status st;
};

static size_t split(struct arena *a, const char *text, const char **ret_words)
{
	struct str rest = str_of(text);
	size_t n = 0;
	while (rest.ptr && *text)
		ret_words[n++] = str_dup(a, str_cut(&rest, ' '));
	return n;
}

static struct line read_line(const char *text)
{
	struct line l = {.a = arena_create()};
	const char **words = arena_array(l.a, const char *, strlen(text) + 1);
	l.st = command_parse(l.a, &cli_program, split(l.a, text, words), words, &l.args);
	return l;
}

static void assert_refused(const char *text, const char *words)
{
	struct line l = read_line(text);
	assert_int_equal(l.st.code, ST_INVALID_ARGUMENT);
	if (!strstr(l.st.message, words))
		fail_msg("%s: \"%s\" lacks \"%s\"", text, l.st.message, words);
	arena_destroy(l.a);
}

static void test_options_stand_anywhere(void **state)
{
	static const char *const lines[] = {"-p shop stack deploy --compose-file a.yml -dq web -c b.yml",
		"stack -p=shop deploy web -ca.yml -c=b.yml -d -q", "stack deploy --project=shop -qdc a.yml -c b.yml -- web"};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct line l = read_line(lines[i]);
		assert_int_equal(l.st.code, ST_OK);
		assert_string_equal(l.args.command->path, "stack deploy");
		assert_int_equal(l.args.n_args, 1);
		assert_string_equal(l.args.args[0], "web");
		assert_string_equal(command_option(&l.args, "project"), "shop");
		assert_string_equal(command_option(&l.args, "compose-file"), "b.yml");
		assert_non_null(command_option(&l.args, "detach"));
		assert_non_null(command_option(&l.args, "quiet"));
		assert_null(command_option(&l.args, "namespace"));
		size_t files = 0;
		for (size_t k = 0; k < l.args.n_given; k++)
			files += strcmp(l.args.given[k].option->name, "compose-file") == 0;
		assert_int_equal(files, 2);
		arena_destroy(l.a);
	}
}

static void test_arguments_that_look_like_options(void **state)
{
	struct line l = read_line("stack restart -- -c --detach");
	(void)state;
	assert_int_equal(l.st.code, ST_OK);
	assert_int_equal(l.args.n_args, 2);
	assert_string_equal(l.args.args[1], "--detach");
	assert_int_equal(l.args.n_given, 0);
	arena_destroy(l.a);
	l = read_line("stack deploy -c - web");
	assert_int_equal(l.st.code, ST_OK);
	assert_string_equal(command_option(&l.args, "compose-file"), "-");
	arena_destroy(l.a);
}

static void test_what_is_wrong_is_named(void **state)
{
	(void)state;
	assert_refused("stak ls", "unknown command \"stak\"; did you mean \"stack\"?");
	assert_refused("stack depoly", "did you mean \"stack deploy\"?");
	assert_refused("stack rel web", "did you mean \"stack releases\"?");
	assert_refused("versoin", "did you mean \"version\"?");
	assert_refused("deploy web", "unknown command \"deploy\"; did you mean \"stack deploy\"?");
	assert_refused("create web", "unknown command \"create\" (skep -h lists them)"); /* of what? */
	assert_refused("frobnicate", "unknown command \"frobnicate\" (skep -h lists them)");
	assert_refused("stack frobnicate", "(skep stack -h lists them)");
	assert_refused("__complet", "skep -h"); /* what is hidden is not suggested */
	assert_refused("stack ls --porject x", "unknown option --porject; did you mean --project?");
	assert_refused("stack deploy --detatch web", "did you mean --detach?");
	assert_refused("stack ls --detach", "unknown option --detach (skep stack ls -h lists them)");
	assert_refused("stack ls -z", "unknown option -z");
	assert_refused("stack deploy web -c", "--compose-file needs a value: --compose-file FILE");
	assert_refused("stack ls --quiet=yes", "--quiet takes no value");
	assert_refused("stack ls -o xml", "--output takes one of: table json yaml name; not \"xml\"");
	assert_refused("stack ls -o jso", "--output takes one of");
	assert_refused("stack ls web", "\"web\" is one argument too many: skep stack ls");
	assert_refused("stack scale web", "too few arguments: skep stack scale NAME SERVICE=N...");
}

static void test_aliases(void **state)
{
	struct line l = read_line("project list");
	(void)state;
	assert_string_equal(l.args.command->path, "project ls");
	arena_destroy(l.a);
}

static void test_help_is_asked_for_in_any_way(void **state)
{
	static const char *const lines[] = {"stack deploy -h", "-h stack deploy", "help stack deploy", "stack deploy --help",
		"stack help deploy"};
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct line l = read_line(lines[i]);
		assert_int_equal(l.st.code, ST_OK);
		assert_true(l.args.help);
		assert_string_equal(l.args.command->path, "stack deploy");
		arena_destroy(l.a);
	}
	struct line l = read_line("stack");
	assert_null(l.args.command);
	assert_string_equal(l.args.group->name, "stack");
	arena_destroy(l.a);
}

/* Every command of the table says what a user needs, and every example is a line that is understood. */
static void test_the_table_is_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < cli_program.n_commands; i++) {
		const struct cli_command *c = &cli_program.commands[i];
		assert_non_null(c->run);
		assert_true(strlen(c->help) > 5 && c->max_args >= c->min_args);
		struct str rest = str_of(c->example);
		struct arena *a = arena_create();
		while (rest.ptr) {
			char *line = str_dup(a, str_cut(&rest, '\n'));
			char *at = strstr(line, "skep ");
			assert_non_null(at);
			bool quoted = false; /* a quoted argument is one word; what a shell does next is none */
			for (char *p = at; *p; p++) {
				quoted ^= *p == '"';
				if (quoted && *p == ' ')
					*p = '+';
				else if (strchr("&|)>", *p))
					*p = '\0';
				if (*p == '\0')
					break;
			}
			while (at[strlen(at) - 1] == ' ')
				at[strlen(at) - 1] = '\0';
			struct line l = read_line(at + 5);
			if (l.st.code != ST_OK || l.args.command != c)
				fail_msg("example of %s: %s", c->path, l.st.message);
			arena_destroy(l.a);
		}
		struct buf b = {0};
		help_write(&b, &cli_program, &(struct cli_args){.command = c});
		assert_non_null(strstr(b.ptr, c->example[0] ? "Example:" : "?"));
		assert_non_null(strstr(b.ptr, "Usage: skep "));
		assert_non_null(strstr(b.ptr, "-o, --output FORMAT"));
		for (const struct cli_option *o = c->options; o && o->name; o++)
			assert_non_null(strstr(b.ptr, o->name));
		buf_finish(&b);
		arena_destroy(a);
	}
}

/* What a command calls as a global option is called would be taken for both. */
static void test_names_are_taken_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < cli_program.n_commands; i++)
		for (const struct cli_option *o = cli_program.commands[i].options; o && o->name; o++)
			for (const struct cli_option *g = cli_program.options; g->name; g++)
				if (strcmp(o->name, g->name) == 0 || (o->letter && o->letter == g->letter))
					fail_msg("skep %s: --%s is a global option", cli_program.commands[i].path, o->name);
}

/* ---- completion ---- */

/* The candidates, each with a blank behind; kinds and fronts in brackets. */
static char *completed(struct arena *a, const char *text)
{
	const char **words = arena_array(a, const char *, strlen(text) + 1), *front;
	struct buf b = {0}, found = {0};
	enum cli_names names;
	complete_words(a, &cli_program, split(a, text, words), words, &b, &names, &front);
	struct str rest = buf_str(&b);
	while (rest.len) {
		struct str line = str_cut(&rest, '\n');
		struct str word = str_cut(&line, '\t');
		buf_fmt(&found, STR_FMT " ", STR_ARG(word));
	}
	if (names != NAMES_NONE)
		buf_fmt(&found, "[%d%s]", (int)names, front);
	char *list = str_dup(a, buf_str(&found));
	buf_finish(&b);
	buf_finish(&found);
	return list;
}

static void test_completion(void **state)
{
	static const struct {
		const char *line, *candidates;
	} cases[] = {
		{"s", "stack schedule "},
		{"stack re", "restart releases "},
		{"-p web stack sc", "scale "},
		{"--project=web stack sc", "scale "},
		{"stack deploy --de", "--detach "},
		{"stack ls -o ", "table json yaml name "},
		{"stack ls -o j", "json "},
		{"stack ls --output=y", "--output=yaml "},
		{"job ls --state=fa", "--state=failed "},
		{"completion ", "bash zsh fish "},
		{"completion bash ", ""},
		{"stack ps ", "[5]"},
		{"stack ps w", "[5]"},
		{"stack ps web ", ""},
		{"stack rm web ", "[5]"},
		{"stack ls --project=s", "[4--project=]"},
		{"stack deploy -c ", "[1]"},
		{"stack deploy -qc ", "[1]"},
		{"job watch ", "[6]"},
		{"context use ", "[3]"},
		{"nothing like it ", ""},
		{"stack ps -- -", "[5]"},
		{"__c", ""},
	};
	struct arena *a = arena_create();
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(completed(a, cases[i].line), cases[i].candidates);
	assert_non_null(strstr(completed(a, "stack deploy -"), "--compose-file "));
	assert_non_null(strstr(completed(a, ""), "stack "));
	assert_null(strstr(completed(a, ""), "__complete"));
	arena_destroy(a);
}

static void test_scripts(void **state)
{
	(void)state;
	assert_non_null(strstr(complete_script("bash"), "complete -F _skep skep"));
	assert_non_null(strstr(complete_script("zsh"), "compdef _skep skep"));
	assert_non_null(strstr(complete_script("fish"), "complete -c skep"));
	assert_null(complete_script("csh"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_stand_anywhere),
		cmocka_unit_test(test_arguments_that_look_like_options),
		cmocka_unit_test(test_what_is_wrong_is_named),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_help_is_asked_for_in_any_way),
		cmocka_unit_test(test_the_table_is_whole),
		cmocka_unit_test(test_names_are_taken_once),
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_scripts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
