/* dotenv: the variables of a .env file, as the Compose specification writes them: KEY=value, `export` in
 * front, comments, quotes ("…" with \n \t \" \\, '…' as it stands). Values are taken as written: no ${…} is
 * replaced in them. And which variables a file's values name. Pure. */
#pragma once
#include "base/map.h"
#include "base/status.h"
#include "base/str.h"

struct arena;

/* Puts name → value (char *, in the arena) for each line; later ones win. INVALID_ARGUMENT says which line of `file` is wrong. */
struct status dotenv_parse(struct arena *a, const char *file, struct str text, struct map *into)
	__attribute__((warn_unused_result));

/* Calls fn with each NAME that stands in the text as $NAME or ${NAME…}; some may come twice. */
void dotenv_names(struct arena *a, struct str text, void (*fn)(void *data, const char *name), void *data);
