#include "jobs/gather.h"

#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"

/* The server was not reached, or did not answer: nothing is wrong with what was sent. */
static bool may_pass(const struct status *st)
{
	return st->code == ST_UNAVAILABLE || st->code == ST_DEADLINE_EXCEEDED ||
	       st->code == ST_CANCELLED || st->code == ST_RESOURCE_EXHAUSTED;
}

/* ---- sending ---- */

static struct gather_item *first(const struct gather *g)
{
	return list_empty(&g->waiting) ? NULL : container_of(g->waiting.next, struct gather_item, node);
}

static void send_some(struct gather *g)
{
	struct gather_load *load = mem_alloc(sizeof(*load) + g->most * sizeof(load->items[0]));
	struct gather_item *item;
	load->gather = g;
	load->n = 0;
	while ((item = first(g)) != NULL && load->n < g->most && !(item->alone && load->n > 0)) {
		list_remove(&item->node);
		item->place = GATHER_SENT;
		load->items[load->n++] = item;
		if (item->alone)
			break;
	}
	g->under_way++;
	g->send(g, load);
}

static void on_gathered(struct defer *d)
{
	struct gather *g = container_of(d, struct gather, flush);
	while (!list_empty(&g->waiting) && g->under_way < GATHER_UNDER_WAY)
		send_some(g);
}

void gather_put(struct gather *g, struct gather_item *item)
{
	assert(item->place == GATHER_IDLE);
	item->place = GATHER_WAITS;
	list_push(&g->waiting, &item->node);
	defer_post(&g->flush);
}

bool gather_take_back(struct gather_item *item)
{
	if (item->place != GATHER_WAITS)
		return false;
	list_remove(&item->node);
	item->place = GATHER_IDLE;
	item->alone = false;
	return true;
}

/* ---- results ---- */

void gather_landed(struct gather_load *load, const struct status *st, const bool *held)
{
	struct gather *g = load->gather;
	bool ok = status_is_ok(st), split = load->n > 1 && !ok && !may_pass(st);
	g->under_way--;
	for (size_t i = 0; i < load->n; i++) {
		struct gather_item *item = load->items[i];
		item->place = GATHER_IDLE;
		item->alone = split;
		if (split)
			gather_put(g, item);
		else
			g->tell(g, item, st, ok && held[i]);
	}
	free(load);
	if (!list_empty(&g->waiting))
		defer_post(&g->flush);
}

/* ---- life ---- */

void gather_init(struct gather *g, struct loop *l, size_t most,
	void (*send)(struct gather *g, struct gather_load *load),
	void (*tell)(struct gather *g, struct gather_item *item, const struct status *st, bool held))
{
	*g = (struct gather){.most = most, .send = send, .tell = tell};
	list_init(&g->waiting);
	defer_init(&g->flush, l, on_gathered);
}

void gather_finish(struct gather *g)
{
	assert(list_empty(&g->waiting) && g->under_way == 0);
	defer_cancel(&g->flush);
}
