/* schema: the Compose format as data. One table a mapping: for each key its kind (which says
 * what forms it takes, how it merges, and what it becomes in the model), how docker treats it, and
 * the field of the model it fills. Its order is that of the printed text (config.c). What is in no
 * table is an error. Internal to compose. */
#pragma once
#include <stddef.h>

enum schema_kind {
	K_ANY,         /* any value; only that it is there matters */
	K_STRING,      /* const char * */
	K_BOOL,        /* bool */
	K_TRISTATE,    /* opt_bool */
	K_INT,         /* opt_i64 */
	K_NUMBER,      /* opt_double */
	K_TEXT,        /* string or number; only that it is one matters */
	K_DURATION,    /* "1m30s" → opt_i64 of nanoseconds */
	K_BYTES,       /* "50M" → int64_t */
	K_CPUS,        /* "0.5", "1/4" → int64_t of 1e-9 CPUs */
	K_STRINGS,     /* list of strings → compose_strings */
	K_ONE_OR_MORE, /* string or list of strings → compose_strings */
	K_COMMAND, /* string, split as a shell does, or list → compose_strings; merging replaces */
	K_TEST,    /* string (CMD-SHELL) or list → compose_strings */
	K_HOSTS,   /* list of host:ip or mapping → compose_strings */
	K_PAIRS,   /* mapping or list of key=value; null is "" → compose_pairs */
	K_ENV,     /* the same, null stays → compose_pairs */
	K_OPTIONS, /* mapping to strings and numbers → compose_pairs */
	K_MAP,     /* mapping with the keys of `sub`, its fields relative to `offset` */
	K_NAMED,   /* mapping of names to mappings with the keys of `sub` */
	K_ITEMS,   /* list of mappings with the keys of `sub` */
	K_PORTS,   /* the kinds from here on have short forms and their own decoding */
	K_VOLUMES,
	K_FILES, /* secrets and configs of a service */
	K_NETWORKS,
	K_DEPENDS,
	K_ULIMITS,
	K_EXTERNAL,
	K_ENV_FILE,
	K_BUILD,
	K_EXTENDS,
	K_INCLUDE,
};

enum schema_flag {
	F_NULL = 1 << 0,        /* null is fine, and as if the key were absent */
	F_CAST = 1 << 1,        /* docker casts what substitution made; else only we do */
	F_UNIQUE = 1 << 2,      /* list items are unique */
	F_UNSIGNED = 1 << 3,    /* not below 0 */
	F_NUMBER = 1 << 4,      /* docker calls this integer a number */
	F_SPEC = 1 << 5,        /* of the Compose specification only: docker refuses it */
	F_UNSUPPORTED = 1 << 6, /* docker: "Ignoring unsupported options" */
	F_DEPRECATED = 1 << 7,  /* docker: "Ignoring deprecated options", `text` says more */
	F_FORBIDDEN = 1 << 8,   /* docker: "Compose file contains unsupported options", `text` */
	F_DROPPED = 1 << 9,     /* docker drops it without a word: we warn with `text` */
	F_OPEN = 1 << 10,  /* of a K_MAP or K_ITEMS: unknown keys are no error, but warned of; of a
			    * K_EXTERNAL: docker does not look at them */
	F_EXTRA = 1 << 11, /* of a K_MAP, K_NAMED: keys that begin with x- may stand in it */
	F_NULLS = 1 << 12, /* of K_OPTIONS: null is a value, "" */
	F_ZERO = 1 << 13,  /* docker's merge: 0 in a later file overrides too */
	F_REFUSED = 1 << 14, /* of the Compose specification, but Swarm has no such thing: `text` */
	F_SENT = 1 << 16,    /* docker drops it: in compat mode we warn with `text`, else it is sent */
	F_OCTAL = 1 << 15,   /* of a K_INT: a string is octal, in the Compose specification */
	F_SIZE = 1 << 17,    /* of a K_INT: a string is a size, in the Compose specification */
};
/* Docker's schemas of the versions before 3.n do not have the key. */
#define SINCE(n)       ((unsigned)(n) << 24)
#define SINCE_OF(flags) ((int)((flags) >> 24))

#define NO_FIELD ((size_t)-1)

struct schema_key {
	const char *name; /* NULL ends a table */
	enum schema_kind kind;
	unsigned flags;
	size_t offset; /* in the struct of the table's owner; NO_FIELD: decoded by hand, or not at
			  all */
	const struct schema_key *sub;
	const char *text;
};

extern const struct schema_key schema_root[];
const struct schema_key *schema_find(const struct schema_key *table, const char *name);
/* A key of the service table. */
const struct schema_key *schema_service(const char *name);
/* The key that `name` was perhaps meant to be, or NULL. */
const char *schema_nearest(const struct schema_key *table, const char *name);
