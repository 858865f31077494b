/* gather: what `include` and `extends` name, in trees that may not have been checked. Internal to
 * compose. */
#pragma once
#include "compose/loader.h"

/* One item of `include`: "db/compose.yml", or {path, project_directory, env_file}. */
struct include {
	const struct node **paths; /* strings; the later ones are merged onto the first */
	size_t paths_len;
	const struct node **env_files; /* strings; none: .env in `dir`, if it came along */
	size_t env_files_len;
	const char *dir; /* where its relative paths begin */
};
/* False: the item names no path. */
bool include_read(struct loader *l, const struct node *item, struct include *ret);
/* The variables of an included text: its env files' below those of the text that includes it. */
const struct env_scope *include_scope(
	struct loader *l, const struct include *include, const struct path *path, bool report);

/* The `file` of a service's `extends`, NULL when there is none. */
const struct node *extends_file(const struct node *service);
