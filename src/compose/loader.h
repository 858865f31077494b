/* loader: the state of one compose_load, and the passes over the tree, in order:
 * yaml → interpolate → check (types, short forms to long ones) → include, extends → merge →
 * profiles → env_file → decode → validate. Internal to compose. Every pass reports to the loader
 * and goes on as far as it can. */
#pragma once
#include "base/map.h"
#include "compose/node.h"

#define NEWEST_MINOR 13 /* of 3.x */

/* Variables; what stands further up wins. The top one is the caller's, below it are .env's, below
 * those the ones of an include's env_file. */
struct env_scope {
	const struct env_scope *up;
	struct map variables;   /* name → value */
	struct env_scope *next; /* of the loader's list */
};

/* A text that nodes come from (`file` of their marks): one of the input's, or an upload that was
 * included or extended. */
struct source {
	const char *name;
	struct str text;
	const char *dir; /* its relative paths begin here; "" = where the input's texts' do */
	const struct env_scope *scope;
	struct node *root; /* of one that is extended, else NULL */
};

struct loader {
	struct arena *a;
	const struct compose_input *in;
	const char *name; /* the stack's, given or of the texts; NULL: not known yet */
	struct compose_limits limits;
	struct compose_problems *errors, *warnings;
	struct env_scope *scopes; /* the last made first */
	struct env_scope *root;   /* of the input's texts */
	struct source *sources;
	size_t sources_len, sources_cap;
	struct map uploads;  /* path → struct compose_upload * */
	struct map extended; /* path and scope → a source's number + 1 */
	struct map disabled; /* service → the first profile that would bring it */
	int minor;           /* of the version 3.x whose schema the text is checked by */
	bool lenient;        /* ${…} that cannot be resolved are no error */
	bool dir_used;       /* a bind source was joined to the input's dir */
	bool home_used;      /* … to its home */
	bool incomplete;     /* a text is missing: what the whole would be is not known */
	size_t bytes;        /* of all sources */
	size_t nodes;        /* made so far, all texts together */
	size_t expanded;     /* bytes that substitution made so far */
	size_t added;        /* bytes that aliases and files put in so far */
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

/* Puts the upload ".env" below what the caller gives. */
void loader_read_dotenv(struct loader *l);
/* A scope below `up`, empty. */
struct env_scope *loader_scope(struct loader *l, const struct env_scope *up);
/* Reads a .env file into a scope; what is wrong is reported at `at`. */
void loader_dotenv(struct loader *l, struct env_scope *into, const struct compose_upload *file,
	struct compose_mark at, const struct path *path);
/* What a name means in a scope, or in the text that `at` stands in; NULL when it is not set. */
const char *loader_lookup(const struct loader *l, const struct env_scope *s, struct str name);
const struct env_scope *loader_scope_at(const struct loader *l, struct compose_mark at);
const char *loader_variable(const struct loader *l, struct compose_mark at, const char *name);
/* A path as the text that `at` stands in means it, seen from the input's texts. */
const char *loader_path(const struct loader *l, struct compose_mark at, const char *path);
/* The folder of such a path: "" for a plain file name. */
const char *loader_folder(const struct loader *l, const char *path);
/* The upload that such a path names; NULL when it did not come along. */
const struct compose_upload *loader_upload(const struct loader *l, const char *path);
/* An upload as one more text. False: they are too many or too long, which was reported. */
bool loader_open(struct loader *l, const struct compose_upload *u, const char *dir,
	const struct env_scope *scope, struct compose_mark at, const struct path *path,
	uint16_t *ret_file);
/* A copy of a tree, for a node has one parent. NULL: too many nodes, which was reported. */
struct node *loader_copy(struct loader *l, const struct node *from, struct compose_mark at);

/* The first document of a text; NULL when it was reported to be broken. */
struct node *yaml_load(struct loader *l, uint16_t file);

/* Puts variables into every string of a text; keys are left alone. */
void interpolate_text(struct loader *l, struct node *root);
/* One string. False: it was reported. *ret_text is `text` itself when nothing changed. */
bool interpolate_string(struct loader *l, const struct env_scope *scope, const char *text,
	struct compose_mark at, const struct path *path, const char **ret_text);
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
void merge_service(struct loader *l, struct node *base, struct node *over);
/* Takes out what was tagged !reset. */
void merge_finish(struct node *n);

/* Makes a text as yaml_load gave it canonical, with all that it includes and extends; not merged
 * with other texts. */
void gather_text(struct loader *l, struct node *root);
/* Takes out the services whose profiles are not asked for. */
void profiles_apply(struct loader *l, struct node *root);
/* The canonical tree as a model. */
struct compose_project *decode_project(struct loader *l, struct node *root);
/* Puts env_file into the environment of every service: before the merge (docker), or after it. */
void env_files_apply(struct loader *l, struct node *root);
/* Calls fn for each file that the tree names. Works on trees that were not checked. */
void env_files_each(const struct node *service,
	void (*fn)(void *data, const struct node *path, bool optional, const char *format),
	void *data);

/* What only the whole can tell: references, cycles, duplicates, the Engine's rules. */
void validate_project(struct loader *l, struct compose_project *p);
