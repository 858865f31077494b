#include "stacks/picture.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "stacks/arena_leave.h"
#include "stacks/converge.h"

struct picture *picture_create(struct loop *l)
{
	struct picture *p = mem_new(struct picture);
	p->loop = l;
	for (size_t i = 0; i < PICTURE_LISTS; i++)
		p->arenas[i] = arena_create();
	return p;
}

void picture_destroy(struct picture *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < PICTURE_LISTS; i++)
		arena_destroy(p->arenas[i]);
	free(p);
}

static struct arena *begin(struct picture *p, enum picture_list list)
{
	arena_leave(p->loop, p->arenas[list]);
	p->arenas[list] = arena_create();
	return p->arenas[list];
}

static int compare_names(const void *left, const void *right)
{
	const struct docker_service *a = left, *b = right;
	return strcmp(a->name, b->name);
}

void picture_set_services(struct picture *p, const struct docker_service *s, size_t n)
{
	struct arena *a = begin(p, PICTURE_SERVICES);
	p->services = arena_array(a, struct docker_service, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct docker_service *c = &p->services[i];
		*c = s[i];
		c->id = arena_strdup(a, s[i].id);
		c->name = arena_strdup(a, s[i].name);
		c->image = arena_strdup(a, s[i].image);
		c->update.message = arena_strdup(a, s[i].update.message);
		c->spec = json_hold(a, s[i].spec);
		c->previous_spec = json_hold(a, s[i].previous_spec);
		c->labels = (struct docker_pairs){0};
	}
	p->n_services = n;
	if (n > 0)
		qsort(p->services, n, sizeof(*p->services), compare_names);
}

static struct docker_task *copy_tasks(struct arena *a, const struct docker_task *t, size_t n)
{
	struct docker_task *copy = arena_array(a, struct docker_task, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct docker_task *c = &copy[i];
		*c = t[i];
		c->id = arena_strdup(a, t[i].id);
		c->service_id = arena_strdup(a, t[i].service_id);
		c->node_id = arena_strdup(a, t[i].node_id);
		c->container_id = arena_strdup(a, t[i].container_id);
		c->message = arena_strdup(a, t[i].message);
		c->err = arena_strdup(a, t[i].err);
		c->image = arena_strdup(a, t[i].image);
		c->spec = NULL;
	}
	converge_sort(copy, n);
	return copy;
}

void picture_set_tasks(struct picture *p, const struct docker_task *t, size_t n)
{
	p->tasks = copy_tasks(begin(p, PICTURE_TASKS), t, n);
	p->n_tasks = n;
}

void picture_set_current(struct picture *p, const struct docker_task *t, size_t n)
{
	p->current = copy_tasks(begin(p, PICTURE_CURRENT), t, n);
	p->n_current = n;
}

static struct docker_pairs copy_pairs(struct arena *a, const struct docker_pairs *p)
{
	struct docker_pair *at = arena_array(a, struct docker_pair, p->len + 1);
	for (size_t i = 0; i < p->len; i++)
		at[i] = (struct docker_pair){
			arena_strdup(a, p->at[i].key), arena_strdup(a, p->at[i].value)};
	return (struct docker_pairs){at, p->len};
}

void picture_set_nodes(struct picture *p, const struct docker_node *m, size_t n)
{
	struct arena *a = begin(p, PICTURE_NODES);
	p->nodes = arena_array(a, struct docker_node, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct docker_node *c = &p->nodes[i];
		*c = m[i];
		c->id = arena_strdup(a, m[i].id);
		c->hostname = arena_strdup(a, m[i].hostname);
		c->addr = arena_strdup(a, m[i].addr);
		c->engine_version = arena_strdup(a, m[i].engine_version);
		c->os = arena_strdup(a, m[i].os);
		c->arch = arena_strdup(a, m[i].arch);
		c->state_message = arena_strdup(a, m[i].state_message);
		c->labels = copy_pairs(a, &m[i].labels);
		c->engine_labels = copy_pairs(a, &m[i].engine_labels);
		c->plugins = copy_pairs(a, &m[i].plugins);
		c->generic = copy_pairs(a, &m[i].generic);
	}
	p->n_nodes = n;
}

const struct docker_service *picture_service(const struct picture *p, const char *name)
{
	const struct docker_service key = {.name = name};
	return p->n_services ? bsearch(&key, p->services, p->n_services, sizeof(key), compare_names)
			     : NULL;
}

static struct converge_look look_at(const struct picture *p, const char *name)
{
	return (struct converge_look){.service = picture_service(p, name),
		.nodes = p->nodes,
		.n_nodes = p->n_nodes,
		.now_ms = 1};
}

struct converge_look picture_look(const struct picture *p, const char *name)
{
	struct converge_look l = look_at(p, name);
	if (l.service)
		l.tasks = converge_tasks(p->tasks, p->n_tasks, l.service->id, &l.n_tasks);
	return l;
}

struct converge_look picture_look_current(const struct picture *p, const char *name)
{
	struct converge_look l = look_at(p, name);
	if (l.service)
		l.tasks = converge_tasks(p->current, p->n_current, l.service->id, &l.n_tasks);
	return l;
}

/* An update that the Engine has taken back leaves no spec before. */
bool picture_is_first_spec(const struct docker_service *s)
{
	return !s->previous_spec && s->update.state == DOCKER_UPDATE_NONE;
}
