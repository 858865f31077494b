/* loader: the state of one compose_load, and the passes over the tree, in order:
 * yaml → interpolate → check (types, short forms to long ones) → merge → decode → validate.
 * Internal to compose. Every pass reports to the loader and goes on as far as it can. */
#pragma once
#include "base/map.h"
#include "compose/node.h"

struct loader {
	struct arena *a;
	const struct compose_input *in;
	struct compose_limits limits;
	struct compose_problems *errors, *warnings;
	struct map variables; /* name → value */
	size_t nodes;         /* made so far, all texts together */
	size_t expanded;      /* bytes that substitution made so far */
	size_t added;         /* bytes that aliases and files put in so far */
};

void loader_init(struct loader *l, struct arena *a, const struct compose_input *in,
	struct compose_problems *errors, struct compose_problems *warnings);
void loader_finish(struct loader *l);

/* Reports. `path` may be NULL (the root), `hint` NULL or "". */
void loader_error(struct loader *l, struct compose_mark at, const struct path *path,
	const char *hint, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void loader_warn(struct loader *l, struct compose_mark at, const struct path *path,
	const char *hint, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Counts what a short text makes long: bytes named once more. False: they are too many, which was
 * reported the first time. */
bool loader_add_bytes(
	struct loader *l, struct compose_mark at, const struct path *path, size_t bytes);
/* NULL when the variable is not set. */
const char *loader_variable(const struct loader *l, const char *name);
/* The bytes of an upload by the path that the text gives; NULL when it did not come along. */
const struct compose_upload *loader_upload(const struct loader *l, const char *path);

/* The first document of a text; NULL when it was reported to be broken. */
struct node *yaml_load(struct loader *l, uint16_t file);

/* Puts variables into every string of the sections that docker interpolates. */
void interpolate_text(struct loader *l, struct node *root);
/* One string. False: it was reported. *ret_text is `text` itself when nothing changed. */
bool interpolate_string(struct loader *l, const char *text, struct compose_mark at,
	const struct path *path, const char **ret_text);
/* Calls fn for each variable that a string names, `with_default` when the use brings its own. */
void interpolate_names(struct arena *a, const char *text, bool compat,
	void (*fn)(void *data, const char *name, bool with_default), void *data);

/* Types and unknown keys of one text by the schema; short forms become long ones in place. */
void check_text(struct loader *l, struct node *root);
/* Docker refuses texts of different versions. */
void check_versions_agree(struct loader *l, struct node *const *roots, size_t len);
/* Warnings in docker's words of what a stack ignores; in compat mode one for all texts. */
void check_ignored(struct loader *l, struct node *const *roots, size_t len);

/* Lays `over` onto `base` by the schema's rules. */
void merge_text(struct loader *l, struct node *base, struct node *over);
/* Takes out what was tagged !reset. */
void merge_finish(struct node *n);

/* The canonical tree as a model. */
struct compose_project *decode_project(struct loader *l, struct node *root);
/* Puts env_file into the environment of every service: before the merge (docker), or after it. */
void env_files_apply(struct loader *l, struct node *root);
/* Calls fn for each file that the tree names. Works on trees that were not checked. */
void env_files_each(const struct node *service,
	void (*fn)(void *data, const struct node *path, bool optional), void *data);

/* What only the whole can tell: references, cycles, duplicates, the Engine's rules. */
void validate_project(struct loader *l, struct compose_project *p);
