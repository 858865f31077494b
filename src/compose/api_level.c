/* api_level: fields of a service that came after API 1.41, the oldest Engine we speak with. What such an
 * Engine refuses by itself (types of mounts) is not among them. */
#include "compose/compose.h"
#include <string.h>
#include "base/arena.h"

static const struct field {
	const char *in, *key, *name;
	unsigned api;
} fields[] = {
	{"Healthcheck", "StartInterval", "healthcheck.start_interval", 44},
	{"VolumeOptions", "Subpath", "volumes: volume.subpath", 45},
	{"ContainerSpec", "OomScoreAdj", "oom_score_adj", 46},
};

static const struct field *find(const char *in, const char *key)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (strcmp(fields[i].in, in) == 0 && strcmp(fields[i].key, key) == 0)
			return &fields[i];
	return NULL;
}

unsigned compose_field_api(const char *in, const char *key)
{
	const struct field *f = find(in, key);
	return f ? f->api : 0;
}

struct walk {
	struct arena *a;
	unsigned api;
	bool found[sizeof(fields) / sizeof(*fields)];
};

static void walk(struct walk *w, const char *in, const json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;
	json_array_foreach((json_t *)(uintptr_t)j, i, v) walk(w, in, v);
	json_object_foreach((json_t *)(uintptr_t)j, key, v)
	{
		const struct field *f = find(in, key);
		if (f && f->api > w->api)
			w->found[f - fields] = true;
		walk(w, key, v);
	}
}

struct compose_strings compose_unknown_fields(
	struct arena *a, const json_t *service_body, unsigned api)
{
	struct walk w = {.a = a, .api = api};
	const size_t n = sizeof(fields) / sizeof(*fields);
	struct compose_strings list = {.items = arena_array(a, const char *, n)};
	if (api > 0)
		walk(&w, "", service_body);
	for (size_t i = 0; i < n; i++)
		if (w.found[i])
			list.items[list.len++] =
				arena_fmt(a, "%s (1.%u)", fields[i].name, fields[i].api);
	return list;
}
