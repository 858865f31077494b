/* export: the inverse of render: the Engine's bodies of a stack → a Compose text (3.x) that
 * `docker stack deploy` takes and makes the same services from. Pure. What the text cannot say is
 * found by reading it back, rendering it, and comparing: nothing is lost in silence.
 *
 * Secrets and configs become external ones by their Engine names: a text holds no values. Callers:
 * stacks (adopt), api (Stacks.Export). */
#pragma once
#include "compose/compose.h"

struct compose_export {
	const char *namespace_;
	/* Services and networks, as create bodies or as the Engine stores them, but with names of
	 * networks in the services' Networks (compose_name_networks). A service's name must begin
	 * with "<namespace>_". Secrets and configs give keys for names that services use; their
	 * bodies are not read. Services' depends_on is read where `service` is set. */
	const struct compose_rendering *objects;
	const char *const *own_labels; /* left out of the text; NULL-terminated; may be NULL */
	const char *head;              /* lines of a comment at the top; may be NULL */
};

/* *ret_text is in the arena. *ret_lost: one line for each thing that the text does not say
 * ("service web: TaskTemplate…"). False: no text can be made; `lost` says why. */
bool compose_export(struct arena *a, const struct compose_export *e, const char **ret_text,
	struct compose_strings *ret_lost);

/* Puts names in the place of ids in a stored service's Networks: name(data, id) or NULL = as it is.
 */
void compose_name_networks(
	json_t *service_body, const char *(*name)(void *data, const char *id), void *data);

/* ---- between export.c and export_service.c ---- */

struct exporter {
	struct arena *a;
	const struct compose_export *e;
	json_t *networks, *volumes, *secrets, *configs; /* the top level's */
	struct compose_strings *lost;
};
/* The service's mapping, owned by the caller. */
json_t *export_service(struct exporter *x, const struct compose_object *o);

enum export_form {
	FORM_TEXT,
	FORM_FLAG,     /* only true is written */
	FORM_TRISTATE, /* false too */
	FORM_LIST,
	FORM_MAP,
	FORM_NUMBER,   /* 0 is silence */
	FORM_DURATION, /* 0 is silence */
	FORM_DURATION_ZERO,
};
struct export_field {
	const char *key, *field; /* Compose's, the Engine's ("" = the object itself) */
	enum export_form form;
};
/* Fills `out` from the fields of `from`, in the table's order (ends with a NULL key). */
void export_fields(
	struct exporter *x, json_t *out, const struct export_field *table, const json_t *from);
/* A text in which nothing is a variable. */
json_t *export_text(struct exporter *x, const char *s);
/* Takes the value: sets it unless it is empty or null. */
void export_put(json_t *out, const char *key, json_t *value);
/* Labels but for those that docker and we put there; NULL when none is left. */
json_t *export_labels(struct exporter *x, const json_t *labels);
/* Declares `entry` (taken), which is `name` in the Engine, at the top level under this key, or one
 * like it where another thing has it; the key. */
const char *export_declare(
	struct exporter *x, json_t *section, const char *key, const char *name, json_t *entry);
/* {external: true}, with the Engine's name unless that is the key. */
json_t *export_external(struct exporter *x, const char *key, const char *name);
/* The key that the Engine's name suggests: without the namespace, and with a text's characters. */
const char *export_key(struct exporter *x, const char *name);
void export_lose(struct exporter *x, const char *line);
