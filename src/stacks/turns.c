#include "stacks/turns.h"

static void give_more(struct turns *of)
{
	struct list *n;
	while (of->taken < TURNS_AT_ONCE && (n = list_pop(&of->waiting)) != NULL) {
		struct turn *t = container_of(n, struct turn, node);
		of->taken++;
		t->taken = true;
		timer_set(&t->limit, TURN_MS);
		defer_post(&t->later);
	}
}

static void give_back(struct turn *t)
{
	if (!t->taken)
		return;
	t->taken = false;
	t->of->taken--;
	give_more(t->of);
}

static void on_limit(struct timer *timer)
{
	give_back(container_of(timer, struct turn, limit));
}

static void on_later(struct defer *d)
{
	struct turn *t = container_of(d, struct turn, later);
	t->on_turn(t);
}

void turn_init(struct turn *t, struct turns *of, struct loop *l, void (*on_turn)(struct turn *t))
{
	*t = (struct turn){.of = of, .on_turn = on_turn};
	list_init(&t->node);
	timer_init(&t->limit, l, on_limit);
	defer_init(&t->later, l, on_later);
	if (!of->waiting.next)
		list_init(&of->waiting);
}

void turn_ask(struct turn *t)
{
	turn_leave(t);
	list_push(&t->of->waiting, &t->node);
	give_more(t->of);
}

void turn_leave(struct turn *t)
{
	list_remove(&t->node);
	timer_stop(&t->limit);
	defer_cancel(&t->later);
	give_back(t);
}
