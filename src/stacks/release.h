/* release: what one release wants the Engine to hold. Pure. Two JSON texts are kept of a release
 * (sealed, by db):
 *
 *   source    what the user sent: {"compose":[{"name","base64"}],"files":[{"path","base64"}],
 *             "variables":{…},"directory","home"}, the last two where the texts need them
 *   rendered  what is sent to the Engine: {"networks":[…],"secrets":[…],"configs":[…],
 *             "services":[…]}, each object {"key","name","external","body"}, services with
 *             "level" and "depends_on" beside
 *
 * Everything lives in the arena. Callers: api (checks a source before a job is made), the deploy
 * flow. */
#pragma once
#include "compose/compose.h"

struct arena;

struct release_labels { /* put on every object that we create */
	const char *project_id, *stack_id;
};
#define LABELS_OWN      "skep." /* how all of ours begin: no text may give one */
#define LABEL_PROJECT   "skep.project"
#define LABEL_STACK     "skep.stack"
#define LABEL_JOB       "skep.job" /* services only: which job wrote it last, at which epoch */
#define LABEL_EPOCH     "skep.epoch"
#define LABEL_SCALE     "skep.scale" /* services only: the replicas that the last scale asked for */
#define LABEL_CONTENT   "skep.content" /* secrets and configs: hash of what they hold */
#define LABEL_NAMESPACE "com.docker.stack.namespace"

struct release_upload {
	struct compose_text *texts;
	size_t n_texts;
	struct compose_upload *files;
	size_t n_files;
	struct compose_variable *variables;
	size_t n_variables;
	const char *dir, *home; /* on their writer's machine, absolute: what relative bind sources and ~
				   begin with; or NULL */
};
struct str release_source_encode(struct arena *a, const struct release_upload *u);
struct status release_source_decode(struct arena *a, struct str source,
	struct release_upload *ret_upload) __attribute__((warn_unused_result));

/* False: `errors` says everything that is wrong. */
bool release_model(struct arena *a, const char *namespace_, const struct release_upload *u,
	struct compose_project **ret_project, struct compose_problems *errors,
	struct compose_problems *warnings);

struct release_object {
	const char *key, *name;
	bool external;
	json_t *body; /* NULL when external */
};
struct release_depends {
	const char *service; /* key */
	enum compose_condition condition;
	bool optional; /* its failure holds nobody back */
};
struct release_service {
	struct release_object object;
	unsigned level;
	const char *image, *mode; /* "replicated", "global", "replicated-job", "global-job" */
	struct release_depends *depends;
	size_t n_depends;
};
struct release {
	struct release_object *networks, *secrets, *configs;
	size_t n_networks, n_secrets, n_configs;
	struct release_service *services; /* in the order of their levels */
	size_t n_services;
	unsigned n_levels;
};
void release_render(struct arena *a, const struct compose_project *p,
	const struct release_labels *labels, struct release *ret_release);
/* LABEL_CONTENT of a secret or config; "" = it is not known. */
const char *release_content(const struct release_object *o);
/* A config whose content is as in the release before keeps the name that docker gave it,
 * <namespace>_<key>: a stack that was adopted goes on with the configs it has. */
void release_keep_names(struct arena *a, const char *namespace_, struct release *r,
	const struct release *before);
struct str release_encode(struct arena *a, const struct release *r);
/* "" gives the empty release (nothing is wanted). */
struct status release_decode(struct arena *a, struct str rendered, struct release *ret_release)
	__attribute__((warn_unused_result));
/* The same without bodies, in an arena of its own: names, levels, dependencies. */
struct release release_outline(struct arena *a, const struct release *r);
const struct release_service *release_service_find(const struct release *r, const char *key);
