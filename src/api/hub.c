#include "api/hub.h"

#include <stdlib.h>
#include "base/map.h"
#include "base/mem.h"
#include "loop/loop.h"

struct topic {
	struct list subscribers;
	struct list dirty; /* in hub->dirty while news waits */
};

struct api_hub {
	struct map topics; /* id → struct topic; kept while it has subscribers */
	struct list dirty;
	struct defer tell;
};

static void on_tell(struct defer *d)
{
	struct api_hub *h = container_of(d, struct api_hub, tell);
	struct list dirty, told;
	list_init(&dirty);
	list_move_all(&dirty, &h->dirty);
	for (struct list *n; (n = list_pop(&dirty));) {
		struct topic *t = container_of(n, struct topic, dirty);
		/* A subscriber may leave, and take others with it, while it is told. */
		list_init(&told);
		list_move_all(&told, &t->subscribers);
		for (struct list *s; (s = list_pop(&told));) {
			list_push(&t->subscribers, s);
			struct api_subscription *sub = container_of(s, struct api_subscription, node);
			sub->on_news(sub);
		}
	}
}

struct api_hub *api_hub_create(struct loop *l)
{
	struct api_hub *h = mem_new(struct api_hub);
	map_init(&h->topics);
	list_init(&h->dirty);
	defer_init(&h->tell, l, on_tell);
	return h;
}

void api_hub_destroy(struct api_hub *h)
{
	void *topic;
	if (!h)
		return;
	for (size_t it = 0; map_next(&h->topics, &it, NULL, &topic);)
		free(topic);
	map_finish(&h->topics);
	defer_cancel(&h->tell);
	free(h);
}

/* Topics that nobody listens to any more go when the next one comes: not while one is being told. */
static void sweep(struct api_hub *h)
{
	struct str key;
	void *value;
	for (size_t it = 0; map_next(&h->topics, &it, &key, &value);) {
		struct topic *t = value;
		if (!list_empty(&t->subscribers) || !list_empty(&t->dirty))
			continue;
		map_remove(&h->topics, key);
		free(t);
	}
}

void api_hub_subscribe(struct api_hub *h, const char *id, struct api_subscription *s)
{
	struct topic *t = map_gets(&h->topics, id);
	if (!t) {
		if (map_len(&h->topics) % 64 == 63 && list_empty(&h->dirty))
			sweep(h);
		t = mem_new(struct topic);
		list_init(&t->subscribers);
		list_init(&t->dirty);
		map_puts(&h->topics, id, t);
	}
	list_push(&t->subscribers, &s->node);
}

void api_hub_unsubscribe(struct api_subscription *s)
{
	list_remove(&s->node);
}

static void mark(struct api_hub *h, struct topic *t)
{
	if (list_empty(&t->dirty))
		list_push(&h->dirty, &t->dirty);
	defer_post(&h->tell);
}

void api_hub_publish(struct api_hub *h, const char *id)
{
	struct topic *t = map_gets(&h->topics, id), *any = map_gets(&h->topics, API_HUB_ANY);
	if (t)
		mark(h, t);
	if (any)
		mark(h, any);
}

void api_hub_publish_all(struct api_hub *h)
{
	void *topic;
	for (size_t it = 0; map_next(&h->topics, &it, NULL, &topic);)
		mark(h, topic);
}
