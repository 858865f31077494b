#include "stacks/reserved.h"

#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/map.h"
#include "stacks/world.h"

struct names {
	struct arena *a;
	const char *namespace_;
	struct map seen;
	const char **at;
	size_t n;
};

static void add(struct names *s, const char *name)
{
	size_t n = strlen(s->namespace_);
	bool own = strncmp(name, s->namespace_, n) == 0 && name[n] == '_';
	if (own || !strchr(name, '_') || map_gets(&s->seen, name))
		return;
	s->at[s->n++] = arena_strdup(s->a, name);
	map_puts(&s->seen, name, s);
}

static void add_objects(struct names *s, const struct release_object *objects, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(s, objects[i].name);
}

static const json_t *mounts_of(const json_t *body)
{
	return json_at(body, "TaskTemplate.ContainerSpec.Mounts");
}

static const char *volume_of(const json_t *mount)
{
	return strcmp(json_text(mount, "Type", ""), "volume") == 0 ? json_text(mount, "Source", "")
								   : "";
}

const char *const *reserved_candidates(
	struct arena *a, const char *namespace_, const struct release *r, size_t *ret_n)
{
	size_t max = r->n_networks + r->n_secrets + r->n_configs;
	for (size_t i = 0; i < r->n_services; i++)
		max += json_array_size(mounts_of(r->services[i].object.body));
	struct names s = {
		.a = a, .namespace_ = namespace_, .at = arena_array(a, const char *, max + 1)};
	map_init(&s.seen);
	add_objects(&s, r->networks, r->n_networks);
	add_objects(&s, r->secrets, r->n_secrets);
	add_objects(&s, r->configs, r->n_configs);
	for (size_t i = 0; i < r->n_services; i++) {
		const json_t *mounts = mounts_of(r->services[i].object.body);
		for (size_t k = 0; k < json_array_size(mounts); k++)
			add(&s, volume_of(json_array_get(mounts, k)));
	}
	map_finish(&s.seen);
	*ret_n = s.n;
	return s.at;
}

const struct db_reserved *reserved_copy(struct arena *a, const struct db_reserved *r, size_t n)
{
	struct db_reserved *copy = arena_array(a, struct db_reserved, n + 1);
	for (size_t i = 0; i < n; i++)
		copy[i] = (struct db_reserved){
			arena_strdup(a, r[i].name), arena_strdup(a, r[i].stack)};
	return copy;
}

const struct db_reserved *reserved_find(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->n_reserved; i++)
		if (strcmp(w->reserved[i].name, name) == 0)
			return &w->reserved[i];
	return NULL;
}

const char *reserved_volume(const struct world *w, const json_t *body)
{
	const json_t *mounts = w->n_reserved ? mounts_of(body) : NULL;
	for (size_t i = 0; i < json_array_size(mounts); i++) {
		const char *name = volume_of(json_array_get(mounts, i));
		const struct db_reserved *r = reserved_find(w, name);
		if (r && !r->stack[0])
			return name;
	}
	return NULL;
}
