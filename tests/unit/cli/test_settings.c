/* Where to call and as whom; the context file; files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/arena.h"
#include "cli/files.h"
#include "cli/settings.h"

struct world {
	struct arena *a;
	char dir[64], config[128], variable[160];
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	w->a = arena_create();
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/skep-settings.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->config, sizeof(w->config), "%s/a/b/config.json", w->dir);
	(void)snprintf(w->variable, sizeof(w->variable), "SKEP_CONFIG=%s", w->config);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	(void)unlink(w->config);
	(void)rmdir(arena_fmt(w->a, "%s/a/b", w->dir));
	(void)rmdir(arena_fmt(w->a, "%s/a", w->dir));
	assert_int_equal(rmdir(w->dir), 0); /* nothing was left over */
	arena_destroy(w->a);
	free(w);
	return 0;
}

static void write_config(struct world *w, const char *text)
{
	json_t *j = json_loads(text, 0, NULL);
	assert_non_null(j);
	struct status st = settings_write(w->a, w->config, j);
	assert_int_equal(st.code, ST_OK);
	json_decref(j);
}

static void test_defaults(void **state)
{
	struct world *w = *state;
	const char *const env[] = {w->variable, NULL};
	struct settings s;
	struct status st = settings_resolve(w->a, &(struct settings_given){0}, env, &s);
	assert_int_equal(st.code, ST_OK);
	assert_string_equal(s.address, "unix:///run/skep/skep.sock");
	assert_string_equal(s.token, "");
	assert_string_equal(s.project, "");
	assert_string_equal(s.context, "");
}

static const char two[] = "{\"current\": \"prod\", \"contexts\": {"
			  "\"prod\": {\"address\": \"prod:7700\", \"token\": \"secret\", \"project\": \"shop\"},"
			  "\"dev\": {}}}";

static void test_what_wins(void **state)
{
	struct world *w = *state;
	struct settings s;
	const char *const plain[] = {w->variable, NULL};
	const char *const some[] = {w->variable, "SKEP_PROJECT=blog", "SKEP_TOKEN=", "SKEP_CONTEXT=prod", NULL};
	const char *const host[] = {w->variable, "SKEP_HOST=other:1", NULL};
	write_config(w, two);
	struct status st = settings_resolve(w->a, &(struct settings_given){0}, plain, &s);
	assert_int_equal(st.code, ST_OK);
	assert_string_equal(s.address, "prod:7700");
	assert_string_equal(s.token, "secret");
	assert_string_equal(s.project, "shop");
	assert_string_equal(s.context, "prod");
	st = settings_resolve(w->a, &(struct settings_given){.token = "t"}, some, &s);
	assert_int_equal(st.code, ST_OK);
	assert_string_equal(s.project, "blog");
	assert_string_equal(s.token, "t");
	/* another host: nothing of the context is used, its token least of all */
	st = settings_resolve(w->a, &(struct settings_given){0}, host, &s);
	assert_int_equal(st.code, ST_OK);
	assert_string_equal(s.address, "other:1");
	assert_string_equal(s.token, "");
	assert_string_equal(s.project, "");
	st = settings_resolve(w->a, &(struct settings_given){.host = "third:1"}, host, &s);
	assert_string_equal(s.address, "third:1");
	/* a context asked for by option wins over the environment's host */
	st = settings_resolve(w->a, &(struct settings_given){.context = "dev"}, host, &s);
	assert_string_equal(s.address, "unix:///run/skep/skep.sock");
	assert_string_equal(s.context, "dev");
}

static void test_a_bad_context_file(void **state)
{
	struct world *w = *state;
	struct settings s;
	const char *const env[] = {w->variable, NULL};
	write_config(w, "{\"contexts\": {}}");
	struct status st = settings_resolve(w->a, &(struct settings_given){.context = "nix"}, env, &s);
	assert_int_equal(st.code, ST_NOT_FOUND);
	assert_non_null(strstr(st.message, "\"nix\""));
	write_config(w, "{\"contexts\": 3}");
	st = settings_resolve(w->a, &(struct settings_given){0}, env, &s);
	assert_int_equal(st.code, ST_INVALID_ARGUMENT);
	FILE *f = fopen(w->config, "we");
	assert_true(f && fputs("{\n  nonsense", f) >= 0 && fclose(f) == 0);
	st = settings_resolve(w->a, &(struct settings_given){0}, env, &s);
	assert_int_equal(st.code, ST_INVALID_ARGUMENT);
	assert_non_null(strstr(st.message, w->config));
}

static void test_the_file_is_the_owners(void **state)
{
	struct world *w = *state;
	struct stat sb;
	write_config(w, two);
	assert_int_equal(stat(w->config, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	assert_int_equal(stat(arena_fmt(w->a, "%s/a", w->dir), &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0700);
}

static void test_where_the_file_is(void **state)
{
	struct world *w = *state;
	const char *const home[] = {"HOME=/h", NULL}, *const xdg[] = {"HOME=/h", "XDG_CONFIG_HOME=/x", NULL};
	const char *const none[] = {"HOME=", NULL};
	assert_string_equal(settings_path(w->a, home), "/h/.config/skep/config.json");
	assert_string_equal(settings_path(w->a, xdg), "/x/skep/config.json");
	assert_null(settings_path(w->a, none));
}

static void test_files(void **state)
{
	struct world *w = *state;
	struct str text;
	bool missing;
	write_config(w, "{}");
	struct status st = file_read(w->a, w->config, 100, &text, &missing);
	assert_int_equal(st.code, ST_OK);
	assert_string_equal(text.ptr, "{}");
	st = file_read(w->a, w->config, 1, &text, &missing);
	assert_int_equal(st.code, ST_RESOURCE_EXHAUSTED);
	st = file_read(w->a, w->dir, 100, &text, &missing);
	assert_int_equal(st.code, ST_INVALID_ARGUMENT);
	assert_false(missing);
	st = file_read(w->a, "/nowhere/at/all", 100, &text, &missing);
	assert_int_equal(st.code, ST_NOT_FOUND);
	assert_true(missing);
	assert_string_equal(file_folder(w->a, "a/b/c.yml"), "a/b");
	assert_string_equal(file_folder(w->a, "c.yml"), ".");
	assert_string_equal(file_folder(w->a, "/c.yml"), "/");
	assert_string_equal(file_join(w->a, "a/b", "c/../d.env", NULL), "a/b/d.env");
	assert_string_equal(file_join(w->a, ".", "./d.env", NULL), "././d.env");
	assert_string_equal(file_join(w->a, ".", "../d.env", NULL), "./../d.env");
	assert_string_equal(file_join(w->a, "..", "../d.env", NULL), "../../d.env");
	assert_string_equal(file_join(w->a, "a", "../../d.env", NULL), "../d.env");
	assert_string_equal(file_join(w->a, "a", "x//../d.env", NULL), "a/d.env");
	assert_string_equal(file_join(w->a, "a", "/../x/../d.env", NULL), "/../d.env");
	assert_string_equal(file_join(w->a, "a", "~/../x.env", "/home/me"), "/home/x.env");
	assert_string_equal(file_join(w->a, "a", "b/..", NULL), "a/");
	assert_string_equal(file_join(w->a, "a/b", "./x", "/h"), "a/b/./x");
	assert_string_equal(file_join(w->a, "a/b", "/x", "/h"), "/x");
	assert_string_equal(file_join(w->a, "a/b", "~/x", "/h"), "/h/x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_bad_context_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_file_is_the_owners, setup, teardown),
		cmocka_unit_test_setup_teardown(test_where_the_file_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
