#include "stacks/drift.h"

#include <string.h>
#include "base/arena.h"
#include "base/json.h"

#define NAMED_MAX 3 /* so many fields are named */

/* The last scale job's numbers stand until a deploy names others. */
static bool was_scaled(const struct plan_action *p, const struct compose_change *c)
{
	static const char *const paths[] = {
		"Mode.Replicated.Replicas", "Mode.ReplicatedJob.TotalCompletions"};
	const json_t *labels = p->service ? json_at(p->service->spec, "Labels") : NULL;
	const char *asked = json_string_value(json_object_get(labels, LABEL_SCALE));
	for (size_t i = 0; asked && c->before && i < sizeof(paths) / sizeof(*paths); i++)
		if (strcmp(c->path, paths[i]) == 0)
			return strcmp(c->before, asked) == 0;
	return false;
}

static const struct compose_change *by_hand(
	struct arena *a, const struct plan_action *p, size_t *ret_n)
{
	struct compose_change *changes = arena_array(a, struct compose_change, p->n_changes + 1);
	*ret_n = 0;
	for (size_t i = 0; i < p->n_changes; i++)
		if (!was_scaled(p, &p->changes[i]))
			changes[(*ret_n)++] = p->changes[i];
	return changes;
}

static const char *changed_message(struct arena *a, const struct drift *d)
{
	struct buf b = {0};
	buf_fmt(&b, "%s %s was changed by hand:", compose_kind_name(d->kind), d->key);
	for (size_t i = 0; i < d->n_changes && i < NAMED_MAX; i++)
		buf_fmt(&b, "%s %s", i ? "," : "", plan_field_name(d->changes[i].path));
	if (d->n_changes > NAMED_MAX)
		buf_fmt(&b, " and %zu more", d->n_changes - NAMED_MAX);
	const char *text = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return text;
}

/* False: nothing drifted. */
static bool drift_of(struct arena *a, const struct plan_action *p, struct drift *d)
{
	const char *kind = compose_kind_name(p->kind);
	*d = (struct drift){.kind = p->kind, .key = p->key, .name = p->name, .repairable = true};
	switch (p->verdict) {
	case PLAN_KEEP:
		return false;
	case PLAN_CREATE:
		d->drift = DRIFT_MISSING;
		d->message = arena_fmt(a, "%s %s was removed by hand", kind, p->key);
		return true;
	case PLAN_UPDATE:
	case PLAN_REPLACE:
		d->drift = DRIFT_CHANGED;
		d->changes = by_hand(a, p, &d->n_changes);
		d->message = changed_message(a, d);
		return d->n_changes > 0;
	case PLAN_REMOVE:
		if (p->kind != COMPOSE_SERVICE)
			return false; /* of earlier releases, or still in use when they went */
		d->drift = DRIFT_FOREIGN;
		d->message =
			arena_fmt(a, "%s %s carries this stack's label and is not in its release",
				kind, p->name);
		return true;
	case PLAN_REFUSE:
		d->drift = p->id[0] ? DRIFT_CHANGED : DRIFT_MISSING;
		d->message = p->reason;
		d->repairable = false;
		return true;
	}
	return false;
}

static void add_strangers(
	struct arena *a, const struct world *w, const struct release *r, struct drifts *ds)
{
	for (size_t i = 0; i < w->n_services; i++) {
		const struct world_service *s = &w->services[i];
		if (s->ours || plan_wants(r, COMPOSE_SERVICE, s->name))
			continue;
		ds->items[ds->n++] = (struct drift){.kind = COMPOSE_SERVICE,
			.drift = DRIFT_FOREIGN,
			.key = s->name,
			.name = s->name,
			.message = arena_fmt(a,
				"service %s carries this stack's namespace and was not made by "
				"Skep",
				s->name)};
	}
}

void drift_make(struct arena *a, const struct world *w, const struct release *r, struct drifts *ret)
{
	struct plan p;
	plan_make(a, w, r, NULL, &p);
	struct drifts ds = {.items = arena_array(a, struct drift, p.n + w->n_services + 1)};
	for (size_t i = 0; i < p.n; i++)
		if (drift_of(a, &p.actions[i], &ds.items[ds.n]))
			ds.n++;
	add_strangers(a, w, r, &ds);
	*ret = ds;
}
