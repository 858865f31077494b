#include "fake_call.h"

#include <stdarg.h>
#include <stdlib.h>
#include "base/mem.h"

#define SLOW_MS 2000
#define FOR_EVER (UINT64_C(1000) * 3600 * 24 * 365)

const char *const fault_names[FAULT_COUNT] = {"none", "refused", "lost", "conflict", "gone",
	"internal", "slow", "silent", "done and silent", "truncated"};

void fake_front_init(struct fake_front *f, struct fake_script *s, struct loop *l, const char *what,
	uint64_t deadline_ms, enum st_code dead_code)
{
	*f = (struct fake_front){.script = s,
		.loop = l ? l : s->loop,
		.what = what,
		.deadline_ms = deadline_ms,
		.late_code = ST_DEADLINE_EXCEEDED,
		.dead_code = dead_code};
	list_init(&f->calls);
}

/* ---- ending early ---- */

static void cut(struct fake_call *c, const struct status *st)
{
	c->cut = true;
	c->st = *st;
	if (!c->plan.outlives_front)
		timer_stop(&c->effect_timer);
	timer_set(&c->timer, 0);
}

static void cut_all(struct fake_front *f, const struct status *st)
{
	list_for_each (&f->calls, n) {
		struct fake_call *c = container_of(n, struct fake_call, node);
		if (!c->cut)
			cut(c, st);
	}
}

void fake_front_kill(struct fake_front *f)
{
	struct status st = status_err(f->dead_code, "the daemon is dead");
	f->dead = true;
	cut_all(f, &st);
}

void fake_front_disconnect(struct fake_front *f)
{
	struct status st = status_err(ST_UNAVAILABLE, "the connection was lost");
	cut_all(f, &st);
}

void fake_call_cancel(struct fake_call *c)
{
	struct status st = status_err(ST_CANCELLED, "cancelled");
	if (!c->cut)
		cut(c, &st);
}

void fake_call_hang(struct fake_call *c)
{
	if (!c->cut)
		timer_set(&c->timer, FOR_EVER);
}

/* ---- the answer ---- */

static void free_call(struct fake_call *c)
{
	arena_destroy(c->arena);
	free(c);
}

static void on_answer(struct timer *t)
{
	struct fake_call *c = container_of(t, struct fake_call, timer);
	const struct fake_script *s = c->front->script;
	if (c->plan.fault == FAULT_SLOW && !c->cut && !s->plan)
		c->st = c->effect(c);
	list_remove(&c->node);
	c->delivered = true;
	if (s->watch && !c->front->dead)
		s->watch(s->data, c, FAKE_ANSWERED);
	c->deliver(c, &c->st);
	if (!timer_is_set(&c->effect_timer))
		free_call(c);
}

/* ---- in a simulation ---- */

static uint64_t in_daemon_time(const struct fake_call *c, uint64_t ms)
{
	return loop_now_ms(c->front->script->loop) + ms;
}

static void answer_at(struct fake_call *c, uint64_t at)
{
	uint64_t now = loop_now_ms(c->front->loop);
	timer_set(&c->timer, at > now ? at - now : 0);
}

static void on_effect(struct timer *t)
{
	struct fake_call *c = container_of(t, struct fake_call, effect_timer);
	const struct fake_script *s = c->front->script;
	bool broken = c->plan.fault == FAULT_INTERNAL;
	bool reached = c->plan.fault != FAULT_REFUSED && c->plan.fault != FAULT_SILENT && !broken;
	bool silent = c->plan.fault == FAULT_SILENT || c->plan.fault == FAULT_DONE_SILENT;
	struct status st = reached ? c->effect(c)
			   : broken ? status_err(ST_INTERNAL, "something broke")
				    : status_err(ST_UNAVAILABLE, "nobody answers");
	c->done_code = st.code;
	if (reached)
		s->watch(s->data, c, FAKE_DONE);
	if (c->delivered) {
		free_call(c);
		return;
	}
	uint64_t at = in_daemon_time(c, c->plan.reply_ms);
	if (c->cut || silent || at >= c->timer.node.key)
		return; /* what it ends with stands already */
	c->st = st;
	if (c->plan.fault == FAULT_LOST)
		c->st = status_err(ST_UNAVAILABLE, "the connection was lost");
	answer_at(c, at);
}

static void start_planned(struct fake_call *c, uint64_t ms)
{
	struct fake_script *s = c->front->script;
	s->plan(s->data, c, &c->plan);
	c->st = status_err(c->front->late_code, "no answer in time");
	timer_set(&c->effect_timer, c->plan.effect_ms);
	answer_at(c, in_daemon_time(c, ms ? ms : c->front->deadline_ms));
	s->watch(s->data, c, FAKE_SENT);
}

/* ---- in a flow test ---- */

static enum fault fault_of(struct fake_script *s, const char *name)
{
	bool meant = s->at && s->calls >= s->at && s->calls <= s->last;
	if (!meant || (s->only && strncmp(name, s->only, strlen(s->only)) != 0))
		return FAULT_NONE;
	s->failed++;
	return s->fault;
}

/* Sets what the call ends with; returns after how many ms. */
static uint64_t act(struct fake_call *c, const char *name, uint64_t ms)
{
	switch (c->plan.fault) {
	case FAULT_REFUSED:
		c->st = status_err(ST_UNAVAILABLE, "nobody answers");
		return 0;
	case FAULT_CONFLICT:
		c->st = status_err(ST_ABORTED, "somebody else was first");
		return 0;
	case FAULT_GONE:
		if (strstr(name, "_remove ")) /* somebody else removed it */
			(void)c->effect(c).code;
		c->st = status_err(ST_NOT_FOUND, "it is not there");
		return 0;
	case FAULT_INTERNAL:
		c->st = status_err(ST_INTERNAL, "something broke");
		return 0;
	case FAULT_SLOW:
		return SLOW_MS;
	case FAULT_NONE:
		c->st = c->effect(c);
		return 0;
	case FAULT_LOST:
		(void)c->effect(c).code;
		c->st = status_err(ST_UNAVAILABLE, "the connection was lost");
		return 0;
	case FAULT_TRUNCATED: /* half an answer of the database is a lost connection */
		(void)c->effect(c).code;
		c->st = strcmp(c->front->what, "db") == 0
				? status_err(ST_UNAVAILABLE, "the connection was lost")
				: status_err(ST_DATA_LOSS, "the reply is not JSON: it ends in its middle");
		return 0;
	case FAULT_DONE_SILENT:
		(void)c->effect(c).code;
		break;
	case FAULT_SILENT:
	case FAULT_COUNT:
		break;
	}
	c->st = status_err(c->front->late_code, "no answer in time");
	return ms ? ms : c->front->deadline_ms;
}

/* ---- both ---- */

struct fake_call *fake_call_new(struct fake_front *f)
{
	struct fake_call *c = mem_new(struct fake_call);
	c->front = f;
	c->arena = arena_create();
	timer_init(&c->timer, f->loop, on_answer);
	timer_init(&c->effect_timer, f->script->loop, on_effect);
	list_push(&f->calls, &c->node);
	return c;
}

void fake_call_start(struct fake_call *c, uint64_t ms, struct status (*effect)(struct fake_call *c),
	void (*deliver)(struct fake_call *c, const struct status *st), const char *fmt, ...)
{
	struct fake_script *s = c->front->script;
	va_list ap;
	va_start(ap, fmt);
	const char *words = arena_vfmt(c->arena, fmt, ap);
	va_end(ap);
	c->name = arena_fmt(c->arena, "%s %s", c->front->what, words);
	c->effect = effect;
	c->deliver = deliver;
	unsigned number = ++s->calls;
	if (c->front->dead) {
		struct status st = status_err(c->front->dead_code, "the daemon is dead");
		cut(c, &st);
	} else if (s->plan) {
		start_planned(c, ms);
	} else {
		buf_fmt(&s->trace, "%s\n", c->name);
		c->plan.fault = fault_of(s, c->name);
		timer_set(&c->timer, act(c, c->name, ms));
		if (s->after)
			s->after(s->data, number, c->name);
	}
}

char *fake_trace(const struct fake_script *s, struct arena *a, const char *const *words)
{
	struct buf b = {0};
	struct str rest = buf_str(&s->trace);
	while (rest.len > 0) {
		struct str line = str_cut(&rest, '\n');
		for (size_t i = 0; words[i]; i++)
			if (str_starts(line, words[i])) {
				buf_add_str(&b, line);
				buf_addc(&b, '\n');
				break;
			}
	}
	char *text = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return text;
}

void fake_script_finish(struct fake_script *s)
{
	buf_finish(&s->trace);
}
