#include "cli/complete.h"
#include <string.h>
#include "base/arena.h"
#include "base/str.h"

/* What the words before the last one mean. */
struct place {
	const struct cli_program *p;
	const struct cli_group *group;
	const struct cli_command *command;
	const struct cli_option *waits; /* the last word is its value */
	unsigned args;
	bool only_args;
	bool lost; /* there is no such command */
};

static void offer(struct buf *b, const char *typed, const char *front, const char *word, const char *what)
{
	if (strncmp(word, typed, strlen(typed)) == 0)
		buf_fmt(b, "%s%s\t%s\n", front, word, what);
}

/* ---- reading ---- */

static void read_option(struct place *at, const char *word)
{
	const struct cli_option *o;
	const char *equals = strchr(word, '=');
	if (word[1] == '-') {
		size_t len = equals ? (size_t)(equals - word) - 2 : strlen(word + 2);
		o = command_find_option(at->p, at->command, word + 2, len);
		at->waits = o && o->value && !equals ? o : NULL;
		return;
	}
	for (const char *letter = word + 1; *letter; letter++) {
		o = command_find_letter(at->p, at->command, *letter);
		if (!o || !o->value)
			continue;
		at->waits = letter[1] == '\0' ? o : NULL;
		return;
	}
}

static void read_word(struct place *at, const char *word)
{
	if (at->waits) {
		at->waits = NULL;
	} else if (!at->only_args && strcmp(word, "--") == 0) {
		at->only_args = true;
	} else if (!at->only_args && word[0] == '-' && word[1] != '\0') {
		read_option(at, word);
	} else if (at->command) {
		at->args++;
	} else {
		at->command = command_find(at->p, at->group ? at->group->name : word, at->group ? word : NULL);
		at->lost = !at->command && (at->group || !command_find_group(at->p, word));
		if (!at->command && !at->group)
			at->group = command_find_group(at->p, word);
	}
}

/* ---- offering ---- */

static void offer_commands(const struct place *at, const char *typed, struct buf *b)
{
	for (size_t i = 0; !at->group && i < at->p->n_groups; i++)
		offer(b, typed, "", at->p->groups[i].name, at->p->groups[i].help);
	for (size_t i = 0; i < at->p->n_commands; i++) {
		const struct cli_command *c = &at->p->commands[i];
		size_t len = at->group ? strlen(at->group->name) : 0;
		if (c->hidden)
			continue;
		if (!at->group && !strchr(c->path, ' '))
			offer(b, typed, "", c->path, c->help);
		else if (at->group && strncmp(c->path, at->group->name, len) == 0 && c->path[len] == ' ')
			offer(b, typed, "", c->path + len + 1, c->help);
	}
}

static void offer_options(const struct cli_option *options, const char *typed, struct buf *b)
{
	for (const struct cli_option *o = options; o && o->name; o++)
		offer(b, typed + 2, "--", o->name, o->help);
}

static void offer_words(const char *words, const char *typed, const char *front, struct arena *a, struct buf *b)
{
	struct str rest = str_of(words);
	while (rest.ptr)
		offer(b, typed, front, str_dup(a, str_cut(&rest, ' ')), "");
}

static void offer_value(struct arena *a, const struct cli_option *o, const char *typed, const char *front,
	struct buf *b, enum cli_names *ret_names, const char **ret_front)
{
	if (o->choices)
		offer_words(o->choices, typed, front, a, b);
	*ret_names = o->names;
	*ret_front = front;
}

static void offer_args(const struct place *at, const char *typed, struct arena *a, struct buf *b,
	enum cli_names *ret_names)
{
	const struct cli_command *c = at->command;
	bool all_alike = strncmp(c->args, "NAME...", 7) == 0;
	if (at->args >= c->max_args || (at->args > 0 && !all_alike))
		return;
	if (c->names == NAMES_SHELL)
		offer_words("bash zsh fish", typed, "", a, b);
	else
		*ret_names = c->names;
}

void complete_words(struct arena *a, const struct cli_program *p, size_t n, const char *const *words, struct buf *b,
	enum cli_names *ret_names, const char **ret_front)
{
	struct place at = {.p = p};
	const char *typed = n > 0 ? words[n - 1] : "", *equals = strchr(typed, '=');
	*ret_names = NAMES_NONE;
	*ret_front = "";
	for (size_t i = 0; i + 1 < n; i++)
		read_word(&at, words[i]);
	if (at.waits) {
		offer_value(a, at.waits, typed, "", b, ret_names, ret_front);
	} else if (!at.only_args && strncmp(typed, "--", 2) == 0 && equals) {
		const struct cli_option *o =
			command_find_option(p, at.command, typed + 2, (size_t)(equals - typed) - 2);
		if (o && o->value)
			offer_value(a, o, equals + 1, arena_strndup(a, typed, (size_t)(equals - typed) + 1), b,
				ret_names, ret_front);
	} else if (!at.only_args && typed[0] == '-') {
		const char *front = typed[1] == '-' ? typed : "--";
		offer_options(at.command ? at.command->options : NULL, front, b);
		offer_options(p->options, front, b);
	} else if (at.command) {
		offer_args(&at, typed, a, b, ret_names);
	} else if (!at.lost) {
		offer_commands(&at, typed, b);
	}
}

/* ---- scripts ---- */

/* A line ":files" asks the shell for its own file names. */
static const char bash_script[] =
	"# bash completion of skep: source <(skep completion bash)\n"
	"_skep() {\n"
	"	local i word cur front line glue= IFS=$'\\n'\n"
	"	local -a words=()\n"
	"	# bash takes words apart at = and :, which skep does not.\n"
	"	for ((i = 1; i <= COMP_CWORD; i++)); do\n"
	"		word=${COMP_WORDS[i]}\n"
	"		if [[ ${#words[@]} -gt 0 && (-n $glue || $word == [=:]*) ]]; then\n"
	"			words[-1]+=$word\n"
	"		else\n"
	"			words+=(\"$word\")\n"
	"		fi\n"
	"		[[ $word == *[=:] ]] && glue=1 || glue=\n"
	"	done\n"
	"	cur=${words[-1]}\n"
	"	[[ $word == [=:] ]] && word=\n"
	"	front=${cur%\"$word\"}\n"
	"	COMPREPLY=()\n"
	"	for line in $(skep __complete -- \"${words[@]}\" 2>/dev/null); do\n"
	"		if [[ $line == :files ]]; then\n"
	"			COMPREPLY+=($(compgen -f -- \"${cur#--*=}\"))\n"
	"			compopt -o filenames 2>/dev/null\n"
	"		else\n"
	"			line=${line%%$'\\t'*}\n"
	"			COMPREPLY+=(\"${line#\"$front\"}\")\n"
	"		fi\n"
	"	done\n"
	"}\n"
	"complete -F _skep skep\n";

static const char zsh_script[] =
	"#compdef skep\n"
	"# zsh completion of skep: source <(skep completion zsh), or a file _skep in $fpath\n"
	"_skep() {\n"
	"	local line word what files\n"
	"	local -a found\n"
	"	for line in ${(f)\"$(skep __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"}; do\n"
	"		if [[ $line == :files ]]; then\n"
	"			files=1\n"
	"		else\n"
	"			word=${line%%$'\\t'*} what=${line#*$'\\t'}\n"
	"			found+=(\"${word//:/\\\\:}${what:+:$what}\")\n"
	"		fi\n"
	"	done\n"
	"	(( $#found )) && _describe skep found\n"
	"	[[ -n $files ]] && _files\n"
	"	return 0\n"
	"}\n"
	"if [[ $funcstack[1] == _skep ]]; then\n"
	"	_skep \"$@\"\n"
	"else\n"
	"	compdef _skep skep\n"
	"fi\n";

static const char fish_script[] =
	"# fish completion of skep: skep completion fish | source\n"
	"function __skep_complete\n"
	"	set -l words (commandline -opc) (commandline -ct)\n"
	"	for line in (skep __complete -- $words[2..-1] 2>/dev/null)\n"
	"		if test \"$line\" = :files\n"
	"			__fish_complete_path (commandline -ct)\n"
	"		else\n"
	"			echo $line\n"
	"		end\n"
	"	end\n"
	"end\n"
	"complete -c skep -f -a '(__skep_complete)'\n";

const char *complete_script(const char *shell)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++)
		if (strcmp(scripts[i].shell, shell) == 0)
			return scripts[i].script;
	return NULL;
}
