/* stats: what Jobs.Stats answers, for people: for `job stats`, once, and `top`, again and again. */
#pragma once
#include <stdbool.h>
#include "cli/cli.h"

typedef struct Skep__V1__JobStats Skep__V1__JobStats;

/* Appends a line of numbers and a table of each thing there is: queues, running jobs, waiting ones, pauses, daemons. */
void stats_add(struct cli *c, const Skep__V1__JobStats *s, bool color, struct buf *b);
/* Prints it in the format that was asked for (names: ids of jobs). Returns CLI_DONE. */
int stats_print(struct cli *c, const Skep__V1__JobStats *s);
