/* compose: Compose texts → model → the Engine's create bodies, and the difference
 * between such a body and what an Engine stores. Pure: bytes in, values out. No file
 * is read, no environment variable is looked at, nothing waits, nothing is logged.
 *
 * Callers: stacks (deploy, plan, drift), api (validation before a job is made), cli
 * (which files and variables to send; `skep compose render`).
 *
 *   struct compose_problems errors = {0}, warnings = {0};
 *   struct compose_project *p;
 *   if (!compose_load(a, &input, &p, &errors, &warnings))
 *           … show every one of `errors`: they were all found at once …
 *   struct compose_rendering *r = compose_render(a, p, &(struct compose_render_options){ … });
 *
 * Everything returned lives in the arena, JSON bodies too (a caller that keeps one takes
 * json_incref). The input is borrowed during the call only. Out of memory aborts; sizes are
 * limited. */
#pragma once
#include "base/json.h"
#include "base/str.h"
#include "compose/model.h"

struct arena;

struct compose_text {
	const char *name; /* shown in messages: "compose.yml" */
	struct str text;
};
struct compose_upload {
	const char *path; /* as the text names it ("./app.env"); "./x" and "x" are one */
	struct str bytes;
};
struct compose_variable {
	const char *name, *value;
};
struct compose_limits { /* 0 = the default */
	size_t bytes;   /* all texts together, with what they include and extend: 1 MiB */
	size_t depth;   /* of nesting: 100 */
	size_t nodes;   /* after aliases are expanded: 200,000 */
	size_t added;   /* bytes that aliases and files put in, each as often as it is named: 16 MiB
			 */
	size_t objects; /* services; networks, volumes, secrets, configs likewise: 2,000 each */
	size_t problems; /* errors kept, and warnings kept: 100 each */
};

struct compose_input {
	const char *name; /* the stack's name in the Engine (its namespace); NULL: `name:` of the
			     texts */
	const struct compose_text *texts; /* merged in order: later ones win */
	size_t texts_len;
	const struct compose_upload *uploads; /* the files that the texts name; and ".env", whose
						 variables are below the caller's */
	size_t uploads_len;
	const struct compose_variable
		*variables; /* for ${…} and bare KEYs of env_file; a later one wins */
	size_t variables_len;
	const char
		*dir; /* absolute: relative bind sources are joined to it; NULL: they are errors */
	const char *home;            /* for "~/…" in bind sources; NULL: an error */
	const char *const *profiles; /* asked for beside those in COMPOSE_PROFILES; "*" = all */
	size_t profiles_len;
	bool compat; /* docker's rules and quirks instead of the Compose specification's */
	struct compose_limits limits;
};

struct compose_problem {
	const char *file;      /* name of the text; "" when it is about none */
	uint32_t line, column; /* from 1; 0 = the whole file */
	const char *path;      /* "services.web.ports[0]"; "" = the root */
	const char *message;   /* what is wrong; docker's words where docker has some */
	const char *hint;      /* what would be right; "" when the message says it */
};
struct compose_problems {
	struct compose_problem *items;
	size_t len;
	size_t more; /* found, but not kept */
};

/* True: *ret_project is complete and `errors` is empty. False: `errors` has all that
 * was found, in order of the texts. `warnings` is filled either way. Both are overwritten. */
bool compose_load(struct arena *a, const struct compose_input *in,
	struct compose_project **ret_project, struct compose_problems *errors,
	struct compose_problems *warnings);

/* One line: "compose.yml:4:3: services.web.tty must be a boolean (hint)". */
char *compose_problem_text(struct arena *a, const struct compose_problem *p);

/* The stack's name: what the Engine takes in front of a service's, in its 63 characters. NULL =
 * fine, else what is wrong. */
const char *compose_check_name(struct arena *a, const char *name);

enum compose_ref_kind {
	COMPOSE_REF_ENV_FILE,
	COMPOSE_REF_SECRET,
	COMPOSE_REF_CONFIG,
	COMPOSE_REF_COMPOSE, /* included, or extended */
	COMPOSE_REF_DOTENV,  /* .env, and env_file of an include: what it says may stand in the
				paths of others, so that it is read before them */
};
struct compose_file_ref {
	enum compose_ref_kind kind;
	const char *path; /* as written, variables put in, and seen from the first text's folder */
	bool optional;    /* env_file with required: false; .env */
	const char *file; /* the name of the text that names it; "" for .env */
	struct compose_mark at;
};
/* Files that the texts, and those of `uploads` that they include or extend, name: each path once,
 * whether or not `uploads` has it. A caller that sends files reads what is new and asks again until
 * nothing is. False: YAML or ${…} is wrong (see `errors`); *ret_refs holds what was found all the
 * same. */
bool compose_file_refs(struct arena *a, const struct compose_input *in,
	struct compose_file_ref **ret_refs, size_t *ret_len, struct compose_problems *errors);

struct compose_variable_ref {
	const char *name;
	bool has_default; /* every use brings its own default */
	struct compose_mark at;
};
/* Variables of the caller that the texts and the env files among `uploads` read by ${…}; bare KEYs
 * of `environment` and env files (docker resolves them on the client); COMPOSE_PROFILES where there
 * are profiles. Each name once. */
bool compose_variable_refs(struct arena *a, const struct compose_input *in,
	struct compose_variable_ref **ret_refs, size_t *ret_len, struct compose_problems *errors);
/* What is wrong with the first bad line of a .env file ("line 3: …"); NULL: nothing. */
const char *compose_dotenv_problem(struct arena *a, struct str bytes);
/* `name:` of the texts, variables put in; NULL: they have none, or cannot be read. */
const char *compose_text_name(struct arena *a, const struct compose_input *in);

/* Start order: level 0 depends on nothing, level n on something in level n−1. Cycles were
 * refused by compose_load. Inside a level everything may start at once; which condition to await
 * stands in the service's depends_on. */
struct compose_level {
	const struct compose_service **services;
	size_t len;
};
void compose_levels(struct arena *a, const struct compose_project *p,
	struct compose_level **ret_levels, size_t *ret_len);
const struct compose_service *compose_service_find(
	const struct compose_project *p, const char *key);

/* The model as one Compose text: merged, variables put in, long forms, paths absolute, keys in a
 * fixed order, as `docker stack config` prints it. With `escape` it loads again and means the same,
 * without any file but those of secrets and configs: every $ of a value that loading reads again is
 * doubled, env files and profiles stand no more in it. In the arena. */
json_t *compose_config(struct arena *a, const struct compose_project *p, bool escape);

/* ---- render ---- */

enum compose_kind { COMPOSE_NETWORK, COMPOSE_SECRET, COMPOSE_CONFIG, COMPOSE_SERVICE };
const char *compose_kind_name(enum compose_kind kind); /* "network" */

struct compose_object {
	enum compose_kind kind;
	const char *key;  /* in the text */
	const char *name; /* the Engine's */
	bool external;    /* exists already: body is NULL */
	json_t *body;     /* of POST /<kind>s/create; in the arena */
	struct compose_mark at;
	const struct compose_service *service; /* of a service, else NULL */
};
struct compose_objects {
	struct compose_object *items;
	size_t len;
};
struct compose_rendering {
	struct compose_objects networks, secrets, configs, services; /* networks: only used ones */
};
struct compose_render_options {
	/* Names of secrets and configs that the text does not name: <namespace>_<key>_<12 hex
	 * digits of this hash of the content>. NULL: docker's names, <namespace>_<key>. */
	void (*sha256)(struct str bytes, unsigned char ret_digest[32]);
	/* Called once for each object that is created, with its `Labels` (for a service: the
	 * service's, not the containers'). May be NULL. */
	void (*add_labels)(void *data, enum compose_kind kind, const char *key, json_t *labels);
	void *data;
};
/* Bodies exactly as `docker stack deploy` sends them. References from services to secrets and
 * configs carry names; their ids are "" until compose_resolve. */
struct compose_rendering *compose_render(
	struct arena *a, const struct compose_project *p, const struct compose_render_options *o);

/* Puts ids into a service's body: lookup(data, COMPOSE_SECRET or COMPOSE_CONFIG, name) gives the id
 * or NULL. NULL = all found; else the first name that was not. */
const char *compose_resolve(json_t *service_body,
	const char *(*lookup)(void *data, enum compose_kind kind, const char *name), void *data);

/* A service's references to secrets or configs get other names, in their place: name(data, from); NULL = as it is. */
void compose_rename(json_t *service_body, enum compose_kind kind,
	const char *(*name)(void *data, const char *from), void *data);

/* The image of a service's body (borrowed), and a pinned one in its place: `image` is
 * "name:tag@sha256:…"; `platforms` ([{Architecture, OS}], borrowed) becomes Placement.Platforms,
 * NULL leaves none. */
const char *compose_body_image(const json_t *service_body);
void compose_body_pin(json_t *service_body, const char *image, json_t *platforms);
/* The host of the registry that an image comes from: "docker.io" where it names none. */
const char *compose_image_registry(struct arena *a, const char *image);
/* `container image` as the label com.docker.stack.image has it. */
const char *compose_body_image_label(const json_t *service_body);

/* ---- plan ---- */

enum compose_verdict {
	COMPOSE_KEEP,    /* nothing differs */
	COMPOSE_UPDATE,  /* the Engine can change it in place */
	COMPOSE_REPLACE, /* must be removed and made anew (network options, service mode, content)
			  */
};
struct compose_change {
	const char *path;   /* "TaskTemplate.ContainerSpec.Image"; labels as Labels["a.b"]; lists as
			       Args[2]; variables by name: Env.PATH */
	const char *before; /* JSON text; NULL = absent */
	const char *after;
};
struct compose_diff {
	enum compose_verdict verdict;
	struct compose_change *changes; /* empty when kept */
	size_t len;
};
struct compose_plan_options {
	const char *const *ignore_labels; /* label keys that make no difference; NULL-terminated;
					     may be NULL */
	/* The id of a network's Engine name (stored specs hold ids), or NULL. */
	const char *(*network_id)(void *data, const char *name);
	void *data;
	unsigned api; /* see compose_unknown_fields */
};
/* `desired` as rendered (and resolved, pinned), `stored` is what GET gives: a service's or secret's
 * or config's raw Spec, or a network's own JSON. Engine defaults make no difference; replicas that
 * `desired` leaves out keep the current scale; ForceUpdate is the Engine's. A digest that only
 * `stored` has is kept when the image as written is the same. */
void compose_plan(struct arena *a, enum compose_kind kind, const json_t *desired,
	const json_t *stored, const struct compose_plan_options *o, struct compose_diff *ret_diff);

/* What the text asks for in a service's body and an Engine of API 1.<api> does not know: it drops such
 * fields without a word, so they make no difference to compose_plan. As the text has them, with the
 * API that brought them: "oom_score_adj (1.46)". api 0: nothing. */
struct compose_strings compose_unknown_fields(
	struct arena *a, const json_t *service_body, unsigned api);
/* The minor of the API 1.x that brought the field `key` of an object `in`; 0: every one has it. */
unsigned compose_field_api(const char *in, const char *key);

/* The body to send as an update: `desired` with the stored ForceUpdate (plus one when `force`), the
 * stored scale where `desired` is silent, and the stored digest where the image as written is the
 * same and `desired` is not pinned. In the arena. */
json_t *compose_update_body(
	struct arena *a, const json_t *desired, const json_t *stored, bool force);
