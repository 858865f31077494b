/* hub: who waits for news of which id (a job's events, a stack's state). News comes from PostgreSQL's
 * NOTIFY (app listens); it says only that there is something to read: a subscriber reads from the
 * database where it left off, so missed or doubled news does no harm. */
#pragma once
#include "base/list.h"

struct api_hub;
struct loop;

struct api_subscription { /* embedded in its owner */
	struct list node;
	void (*on_news)(struct api_subscription *s);
};
struct api_hub *api_hub_create(struct loop *l);
void api_hub_destroy(struct api_hub *h); /* no subscription is left */
void api_hub_subscribe(struct api_hub *h, const char *id, struct api_subscription *s);
void api_hub_unsubscribe(struct api_subscription *s); /* safe at any time, twice too */
/* on_news of each subscriber of this id, on a later turn; several become one. */
/* The topic of who wants to hear of news of any id; api_hub_publish publishes it too. */
#define API_HUB_ANY "*"
void api_hub_publish(struct api_hub *h, const char *id);
/* The connection that brings the news was lost and is back: everybody looks. */
void api_hub_publish_all(struct api_hub *h);
