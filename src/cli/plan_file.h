/* plan_file: a plan's fingerprint on disk, between `stack plan --out` and `stack deploy --plan`:
 * one line. */
#pragma once
#include "base/status.h"

struct arena;

struct status plan_file_write(const char *path, const char *fingerprint)
	__attribute__((warn_unused_result));
/* `word` is a fingerprint, or the name of a file that holds one. The result lives in the arena, or
 * is `word`. */
struct status plan_file_read(struct arena *a, const char *word, const char **ret_fingerprint)
	__attribute__((warn_unused_result));
