/* files: whole files into memory. The caller's own small files: read at once, before anything else runs. */
#pragma once
#include <stdbool.h>
#include <stdio.h>
#include "base/status.h"
#include "base/str.h"

struct arena;

/* At most `max` bytes; a larger one is RESOURCE_EXHAUSTED. NOT_FOUND (and *ret_missing) when there is none. The text lives in
 * the arena, NUL-terminated behind its length. */
struct status file_read(struct arena *a, const char *path, size_t max, struct str *ret_text, bool *ret_missing)
	__attribute__((warn_unused_result));
/* The same from a stream that is open, to its end; `name` is for messages. */
struct status file_read_stream(struct arena *a, FILE *f, const char *name, size_t max, struct str *ret_text)
	__attribute__((warn_unused_result));
bool file_exists(const char *path);
/* "/a/b" of "/a/b/c.yml", "." of "c.yml". */
char *file_folder(struct arena *a, const char *path);
/* `path` as seen from `folder`; an absolute one stays; "~/x" is in `home` when that is known. "x/.." is taken out. */
char *file_join(struct arena *a, const char *folder, const char *path, const char *home);
