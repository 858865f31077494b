/* help: the text of -h, for the program, a group and a command, from the table. Pure. */
#pragma once
#include "cli/command.h"

struct buf;

void help_write(struct buf *b, const struct cli_program *p, const struct cli_args *args);
