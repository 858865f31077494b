/* images: which bytes an image's name means now. Asks the registries, through the Engine, for the digests
 * of a release's images: each name once, a few at a time, all within a time limit.
 *
 *	im = images_ask(&(struct images_options){…}, refs, n, on_answers, d);
 *
 * done fires once, later, and frees im; its answers are valid during it only. images_cancel gives it up:
 * done is not called. What a registry does not answer is no failure of the whole: see image_answer.st.
 * Callers: the deploy flow, plans. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "stacks/registry.h"

struct docker;
struct images;
struct loop;
struct release;
struct world;

struct image_answer {
	const char *ref;
	struct status st;    /* why there is no digest; OK: there is one */
	const char *pinned;  /* "name:tag@sha256:…" */
	json_t *platforms;   /* [{Architecture, OS}], or NULL */
};
struct images_options {
	struct loop *loop;
	struct docker *docker;
	const struct registry_auths *auths; /* copied */
	uint64_t limit_ms;                  /* for all of it; 0 = IMAGES_LIMIT_MS */
};
#define IMAGES_LIMIT_MS 30000

struct images *images_ask(const struct images_options *o, const char *const *refs, size_t n,
	void (*done)(void *data, const struct image_answer *answers, size_t n), void *data);
void images_cancel(struct images *im); /* NULL is fine */

/* ---- pure ---- */
/* docker's --resolve-image. */
enum image_policy {
	IMAGES_ALWAYS,  /* every image is asked for, at each deploy */
	IMAGES_CHANGED, /* only one that the text names otherwise than what runs */
	IMAGES_NEVER,
};
/* False: no such word. "" is always. */
bool image_policy_parse(const char *word, enum image_policy *ret_policy);

/* The names to ask for, each once, in the arena. */
const char *const *images_wanted(struct arena *a, const struct release *r, const struct world *w,
	enum image_policy policy, size_t *ret_n);
/* Pins every service's image: by its answer, else by what the service runs when the text names the same
 * image. `say` gets a sentence for each name that stays without an answer. */
void images_pin(struct arena *a, struct release *r, const struct world *w,
	const struct image_answer *answers, size_t n, void (*say)(void *data, const char *text),
	void *data);
