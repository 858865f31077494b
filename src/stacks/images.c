#include "stacks/images.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "docker/docker.h"
#include "loop/loop.h"
#include "stacks/release.h"
#include "stacks/world.h"

#define AT_A_TIME 8
#define EACH_MS   10000

struct image_ask {
	struct images *images;
	struct image_answer answer;
	const char *auth;
	struct docker_call *call; /* under way */
};
struct images {
	struct docker *docker;
	struct arena *arena;
	struct image_ask *asks;
	size_t n, next, under_way;
	struct timer limit;
	bool cancelled;
	void (*done)(void *data, const struct image_answer *answers, size_t n);
	void *data;
};

/* Docker leaves 32-bit ARM's architecture out: nodes call it by several names. */
static json_t *platforms_of(struct arena *a, const struct docker_image *i)
{
	if (i->platform_count == 0)
		return NULL;
	json_t *list = json_array();
	for (size_t k = 0; k < i->platform_count; k++) {
		const struct docker_platform *p = &i->platforms[k];
		json_t *o = json_object();
		if (p->arch[0] && strcmp(p->arch, "arm") != 0)
			json_object_set_new(o, "Architecture", json_string(p->arch));
		if (p->os[0])
			json_object_set_new(o, "OS", json_string(p->os));
		json_array_append_new(list, o);
	}
	return json_keep(a, list);
}

static void finish(struct images *im)
{
	timer_stop(&im->limit);
	if (!im->cancelled) {
		struct image_answer *answers = arena_array(im->arena, struct image_answer, im->n);
		for (size_t i = 0; i < im->n; i++)
			answers[i] = im->asks[i].answer;
		im->done(im->data, answers, im->n);
	}
	arena_destroy(im->arena);
	free(im);
}

static void ask_more(struct images *im);

static void on_image(void *data, const struct status *st, const struct docker_image *image)
{
	struct image_ask *ask = data;
	struct images *im = ask->images;
	const char *ref = ask->answer.ref;
	ask->call = NULL;
	im->under_way--;
	ask->answer.st = st->code == ST_CANCELLED
				 ? status_err(ST_DEADLINE_EXCEEDED, "no answer in time")
				 : *st;
	if (status_is_ok(st)) {
		ask->answer.pinned = strchr(ref, '@')
					     ? ref
					     : arena_fmt(im->arena, "%s@%s", ref, image->digest);
		ask->answer.platforms = platforms_of(im->arena, image);
	}
	ask_more(im);
}

static void ask_more(struct images *im)
{
	while (im->next < im->n && im->under_way < AT_A_TIME && !im->cancelled) {
		struct image_ask *ask = &im->asks[im->next++];
		im->under_way++;
		ask->call = docker_image_resolve(
			im->docker, ask->answer.ref, ask->auth, EACH_MS, on_image, ask);
	}
	if (im->under_way == 0)
		finish(im);
}

/* Those under way end with CANCELLED. */
static void stop(struct images *im)
{
	im->next = im->n;
	for (size_t i = 0; i < im->n; i++)
		if (im->asks[i].call)
			docker_cancel(im->docker, im->asks[i].call);
}

/* It fires later than the start of the calls, also when there are none. */
static void on_limit(struct timer *t)
{
	struct images *im = container_of(t, struct images, limit);
	if (im->under_way == 0)
		finish(im);
	else
		stop(im);
}

struct images *images_ask(const struct images_options *o, const char *const *refs, size_t n,
	void (*done)(void *data, const struct image_answer *answers, size_t n), void *data)
{
	struct images *im = mem_new(struct images);
	*im = (struct images){
		.docker = o->docker, .arena = arena_create_small(), .n = n, .done = done, .data = data};
	im->asks = arena_array(im->arena, struct image_ask, n);
	for (size_t i = 0; i < n; i++) {
		const char *auth = registry_auth_for(im->arena, o->auths, refs[i]);
		im->asks[i] = (struct image_ask){.images = im,
			.auth = arena_strdup(im->arena, auth),
			.answer = {.ref = arena_strdup(im->arena, refs[i]),
				.st = status_err(ST_DEADLINE_EXCEEDED, "no answer in time")}};
	}
	timer_init(&im->limit, o->loop, on_limit);
	uint64_t limit_ms = o->limit_ms ? o->limit_ms : IMAGES_LIMIT_MS;
	timer_set(&im->limit, n == 0 ? 0 : limit_ms);
	if (n > 0)
		ask_more(im);
	return im;
}

void images_cancel(struct images *im)
{
	if (!im)
		return;
	im->cancelled = true;
	if (im->under_way == 0)
		finish(im);
	else
		stop(im);
}

/* ---- pure ---- */

bool image_policy_parse(const char *word, enum image_policy *ret_policy)
{
	static const char *const words[] = {"always", "changed", "never"};
	*ret_policy = IMAGES_ALWAYS;
	for (int i = IMAGES_ALWAYS; word[0] && i <= IMAGES_NEVER; i++)
		if (strcmp(word, words[i]) == 0) {
			*ret_policy = (enum image_policy)i;
			return true;
		}
	return word[0] == '\0';
}

/* What the service runs, when it is of the image that the text names. */
static const json_t *spec_of_same_image(const struct world *w, const struct release_service *s)
{
	const struct world_service *seen = world_service_find(w, s->object.name);
	if (!seen || !seen->ours)
		return NULL;
	bool same = strcmp(compose_body_image_label(s->object.body),
			    compose_body_image_label(seen->spec)) == 0;
	return same ? seen->spec : NULL;
}

static bool holds(const char *const *refs, size_t n, const char *ref)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(refs[i], ref) == 0)
			return true;
	return false;
}

const char *const *images_wanted(struct arena *a, const struct release *r, const struct world *w,
	enum image_policy policy, size_t *ret_n)
{
	const char **refs = arena_array(a, const char *, r->n_services);
	*ret_n = 0;
	for (size_t i = 0; i < r->n_services && policy != IMAGES_NEVER; i++) {
		const char *ref = compose_body_image(r->services[i].object.body);
		bool known = policy == IMAGES_CHANGED && spec_of_same_image(w, &r->services[i]);
		if (!known && !holds(refs, *ret_n, ref))
			refs[(*ret_n)++] = arena_strdup(a, ref);
	}
	return refs;
}

static void pin_as_it_runs(struct release_service *s, const json_t *spec)
{
	const char *ref = compose_body_image(s->object.body), *runs = compose_body_image(spec);
	size_t len = strlen(ref);
	if (strncmp(runs, ref, len) == 0 && (runs[len] == '@' || strchr(ref, '@')))
		compose_body_pin(
			s->object.body, runs, json_at(spec, "TaskTemplate.Placement.Platforms"));
}

void images_pin(struct arena *a, struct release *r, const struct world *w,
	const struct image_answer *answers, size_t n, void (*say)(void *data, const char *text),
	void *data)
{
	for (size_t i = 0; i < n; i++)
		if (!status_is_ok(&answers[i].st))
			say(data, arena_fmt(a, "warning: the registry of image %s was not reached, so its "
					       "digest is not known and nodes may run different versions: %s",
					  answers[i].ref, answers[i].st.message));
	for (size_t i = 0; i < r->n_services; i++) {
		struct release_service *s = &r->services[i];
		const char *ref = compose_body_image(s->object.body);
		const struct image_answer *found = NULL;
		for (size_t k = 0; k < n && !found; k++)
			if (status_is_ok(&answers[k].st) && strcmp(answers[k].ref, ref) == 0)
				found = &answers[k];
		const json_t *spec = found ? NULL : spec_of_same_image(w, s);
		if (found)
			compose_body_pin(s->object.body, found->pinned, found->platforms);
		else if (spec)
			pin_as_it_runs(s, spec);
		s->image = arena_strdup(a, compose_body_image(s->object.body));
	}
}
