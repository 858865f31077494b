/* complete: how a command line can go on, from the table. The scripts of the shells only ask
 * `skep __complete -- WORD...` and show the answer. Pure. */
#pragma once
#include "cli/command.h"

struct arena;
struct buf;

/* words: behind the program's name; the last one is being typed (perhaps ""). Appends one line a candidate, the word and
 * behind a tab what it is. What only the daemon or the disk knows is not among them: *ret_names says that
 * names of this kind belong here too, and *ret_front what stands before them in the word ("--project="). */
void complete_words(struct arena *a, const struct cli_program *p, size_t n, const char *const *words, struct buf *b,
	enum cli_names *ret_names, const char **ret_front);
/* The script of "bash", "zsh" or "fish"; NULL for another shell. */
const char *complete_script(const char *shell);
