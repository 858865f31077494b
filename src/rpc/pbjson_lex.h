/* pbjson_lex: JSON's tokens (RFC 8259), strictly: for pbjson_read alone. Pure. */
#pragma once
#include <stdbool.h>
#include "base/str.h"

struct arena;

enum lex_kind {
	LEX_OBJECT,
	LEX_ARRAY,
	LEX_STRING,
	LEX_NUMBER,
	LEX_TRUE,
	LEX_FALSE,
	LEX_NULL,
	LEX_BAD
};

struct lex {
	const char *at, *end, *start;
	struct arena *arena;
	const char *wrong; /* what a LEX_BAD is */
};

struct lex_token {
	enum lex_kind kind;
	struct str text; /* of a string, decoded, NUL-terminated; of a number */
};

/* The next value; of an object and an array only the opening bracket. */
struct lex_token lex_next(struct lex *l);
/* After spaces: takes this one character, or leaves all as it is. */
bool lex_take(struct lex *l, char c);
/* Past one value, whatever it is, as deep as `depth` allows. False: l->wrong. */
bool lex_skip(struct lex *l, unsigned depth);
bool lex_at_end(struct lex *l);
