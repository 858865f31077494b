#include "redis/subscribe.h"
#include <stdlib.h>
#include "base/mem.h"
#include "redis/client.h"

struct channel {
	struct list node;
	char *name;
	redis_on_message on_message;
	void *data;
	enum { CHANNEL_NEW, CHANNEL_SENT, CHANNEL_ON } state;
};

struct subscriber {
	struct redis_conn conn;
	struct list channels;
};

static struct str element(const redisReply *reply, size_t i)
{
	const redisReply *e = reply->element[i];
	return e->str ? str_make(e->str, e->len) : str_of("");
}

/* ["subscribe", channel, number] once a SUBSCRIBE, then ["message", channel, payload]. */
static void on_push(redisAsyncContext *ac, void *r, void *data)
{
	struct redis_conn *c = ac->data;
	const redisReply *reply = r;
	(void)data;
	if (c == NULL)
		return;
	if (reply == NULL) {
		(void)redis_conn_lost(c, ac);
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return;
	struct subscriber *s = container_of(c, struct subscriber, conn);
	bool message = str_is(element(reply, 0), "message");
	struct str name = element(reply, 1), payload = element(reply, 2);
	list_for_each (&s->channels, n) {
		struct channel *ch = container_of(n, struct channel, node);
		if (!str_is(name, ch->name))
			continue;
		if (message && ch->state == CHANNEL_ON)
			ch->on_message(ch->data, ch->name, payload);
		if (!message && ch->state == CHANNEL_SENT) {
			ch->state = CHANNEL_ON;
			ch->on_message(ch->data, NULL, str_of(""));
		}
	}
}

static void send_subscribe(struct subscriber *s)
{
	if (!redis_conn_is_up(&s->conn))
		return;
	list_for_each (&s->channels, n) {
		struct channel *ch = container_of(n, struct channel, node);
		if (ch->state == CHANNEL_NEW && redisAsyncCommand(s->conn.ac, on_push, NULL,
							"SUBSCRIBE %s", ch->name) == REDIS_OK)
			ch->state = CHANNEL_SENT;
	}
}

static void on_up(struct redis_conn *c)
{
	send_subscribe(container_of(c, struct subscriber, conn));
}

static void on_down(struct redis_conn *c, const struct status *why)
{
	struct subscriber *s = container_of(c, struct subscriber, conn);
	(void)why; /* the commands' connection meets the same server and says it */
	list_for_each (&s->channels, n)
		container_of(n, struct channel, node)->state = CHANNEL_NEW;
}

static struct subscriber *subscriber_create(struct redis_client *r)
{
	static const struct redis_conn_ops ops = {on_up, on_down};
	struct subscriber *s = mem_new(struct subscriber);
	list_init(&s->channels);
	redis_conn_init(&s->conn, r->loop, &r->urls, &ops);
	redis_conn_start(&s->conn);
	return s;
}

void subscriber_leave(struct subscriber *s, const struct status *why)
{
	if (s)
		redis_conn_fail(&s->conn, why);
}

void subscriber_destroy(struct subscriber *s)
{
	struct list *n;
	if (s == NULL)
		return;
	redis_conn_close(&s->conn);
	while ((n = list_pop(&s->channels)) != NULL) {
		struct channel *ch = container_of(n, struct channel, node);
		free(ch->name);
		free(ch);
	}
	free(s);
}

void redis_client_subscribe(
	struct redis *base, const char *channel, redis_on_message on_message, void *data)
{
	struct redis_client *r = redis_client_of(base);
	struct channel *ch = mem_new(struct channel);
	ch->name = mem_strdup(channel);
	ch->on_message = on_message;
	ch->data = data;
	if (r->subscriber == NULL)
		r->subscriber = subscriber_create(r);
	list_push(&r->subscriber->channels, &ch->node);
	send_subscribe(r->subscriber);
}
