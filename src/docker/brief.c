#include "docker/brief.h"

#include <string.h>
#include "base/json.h"

#define DEPTH 3

/* What docker.h says of a brief service. */
static const char *const kept[][DEPTH] = {
	{"Labels", "com.docker.stack.namespace"},
	{"TaskTemplate", "RestartPolicy", "Condition"},
	{"TaskTemplate", "RestartPolicy", "Delay"},
	{"TaskTemplate", "ContainerSpec", "Healthcheck"},
	{"TaskTemplate", "ContainerSpec", "StopGracePeriod"},
	{"TaskTemplate", "ContainerSpec", "Mounts"},
	{"TaskTemplate", "Resources", "Reservations"},
	{"TaskTemplate", "LogDriver", "Name"},
	{"TaskTemplate", "Placement"},
	{"UpdateConfig", "Delay"},
	{"UpdateConfig", "Monitor"},
	{"EndpointSpec", "Ports"},
};

static bool is_empty(const json_t *j)
{
	return !j || json_is_null(j) || (json_is_object(j) && json_object_size(j) == 0) ||
	       (json_is_array(j) && json_array_size(j) == 0);
}

static json_t *child(json_t *parent, const char *key)
{
	json_t *j = json_object_get(parent, key);
	if (!j) {
		j = json_object();
		json_object_set_new(parent, key, j);
	}
	return j;
}

json_t *brief_spec(const json_t *spec)
{
	json_t *brief = json_object();
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		const json_t *j = spec;
		size_t n = 0;
		for (; n < DEPTH && kept[i][n] && j; n++)
			j = json_object_get(j, kept[i][n]);
		if (is_empty(j))
			continue;
		json_t *parent = brief;
		for (size_t k = 0; k + 1 < n; k++)
			parent = child(parent, kept[i][k]);
		json_object_set(parent, kept[i][n - 1], (json_t *)(uintptr_t)j);
	}
	return brief;
}
