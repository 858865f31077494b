/* dotenv: env files, line by line: the Compose specification's form (`export`, quotes with \n \t in
 * double ones, values over several lines, comments) or docker's (KEY=value, nothing quoted; what
 * env_file calls format: raw). Pure; names and values live in the arena. Internal to compose.
 *
 *   struct dotenv d = dotenv_open(a, text, false);
 *   for (struct dotenv_line line; dotenv_next(&d, &line);) … */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"

struct arena;

#define DOTENV_LINE_COST ((size_t)64) /* what a line takes beside its bytes, however short */

struct dotenv {
	struct arena *a;
	struct str rest;
	size_t number;
	bool raw;
};
struct dotenv_line {
	size_t number; /* from 1, where it begins */
	const char *name;
	const char *value; /* NULL: a bare NAME */
	bool literal;      /* no ${…} in it means anything */
	const char *error; /* why this line is none; the rest is NULL then. The walk goes on. */
};

struct dotenv dotenv_open(struct arena *a, struct str text, bool raw);
/* The next line that says something; false at the end. */
bool dotenv_next(struct dotenv *d, struct dotenv_line *ret_line);
