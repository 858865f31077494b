/* release_build: a release made off the loop. Loading and rendering a Compose text of a megabyte, and
 * reading a stored one, take hundreds of milliseconds: this does it on the pool (loop_work), on copies,
 * in an arena of its own.
 *
 *	release_build(loop, a, &(struct release_build_input){.namespace_ = ns, .upload = &u}, on_built, d);
 *	…
 *	static void on_built(void *data, const struct status *st, const struct release_build *b)
 *
 * done fires once, later, on the loop. There is nothing to cancel: work that runs cannot be stopped,
 * but when `a` is freed first, the result is dropped and done is not called. (A caller whose own
 * operation was given up in the meantime looks at that in done; a stack_op does.) Everything in *b,
 * and what the input was, lives as long as `a` does.
 *
 * st: OK; INVALID_ARGUMENT, the texts are wrong (`errors` has all, the status the first);
 * UNAVAILABLE, too much of it is under way already: try again later; what release_source_decode and
 * release_decode say.
 *
 * Callers: api (Deploy: checks before anything is stored; Plan), the deploy flow. */
#pragma once
#include "stacks/release.h"

struct loop;

/* One of the three; copied. */
struct release_build_input {
	const char *namespace_;
	const struct release_upload *upload; /* what a user sent */
	struct str source;                   /* … or what is stored of it */
	struct str rendered;                 /* … or what was made of it: comes first when not "" */
	/* Of the rendering; NULL: the texts are checked, none is made. Not for `rendered`. */
	const struct release_labels *labels;
	/* Of a source: only `release` of the result is set, and nothing else is kept: the model takes ten
	 * times its room. For jobs, of which many may wait with theirs; it waits for its turn on the
	 * pool. */
	bool lean;
	const char *export; /* not NULL: the release as Compose text too, under these words */
};

struct release_build {
	struct release_upload upload;    /* of upload and source */
	struct str source;               /* of upload: encoded, to be stored */
	struct compose_project *project; /* of upload and source; NULL: the texts are wrong */
	struct compose_problems errors, warnings;
	struct release release; /* with labels, or of rendered */
	const char *text;       /* of `export`; NULL: none can be made, see `lost` */
	struct compose_strings lost; /* what the text does not say */
};

void release_build(struct loop *l, struct arena *a, const struct release_build_input *in,
	void (*done)(void *data, const struct status *st, const struct release_build *b),
	void *data);
