#include "redis/redis.h"
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "redis/client.h"
#include "redis/subscribe.h"

#define ANSWER_MS 2000
#define ROLE_MS   5000
#define ARGV_FEW  16

struct command {
	struct list node;
	struct redis_client *redis;
	redis_done done;
	void *data;
	uint64_t sent_ms;
};

/* Completes by its own defer, even when the client is gone by then. */
struct refused {
	struct list node;
	struct defer defer;
	struct status st;
	redis_done done;
	void *data;
};

struct str redis_reply_text(const struct redisReply *reply)
{
	bool text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
	return text ? str_make(reply->str, reply->len) : str_of("");
}

int64_t redis_reply_number(const struct redisReply *reply)
{
	return reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
}

size_t redis_reply_texts(const struct redisReply *reply, struct str *ret_texts, size_t max)
{
	size_t n = reply->type != REDIS_REPLY_ARRAY ? 0 : reply->elements < max ? reply->elements : max;
	for (size_t i = 0; i < n; i++)
		ret_texts[i] = redis_reply_text(reply->element[i]);
	return n;
}

/* ---- state ---- */

bool redis_is_up(const struct redis *r)
{
	return redis_conn_is_up(&redis_client_of_const(r)->conn);
}

struct status redis_last_error(const struct redis *r)
{
	return redis_is_up(r) ? status_ok() : redis_client_of_const(r)->why;
}

static void on_up(struct redis_conn *c)
{
	struct redis_client *r = container_of(c, struct redis_client, conn);
	struct status ok = status_ok();
	r->told = REDIS_TOLD_UP;
	timer_set(&r->role, ROLE_MS);
	if (r->o.on_state)
		r->o.on_state(r->o.data, true, &ok);
}

static void on_down(struct redis_conn *c, const struct status *why)
{
	struct redis_client *r = container_of(c, struct redis_client, conn);
	r->why = *why;
	if (r->told == REDIS_TOLD_DOWN)
		return;
	r->told = REDIS_TOLD_DOWN;
	if (r->o.on_state)
		r->o.on_state(r->o.data, false, why);
}

/* ---- commands ---- */

static void refused_end(struct refused *f)
{
	list_remove(&f->node);
	defer_cancel(&f->defer);
	if (f->done)
		f->done(f->data, &f->st, NULL);
	free(f);
}

static void on_refused(struct defer *d)
{
	refused_end(container_of(d, struct refused, defer));
}

static void refuse(struct redis_client *r, redis_done done, void *data, const struct status *st)
{
	struct refused *f = mem_new(struct refused);
	f->st = *st;
	f->done = done;
	f->data = data;
	list_init(&f->node);
	if (!r->closing)
		list_push(&r->refused, &f->node);
	defer_init(&f->defer, r->loop, on_refused);
	defer_post(&f->defer);
}

/* Why there is no answer; the connection is done for. */
static struct status lost(struct redis_client *r, const redisAsyncContext *ac, uint64_t sent_ms)
{
	if (r->closing)
		return status_err(ST_CANCELLED, "the connection to Redis is being closed");
	struct status why = ac->data ? redis_conn_lost(&r->conn, ac) : r->conn.why;
	if (loop_now_ms(r->loop) - sent_ms >= ANSWER_MS)
		why.code = ST_DEADLINE_EXCEEDED;
	return why;
}

static void on_reply(redisAsyncContext *ac, void *reply, void *data)
{
	struct command cmd = *(struct command *)data;
	struct redis_client *r = cmd.redis;
	list_remove(&((struct command *)data)->node);
	free(data);
	r->nsent--;
	struct status st = reply ? redis_reply_status(reply) : lost(r, ac, cmd.sent_ms);
	if (cmd.done)
		cmd.done(cmd.data, &st, status_is_ok(&st) ? reply : NULL);
}

static void on_oldest(struct timer *t)
{
	struct redis_client *r = container_of(t, struct redis_client, oldest);
	if (list_empty(&r->sent))
		return;
	uint64_t age =
		loop_now_ms(r->loop) - container_of(r->sent.next, struct command, node)->sent_ms;
	if (age < ANSWER_MS) {
		timer_set(t, ANSWER_MS - age);
		return;
	}
	struct status st =
		status_err(ST_UNAVAILABLE, "Redis did not answer within %d ms", ANSWER_MS);
	redis_conn_fail(&r->conn, &st);
}

/* False: hiredis takes no more, the connection is going down. */
static bool send_argv(struct redis_client *r, struct command *cmd, size_t argc, const struct str *argv)
{
	const char *few[ARGV_FEW], **ptrs = few;
	size_t few_lens[ARGV_FEW], *lens = few_lens;
	if (argc > ARGV_FEW) {
		ptrs = mem_realloc_array(NULL, sizeof *ptrs, argc);
		lens = mem_realloc_array(NULL, sizeof *lens, argc);
	}
	for (size_t i = 0; i < argc; i++) {
		ptrs[i] = argv[i].len ? argv[i].ptr : "";
		lens[i] = argv[i].len;
	}
	int err = redisAsyncCommandArgv(r->conn.ac, on_reply, cmd, (int)argc, ptrs, lens);
	if (argc > ARGV_FEW) {
		free(ptrs);
		free(lens);
	}
	return err == REDIS_OK;
}

static void command(
	struct redis *base, redis_done done, void *data, size_t argc, const struct str *argv)
{
	struct redis_client *r = redis_client_of(base);
	struct status st = status_ok();
	if (r->closing)
		st = status_err(ST_CANCELLED, "the connection to Redis is being closed");
	else if (!redis_is_up(base))
		st = status_err(ST_UNAVAILABLE, "no connection to Redis: %s", r->why.message);
	else if (r->nsent >= REDIS_PENDING_MAX)
		st = status_err(ST_RESOURCE_EXHAUSTED,
			"%zu commands wait for Redis already; try again later", r->nsent);
	else if (argc == 0 || argc > INT32_MAX)
		st = status_err(ST_INTERNAL, "a Redis command of %zu words", argc);
	if (!status_is_ok(&st)) {
		refuse(r, done, data, &st);
		return;
	}
	struct command *cmd = mem_new(struct command);
	*cmd = (struct command){
		.redis = r, .done = done, .data = data, .sent_ms = loop_now_ms(r->loop)};
	if (!send_argv(r, cmd, argc, argv)) {
		free(cmd);
		st = status_err(ST_UNAVAILABLE, "the connection to Redis is being lost");
		refuse(r, done, data, &st);
		return;
	}
	list_push(&r->sent, &cmd->node);
	r->nsent++;
	if (!timer_is_set(&r->oldest))
		timer_set(&r->oldest, ANSWER_MS);
}

/* ---- the role: a server that becomes a replica keeps its clients, and what they publish reaches few ---- */

static void on_role(void *data, const struct status *st, const redisReply *reply)
{
	struct redis_client *r = data;
	struct status why = status_is_ok(st) ? redis_reply_role(reply) : status_ok();
	if (status_is_ok(&why))
		return;
	redis_conn_fail(&r->conn, &why);
	subscriber_leave(r->subscriber, &why);
}

static void on_role_time(struct timer *t)
{
	struct redis_client *r = container_of(t, struct redis_client, role);
	const struct str argv[] = {STR("ROLE")};
	if (!redis_is_up(&r->base))
		return;
	redis_command(&r->base, on_role, r, 1, argv);
	timer_set(t, ROLE_MS);
}

/* ---- life ---- */

struct redis *redis_create(struct loop *l, const struct redis_options *o, struct status *ret_st)
{
	static const struct redis_conn_ops ops = {on_up, on_down};
	static const struct redis_ops table = {command, redis_client_subscribe};
	struct redis_client *r = mem_new(struct redis_client);
	r->base.ops = &table;
	r->arena = arena_create();
	*ret_st = redis_urls_parse(r->arena, o->url, &r->urls);
	if (!status_is_ok(ret_st)) {
		arena_destroy(r->arena);
		free(r);
		return NULL;
	}
	r->loop = l;
	r->o = *o;
	r->o.url = r->o.name = NULL; /* not ours to keep */
	r->why = status_err(ST_UNAVAILABLE, "the first connection is still being made");
	list_init(&r->sent);
	list_init(&r->refused);
	timer_init(&r->oldest, l, on_oldest);
	timer_init(&r->role, l, on_role_time);
	redis_conn_init(&r->conn, l, &r->urls, &ops);
	r->conn.name = o->name ? arena_strdup(r->arena, o->name) : NULL;
	redis_conn_start(&r->conn);
	return &r->base;
}

void redis_destroy(struct redis *base)
{
	struct redis_client *r = redis_client_of(base);
	struct list *n;
	if (base == NULL)
		return;
	r->closing = true;
	redis_conn_close(&r->conn); /* `done` of what was sent */
	while ((n = list_pop(&r->refused)) != NULL)
		refused_end(container_of(n, struct refused, node));
	timer_stop(&r->oldest);
	timer_stop(&r->role);
	subscriber_destroy(r->subscriber);
	arena_destroy(r->arena);
	free(r);
}
