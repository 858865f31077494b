#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "loop/child.h"
#include "loop/loop.h"

struct ctx {
	struct loop *l;
	char dir[32], log[48];
	bool exited;
	int64_t exit_status;
	int term_signal;
};

static void on_exit_of_child(void *data, int64_t exit_status, int term_signal)
{
	struct ctx *c = data;
	assert_false(c->exited);
	c->exited = true;
	c->exit_status = exit_status;
	c->term_signal = term_signal;
}

static int setup(void **state)
{
	struct ctx *c = calloc(1, sizeof *c);
	c->l = loop_create();
	memcpy(c->dir, "/tmp/child.XXXXXX", sizeof "/tmp/child.XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	assert_int_equal(chmod(c->dir, 0755), 0);
	(void)snprintf(c->log, sizeof c->log, "%s/log", c->dir);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *c = *state;
	loop_destroy(c->l);
	(void)unlink(c->log);
	assert_int_equal(rmdir(c->dir), 0);
	free(c);
	return 0;
}

static struct child_options shell(struct ctx *c, const char *const argv[static 4])
{
	return (struct child_options){
		.argv = argv, .log_path = c->log, .on_exit = on_exit_of_child, .data = c};
}

static struct child *start(struct ctx *c, const struct child_options *o)
{
	struct child *child = NULL;
	struct status st = child_start(c->l, o, &child);
	assert_string_equal(st.message, "");
	assert_non_null(child);
	c->exited = false;
	return child;
}

static void wait_exit(struct ctx *c)
{
	while (!c->exited)
		loop_turn(c->l);
}

static const char *log_text(struct ctx *c)
{
	static char text[4096];
	FILE *f = fopen(c->log, "re");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	assert_int_equal(fclose(f), 0);
	return text;
}

static void output_is_appended_and_the_status_told(void **state)
{
	struct ctx *c = *state;
	const char *argv[] = {"sh", "-c", "echo out; echo err >&2; exit 7", NULL};
	struct child_options o = shell(c, argv);
	(void)start(c, &o);
	wait_exit(c);
	assert_int_equal(c->exit_status, 7);
	assert_int_equal(c->term_signal, 0);
	(void)start(c, &o);
	wait_exit(c);
	assert_string_equal(log_text(c), "out\nerr\nout\nerr\n");
	struct stat sb;
	assert_int_equal(stat(c->log, &sb), 0);
	assert_int_equal(sb.st_mode & 07, 0);
}

static void signal_ends_it(void **state)
{
	struct ctx *c = *state;
	const char *argv[] = {"sleep", "1000", NULL, NULL};
	struct child_options o = shell(c, argv);
	struct child *child = start(c, &o);
	assert_int_equal(kill(child_pid(child), 0), 0);
	assert_int_equal(getsid(child_pid(child)), child_pid(child));
	child_signal(child, SIGTERM);
	wait_exit(c);
	assert_int_equal(c->exit_status, 0);
	assert_int_equal(c->term_signal, SIGTERM);
}

static void environment_and_directory(void **state)
{
	struct ctx *c = *state;
	const char *argv[] = {"sh", "-c", "echo $WORD $HOME; pwd; cat", NULL};
	const char *env[] = {"WORD=bee", "PATH=/usr/bin:/bin", NULL};
	struct child_options o = shell(c, argv);
	o.env = env;
	o.cwd = c->dir;
	(void)start(c, &o); /* cat ends because stdin is empty */
	wait_exit(c);
	char want[64];
	(void)snprintf(want, sizeof want, "bee\n%s\n", c->dir);
	assert_string_equal(log_text(c), want);
	assert_int_equal(c->exit_status, 0);
}

static void other_user_without_our_groups(void **state)
{
	struct ctx *c = *state;
	if (geteuid() != 0)
		skip();
	const char *argv[] = {"sh", "-c", "id -u; id -g; id -G", NULL};
	struct child_options o = shell(c, argv);
	o.uid = 65533;
	o.gid = 65532;
	(void)start(c, &o);
	wait_exit(c);
	assert_string_equal(log_text(c), "65533\n65532\n65532\n");
}

static void assert_refused(
	struct ctx *c, const struct child_options *o, enum st_code code, const char *words)
{
	struct child *child = NULL;
	struct status st = child_start(c->l, o, &child);
	assert_int_equal(st.code, code);
	assert_non_null(strstr(st.message, words));
	assert_null(child);
}

static void what_cannot_start_says_why(void **state)
{
	struct ctx *c = *state;
	const char *argv[] = {"no-such-program-here", NULL, NULL, NULL};
	struct child_options o = shell(c, argv);
	assert_refused(c, &o, ST_NOT_FOUND, "cannot start \"no-such-program-here\": no such file");

	argv[0] = c->dir;
	assert_refused(c, &o, ST_PERMISSION_DENIED, "permission denied");

	argv[0] = "true";
	o.cwd = "/no/such/directory";
	assert_refused(
		c, &o, ST_NOT_FOUND, "cannot start \"true\" in /no/such/directory: no such file");

	o.cwd = NULL;
	o.log_path = "/no/such/directory/log";
	assert_refused(c, &o, ST_NOT_FOUND, "\"/no/such/directory/log\"");
	o.log_path = c->dir;
	assert_refused(c, &o, ST_INTERNAL, "illegal operation on a directory");

	o.log_path = c->log;
	(void)start(c, &o);
	wait_exit(c); /* on_exit came for this one only */
	assert_int_equal(c->exit_status, 0);
}

/* A child that is left does not keep descriptors of ours: the log is closed here. */
static void many_children_leak_no_descriptor(void **state)
{
	struct ctx *c = *state;
	const char *argv[] = {"true", NULL, NULL, NULL};
	struct child_options o = shell(c, argv);
	(void)start(c, &o);
	wait_exit(c);
	int before = dup(0);
	close(before);
	for (int i = 0; i < 5; i++) {
		(void)start(c, &o);
		wait_exit(c);
		assert_int_equal(c->exit_status, 0);
	}
	int after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(output_is_appended_and_the_status_told),
		TEST(signal_ends_it),
		TEST(environment_and_directory),
		TEST(other_user_without_our_groups),
		TEST(what_cannot_start_says_why),
		TEST(many_children_leak_no_descriptor),
	};
	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
