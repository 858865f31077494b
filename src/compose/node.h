/* node: the tree that a YAML text becomes, before it has a meaning. Internal to
 * compose. Every node and every key knows where it stands in the texts. Nodes live in the
 * loader's arena; aliases were expanded into copies, so that a node has one parent and may be
 * changed in place. */
#pragma once
#include "base/arena.h"
#include "compose/compose.h"

enum node_kind { NODE_NULL, NODE_BOOL, NODE_INT, NODE_FLOAT, NODE_STRING, NODE_SEQ, NODE_MAP };
enum node_tag {
	NODE_PLAIN,
	NODE_RESET,    /* !reset */
	NODE_OVERRIDE, /* !override */
	NODE_SILENT,   /* an empty mapping that null, or a mere name, became */
};

struct node;
struct node_entry {
	const char *key;
	struct compose_mark at;
	struct node *value;
};
struct node {
	enum node_kind kind;
	enum node_tag tag;
	bool substituted; /* a variable changed this string: type casts apply */
	bool open;        /* its anchor is still being read: an alias to it would be a cycle */
	bool time;        /* docker: a string that YAML takes for a point in time */
	struct compose_mark at;
	const char *raw; /* of a number: as it is written, where that is what its text is */
	union {
		bool flag;
		int64_t number;
		double real;
		const char *text; /* NUL-terminated, no NUL inside */
		struct {
			struct node **items;
			size_t len, cap;
		} seq;
		struct {
			struct node_entry *entries;
			size_t len, cap;
		} map;
	};
};

/* Where in the tree a walk is: a list on the stack, printed only when something is wrong. */
struct path {
	const struct path *up; /* NULL: the root's child */
	const char *key;       /* NULL: an index */
	size_t index;
};
enum path_style {
	PATH_BRACKETS, /* services.web.ports[0] */
	PATH_DOTS,     /* services.web.ports.0, as docker's schema messages have it */
	PATH_BLANK,    /* services.web.ports.[], as docker's interpolation messages have it */
};
char *path_text(struct arena *a, const struct path *p, enum path_style style);

struct node *node_new(struct arena *a, enum node_kind kind, struct compose_mark at);
struct node *node_string(
	struct arena *a, const char *text, struct compose_mark at); /* borrows text */
struct node *node_int(struct arena *a, int64_t number, struct compose_mark at);
struct node *node_bool(struct arena *a, bool flag, struct compose_mark at);
void node_push(struct arena *a, struct node *seq, struct node *item);
void node_put(struct arena *a, struct node *map, const char *key, struct compose_mark at,
	struct node *value);
void node_remove(struct node *map, const char *key);
/* The value of a key; NULL when absent, or when `map` is NULL or no mapping. */
struct node *node_get(const struct node *map, const char *key);
struct node_entry *node_entry(const struct node *map, const char *key);
/* The value of a key when it is a string, else `otherwise`. */
const char *node_get_text(const struct node *map, const char *key, const char *otherwise);

/* Whether two trees say the same, wherever they stand. */
bool node_equal(const struct node *a, const struct node *b);

/* A scalar as its `raw` has it, else as docker prints it: 0123 → "83", 1.50 → "1.5", 1e6 → "1e+06",
 * null → "". */
const char *node_scalar_text(struct arena *a, const struct node *n);
/* What a plain (unquoted) scalar is: null, bool, int, float or string, by YAML 1.2 with the octal
 * of 1.1. Sets `raw` of a number. */
void node_resolve(struct node *n, const char *text);
/* What Go prints for a plain scalar that its YAML library takes for a point in time; NULL: it does
 * not. */
const char *timestamp_text(struct arena *a, const char *text);
static inline bool node_is_scalar(const struct node *n)
{
	return n->kind != NODE_SEQ && n->kind != NODE_MAP;
}
static inline bool node_is(const struct node *n, enum node_kind kind)
{
	return n && n->kind == kind;
}
