/* Some are busy, the others wait. */
#include "stacks/turns.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MANY (TURNS_AT_ONCE + 3)

struct deploy {
	struct turn turn;
	unsigned given;
};
struct ctx {
	struct loop *loop;
	struct turns turns;
	struct deploy deploys[MANY];
};

static void on_turn(struct turn *t)
{
	container_of(t, struct deploy, turn)->given++;
}

static unsigned given(const struct ctx *c)
{
	unsigned n = 0;
	for (size_t i = 0; i < MANY; i++)
		n += c->deploys[i].given;
	return n;
}

static void begin(struct ctx *c)
{
	*c = (struct ctx){.loop = loop_create()};
	loop_set_now(c->loop, 1);
	for (size_t i = 0; i < MANY; i++) {
		turn_init(&c->deploys[i].turn, &c->turns, c->loop, on_turn);
		turn_ask(&c->deploys[i].turn);
	}
	assert_int_equal(given(c), 0); /* never from inside */
	loop_turn(c->loop);
	assert_int_equal(given(c), TURNS_AT_ONCE);
}

static void end(struct ctx *c)
{
	for (size_t i = 0; i < MANY; i++)
		turn_leave(&c->deploys[i].turn);
	assert_int_equal(c->turns.taken, 0);
	loop_destroy(c->loop);
}

static void who_waited_longest_is_next(void **state)
{
	struct ctx c;
	(void)state;
	begin(&c);
	turn_leave(&c.deploys[TURNS_AT_ONCE].turn); /* it waits no more */
	turn_leave(&c.deploys[0].turn);
	turn_leave(&c.deploys[0].turn);
	loop_turn(c.loop);
	assert_int_equal(c.deploys[TURNS_AT_ONCE].given, 0);
	assert_int_equal(c.deploys[TURNS_AT_ONCE + 1].given, 1);
	assert_int_equal(c.deploys[TURNS_AT_ONCE + 2].given, 0);
	end(&c);
	assert_int_equal(given(&c), TURNS_AT_ONCE + 1);
}

static void who_takes_long_keeps_nobody_back(void **state)
{
	struct ctx c;
	(void)state;
	begin(&c);
	loop_set_now(c.loop, TURN_MS);
	loop_turn(c.loop);
	loop_turn(c.loop);
	assert_int_equal(given(&c), TURNS_AT_ONCE);
	loop_set_now(c.loop, TURN_MS + 1);
	loop_turn(c.loop);
	loop_turn(c.loop);
	assert_int_equal(given(&c), MANY);
	end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waited_longest_is_next),
		cmocka_unit_test(who_takes_long_keeps_nobody_back),
	};
	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
