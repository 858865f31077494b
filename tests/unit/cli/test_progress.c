/* What is shown of a job and of a stack: lines for a log, pictures for a terminal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "skep/v1/common.pb-c.h"
#include "skep/v1/stacks.pb-c.h"

#define S(text) ((char *)(uintptr_t)(text))

static int64_t clock_s; /* of the events */

static Google__Protobuf__Timestamp at_second(int64_t s)
{
	return (Google__Protobuf__Timestamp){PROTOBUF_C_MESSAGE_INIT(&google__protobuf__timestamp__descriptor), 1700000000 + s, 0};
}

static void assert_event(struct progress *p, Skep__V1__Event e, const char *line)
{
	struct buf b = {0};
	Google__Protobuf__Timestamp at = at_second(clock_s++);
	e.time = &at;
	progress_event(p, &e, &b);
	assert_string_equal(buf_str(&b).ptr, line);
	buf_finish(&b);
}

static Skep__V1__Event event(const char *kind)
{
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	e.kind = S(kind);
	return e;
}

static Skep__V1__Event service(const char *name, const char *state, int running, int wanted, const char *message)
{
	Skep__V1__Event e = event("service.state");
	e.service = S(name);
	e.state = S(state);
	e.running = running;
	e.wanted = wanted;
	e.message = S(message);
	return e;
}

static Skep__V1__Event step(const char *kind, const char *name, int percent)
{
	Skep__V1__Event e = event(kind);
	e.step = S(name);
	e.percent = percent;
	return e;
}

static void start(struct progress *p)
{
	clock_s = 0;
	progress_init(p, "deploy shop");
}

static void test_lines(void **state)
{
	struct progress p;
	Skep__V1__Event e = event("job.ended");
	(void)state;
	start(&p);
	assert_event(&p, event("job.created"), "  0.0s  queued\n");
	assert_event(&p, event("job.started"), "  1.0s  started\n");
	assert_event(&p, step("job.step", "load_stack", 10), "  2.0s  load stack (10%)\n");
	assert_event(&p, step("job.step", "load_stack", 10), ""); /* nothing new */
	assert_event(&p, service("web", "converging", 0, 2, "pulling"), "  4.0s  web: converging 0/2: pulling\n");
	assert_event(&p, service("web", "converging", 0, 2, "pulling"), "");
	assert_event(&p, service("web", "converging", 1, 2, "pulling"), "  6.0s  web: converging 1/2: pulling\n");
	assert_event(&p, service("web", "running", 2, 2, ""), "  7.0s  web: running 2/2\n");
	assert_event(&p, step("job.undo", "load", 10), "  8.0s  taking back load\n");
	assert_true(p.undoing);
	e.state = S("failed");
	assert_event(&p, e, "");
	assert_true(p.ended);
	assert_string_equal(p.state, "failed");
	assert_int_equal(p.last_us - p.first_us, 9000000);
	e.kind = S("job.retried");
	e.state = S("pending");
	assert_event(&p, e, " 10.0s  to be run once more\n");
	assert_false(p.ended);
	progress_finish(&p);
}

static void test_texts_do_nothing_to_a_terminal(void **state)
{
	struct progress p;
	char longer[600];
	(void)state;
	start(&p);
	assert_event(&p, service("we\x1b[2Jb", "x", 0, 0, "a\r\nb"), "  0.0s  we [2Jb: x: a b\n");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	memcpy(longer + 253, "ö", 2); /* the cut is never inside a character */
	Skep__V1__Event e = service("web", "x", 0, 0, longer);
	struct buf b = {0};
	progress_event(&p, &e, &b);
	assert_true(str_is_utf8(str_of(p.services[1].message)));
	assert_int_equal(strlen(p.services[1].message), 255);
	buf_finish(&b);
	progress_finish(&p);
}

/* Every line of the picture fits; returns how many there are. */
static unsigned draw(const struct progress *p, struct progress_look look, struct buf *b)
{
	b->len = 0;
	unsigned n = progress_draw(p, &look, b), lines = 0;
	struct str rest = buf_str(b);
	while (rest.len) {
		struct str line = str_cut(&rest, '\n');
		assert_true(look.color || text_width(line) <= look.columns);
		lines++;
	}
	assert_int_equal(n, lines);
	return n;
}

static void test_picture(void **state)
{
	struct progress p;
	struct buf b = {0}, line = {0};
	(void)state;
	start(&p);
	Skep__V1__Event events[] = {step("job.step", "converge", 50), service("web", "running", 2, 2, ""),
		service("worker", "converging", 1, 4, "pulling image")};
	for (size_t i = 0; i < 3; i++)
		progress_event(&p, &events[i], &line);
	struct progress_look look = {.columns = 80, .rows = 24, .elapsed_ms = 3200};
	assert_int_equal(draw(&p, look, &b), 3);
	assert_string_equal(b.ptr, "| deploy shop  ##########..........  50%  converge  3.2s\n"
				   "  + web     ############ 2/2   running   \n"
				   "  | worker  ###......... 1/4   converging  pulling image\n");
	look.trouble = "connection lost";
	look.frame = 1;
	draw(&p, look, &b);
	assert_non_null(strstr(b.ptr, "/ deploy shop"));
	assert_non_null(strstr(b.ptr, "3.2s  connection lost\n"));
	look.utf8 = look.color = true;
	draw(&p, look, &b);
	assert_non_null(strstr(b.ptr, "\x1b[32m✔\x1b[0m web"));
	assert_non_null(strstr(b.ptr, "███░░░░░░░░░"));
	look.trouble = NULL;
	p.ended = true;
	(void)snprintf(p.state, sizeof(p.state), "failed");
	look.color = false;
	draw(&p, look, &b);
	assert_non_null(strstr(b.ptr, "✘ deploy shop  failed  3.2s\n"));
	buf_finish(&b);
	buf_finish(&line);
	progress_finish(&p);
}

static void test_small_terminals(void **state)
{
	struct progress p;
	struct buf b = {0}, line = {0};
	(void)state;
	start(&p);
	for (int i = 0; i < 30; i++) {
		char name[64];
		(void)snprintf(name, sizeof(name), "a-service-with-a-rather-long-name-%d", i);
		Skep__V1__Event e = service(name, i == 29 ? "failed" : i == 28 ? "converging" : "running", 1, 3, "日本語 message");
		progress_event(&p, &e, &line);
	}
	for (unsigned columns = 1; columns < 90; columns++) {
		draw(&p, (struct progress_look){.columns = columns, .rows = 24, .utf8 = columns % 2}, &b);
		draw(&p, (struct progress_look){.columns = columns, .rows = 1, .color = true}, &b);
	}
	/* room for 8 services: those that run make way for the others */
	assert_int_equal(draw(&p, (struct progress_look){.columns = 100, .rows = 10}, &b), 9);
	assert_non_null(strstr(b.ptr, "failed"));
	assert_non_null(strstr(b.ptr, "converging"));
	assert_non_null(strstr(b.ptr, "    and 23 more\n"));
	buf_finish(&b);
	buf_finish(&line);
	progress_finish(&p);
}

static void test_a_stack(void **state)
{
	struct progress p;
	struct buf b = {0};
	Skep__V1__Stack s = SKEP__V1__STACK__INIT;
	Skep__V1__Service web = SKEP__V1__SERVICE__INIT, db = SKEP__V1__SERVICE__INIT;
	Skep__V1__Service *both[] = {&web, &db};
	(void)state;
	progress_init(&p, "shop/web");
	web.name = S("web");
	web.state = SKEP__V1__SERVICE_STATE__SERVICE_STATE_RUNNING;
	web.running = web.wanted = 2;
	db.name = S("db");
	db.state = SKEP__V1__SERVICE_STATE__SERVICE_STATE_MISSING;
	db.wanted = 1;
	s.services = both;
	s.n_services = 2;
	s.status = SKEP__V1__STACK_STATUS__STACK_STATUS_DRIFTED;
	s.message = S("db was removed");
	progress_stack(&p, &s, &b);
	assert_string_equal(b.ptr, "shop/web: drifted: db was removed\nweb: running 2/2\ndb: missing 0/1\n");
	b.len = 0;
	progress_stack(&p, &s, &b);
	assert_int_equal(b.len, 0);
	both[0] = &db;
	s.n_services = 1;
	s.status = SKEP__V1__STACK_STATUS__STACK_STATUS_RUNNING;
	s.message = S("");
	progress_stack(&p, &s, &b);
	assert_string_equal(b.ptr, "shop/web: running\nweb: removed\n");
	assert_int_equal(draw(&p, (struct progress_look){.columns = 80, .rows = 24}, &b), 2);
	assert_non_null(strstr(b.ptr, "+ shop/web  running  0.0s\n"));
	buf_finish(&b);
	progress_finish(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_texts_do_nothing_to_a_terminal),
		cmocka_unit_test(test_picture),
		cmocka_unit_test(test_small_terminals),
		cmocka_unit_test(test_a_stack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
