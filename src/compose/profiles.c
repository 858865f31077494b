/* profiles: services that run only when one of their profiles is asked for, by the caller or by
 * COMPOSE_PROFILES. */
#include "compose/loader.h"
#include <string.h>

static bool in_variable(struct str list, const char *profile)
{
	while (list.ptr) {
		struct str one = str_trim(str_cut(&list, ','));
		if (str_is(one, profile) || str_is(one, "*"))
			return true;
	}
	return false;
}

static bool is_active(const struct loader *l, struct str variable, const char *profile)
{
	for (size_t i = 0; i < l->in->profiles_len; i++)
		if (strcmp(l->in->profiles[i], profile) == 0 ||
			strcmp(l->in->profiles[i], "*") == 0)
			return true;
	return in_variable(variable, profile);
}

/* The first of the profiles that would bring the service; NULL: it runs. */
static const char *missing_profile(
	const struct loader *l, struct str variable, const struct node *service)
{
	const struct node *list = node_get(service, "profiles");
	const char *first = NULL;
	for (size_t i = 0; node_is(list, NODE_SEQ) && i < list->seq.len; i++) {
		if (list->seq.items[i]->kind != NODE_STRING)
			continue;
		if (is_active(l, variable, list->seq.items[i]->text))
			return NULL;
		first = first ? first : list->seq.items[i]->text;
	}
	return first;
}

void profiles_apply(struct loader *l, struct node *root)
{
	struct node *services = node_get(root, "services");
	struct str variable = str_of(loader_lookup(l, l->root, STR("COMPOSE_PROFILES")));
	size_t kept = 0;
	if (!node_is(services, NODE_MAP))
		return;
	for (size_t i = 0; i < services->map.len; i++) {
		struct node_entry *e = &services->map.entries[i];
		const char *profile = missing_profile(l, variable, e->value);
		if (profile)
			map_puts(&l->disabled, e->key, (void *)profile);
		else
			services->map.entries[kept++] = *e;
	}
	services->map.len = kept;
}
