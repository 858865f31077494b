#include "fake_call.h"

#include <stdarg.h>
#include <stdlib.h>
#include "base/mem.h"

#define SLOW_MS 2000

const char *const fault_names[FAULT_COUNT] = {"none", "refused", "lost", "conflict", "gone",
	"internal", "slow", "silent", "done and silent", "truncated"};

void fake_front_init(struct fake_front *f, struct fake_script *s, const char *what,
	uint64_t deadline_ms, enum st_code dead_code)
{
	*f = (struct fake_front){.script = s,
		.what = what,
		.deadline_ms = deadline_ms,
		.late_code = ST_DEADLINE_EXCEEDED,
		.dead_code = dead_code};
	list_init(&f->calls);
}

static void cut(struct fake_call *c, const struct status *st)
{
	c->cut = true;
	c->st = *st;
	timer_set(&c->timer, 0);
}

void fake_front_kill(struct fake_front *f)
{
	struct status st = status_err(f->dead_code, "the daemon is dead");
	f->dead = true;
	list_for_each (&f->calls, n)
		cut(container_of(n, struct fake_call, node), &st);
}

void fake_call_cancel(struct fake_call *c)
{
	struct status st = status_err(ST_CANCELLED, "cancelled");
	if (!c->cut)
		cut(c, &st);
}

static void on_answer(struct timer *t)
{
	struct fake_call *c = container_of(t, struct fake_call, timer);
	if (c->fault == FAULT_SLOW && !c->cut)
		c->st = c->effect(c);
	list_remove(&c->node);
	c->deliver(c, &c->st);
	arena_destroy(c->arena);
	free(c);
}

struct fake_call *fake_call_new(struct fake_front *f)
{
	struct fake_call *c = mem_new(struct fake_call);
	c->front = f;
	c->arena = arena_create();
	timer_init(&c->timer, f->script->loop, on_answer);
	list_push(&f->calls, &c->node);
	return c;
}

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
	switch (c->fault) {
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
				: status_err(ST_INTERNAL, "the reply is not JSON: it ends in its middle");
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

void fake_call_start(struct fake_call *c, uint64_t ms, struct status (*effect)(struct fake_call *c),
	void (*deliver)(struct fake_call *c, const struct status *st), const char *fmt, ...)
{
	struct fake_script *s = c->front->script;
	struct buf name = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_fmt(&name, "%s ", c->front->what);
	buf_vfmt(&name, fmt, ap);
	va_end(ap);
	c->effect = effect;
	c->deliver = deliver;
	unsigned number = ++s->calls;
	if (c->front->dead) {
		struct status st = status_err(c->front->dead_code, "the daemon is dead");
		cut(c, &st);
	} else {
		buf_fmt(&s->trace, "%s\n", name.ptr);
		c->fault = fault_of(s, name.ptr);
		timer_set(&c->timer, act(c, name.ptr, ms));
		if (s->after)
			s->after(s->data, number, name.ptr);
	}
	buf_finish(&name);
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
