/* render: what render.c (the objects beside services) and render_service.c share. Internal. */
#pragma once
#include "base/arena.h"
#include "base/map.h"
#include "compose/compose.h"

struct render {
	struct arena *a;
	const struct compose_project *p;
	const struct compose_render_options *o;
	struct compose_rendering *out;
	struct map names[3]; /* key → the Engine's name: networks, secrets, configs */
	struct map volumes;  /* key → struct compose_volume * */
};

json_t *render_pairs(const struct compose_pairs *pairs); /* object; NULL values are "" */
json_t *render_strings(const struct compose_strings *s); /* array */
/* `labels` with the stack's own, and the caller's when the object is `kind`. */
json_t *render_labels(struct render *r, const struct compose_pairs *labels);
/* Go leaves out what is empty. */
void render_text(json_t *o, const char *key, const char *text);
void render_list(json_t *o, const char *key, const struct compose_strings *s);
/* The Engine's name of a rendered network, secret or config. */
const char *render_name_of(const struct render *r, enum compose_kind kind, const char *key);

json_t *render_service(struct render *r, const struct compose_service *s);
