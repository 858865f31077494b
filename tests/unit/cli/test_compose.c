/* The offline commands: what Compose files mean, with the caller's files and environment. */
#include "daemon.h"

static json_t *rendered(struct world *w)
{
	json_t *j = json_loads(w->out, 0, NULL);
	if (!j)
		fail_msg("no JSON: %s%s", w->out, w->err);
	return j;
}

static const json_t *first(const json_t *j, const char *section)
{
	return json_array_get(json_object_get(j, section), 0);
}

static const char text[] = "services:\n"
			   "  web:\n"
			   "    image: nginx:${TAG:-1}\n"
			   "    env_file: web.env\n"
			   "    command: echo $$HOME\n"
			   "    volumes: [./data:/data]\n"
			   "    secrets: [key, outer]\n"
			   "secrets:\n"
			   "  key: {file: ../key}\n"
			   "  outer: {external: true}\n";

static void make_files(void)
{
	assert_int_equal(mkdir("app", 0700), 0);
	write_file("app/compose.yaml", text);
	write_file("app/web.env", "A=1\nFROM_ENV\n");
	write_file("app/.env", "TAG=dotenv\n");
	write_file("key", "s3cret");
}

static void test_render(void **state)
{
	struct world *w = *state;
	make_files();
	w->env[3] = "FROM_ENV=f";
	assert_int_equal(skep(w, "compose render -c app/compose.yaml shop"), CLI_DONE);
	assert_string_equal(w->err, "");
	json_t *j = rendered(w);
	const json_t *service = first(j, "services");
	const json_t *container = json_at(service, "TaskTemplate.ContainerSpec");
	assert_string_equal(json_text(service, "Name", ""), "shop_web");
	assert_string_equal(json_text(container, "Image", ""), "nginx:dotenv");
	assert_string_equal(json_string_value(json_array_get(json_object_get(container, "Env"), 1)),
		"FROM_ENV=f");
	assert_string_equal(json_text(first(container, "Secrets"), "SecretID", "?"), "");
	assert_string_equal(json_text(first(container, "Secrets"), "SecretName", ""), "outer");
	assert_string_equal(json_text(first(j, "secrets"), "Data", ""), "czNjcmV0");
	assert_int_equal(
		json_array_size(json_object_get(j, "secrets")), 1); /* not the external one */
	assert_string_equal(json_text(first(j, "networks"), "Name", ""), "shop_default");
	char *here = getcwd(NULL, 0);
	assert_string_equal(json_text(first(container, "Mounts"), "Source", ""),
		arena_fmt(w->arena, "%s/app/data", here));
	free(here);
	json_decref(j);
	assert_int_equal(w->deploys, 0);
}

static void test_like_docker(void **state)
{
	struct world *w = *state;
	make_files();
	assert_int_equal(skep(w, "compose render --compat docker -c app/compose.yaml s"), CLI_DONE);
	json_t *j = rendered(w);
	assert_string_equal(json_text(first(j, "services"), "TaskTemplate.ContainerSpec.Image", ""),
		"nginx:1"); /* no .env */
	json_decref(j);
	w->env[3] = "ONE=1";
	write_file("bad.yaml",
		"services: {a: {image: x, environment: [ONE=]}}\n"); /* docker looks it up */
	assert_int_equal(skep(w, "compose render --compat docker -c bad.yaml s"), CLI_DONE);
	assert_has(w->out, "\"ONE=1\"");
	write_file("bad.yaml",
		"services: {a: {image: x, env_file: [./b/../nix.env], tty: 3, restart: always}}\n");
	assert_int_equal(skep(w, "compose render --compat docker -c bad.yaml s"), CLI_FAILED);
	char *here = getcwd(NULL, 0);
	assert_has(w->err, arena_fmt(w->arena, "open %s/nix.env: no such file or directory", here));
	free(here);
	assert_has(w->err, "services.a.tty must be a boolean"); /* all at once */
	assert_has(w->err, "warning: Ignoring unsupported options: restart\n");
	assert_string_equal(w->out, "");
	assert_int_equal(skep(w, "compose render --compat docker -c nix.yaml s"), CLI_FAILED);
	assert_string_equal(w->err, "skep: open nix.yaml: no such file or directory\n");
}

static void test_config(void **state)
{
	struct world *w = *state;
	char *here = getcwd(NULL, 0);
	make_files();
	assert_int_equal(skep(w, "compose config -c app/compose.yaml"), CLI_DONE);
	assert_has(w->out, "services:\n  web:\n    command:\n");
	assert_has(w->out, "$$HOME");
	assert_has(w->out, arena_fmt(w->arena, "%s/app/data", here));
	assert_has(w->out, arena_fmt(w->arena, "%s/key", here));
	assert_has(w->out, "  outer:\n    name: outer\n    external: true\n");
	/* What it prints means what the files mean. */
	assert_int_equal(skep(w, "compose render -c app/compose.yaml s"), CLI_DONE);
	json_t *before = rendered(w);
	assert_int_equal(skep(w, "compose config -c app/compose.yaml"), CLI_DONE);
	write_file("app/again.yaml", w->out);
	assert_int_equal(skep(w, "compose render -c app/again.yaml s"), CLI_DONE);
	json_t *after = rendered(w);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	assert_int_equal(
		skep(w, "compose config --compat docker -o json -c app/compose.yaml"), CLI_DONE);
	json_t *j = rendered(w);
	assert_string_equal(
		json_string_value(json_array_get(json_at(j, "services.web.command"), 1)), "$HOME");
	json_decref(j);
	free(here);
}

static void test_several_files(void **state)
{
	struct world *w = *state;
	write_file("a.yaml", "services: {web: {image: a, user: u}}\n");
	write_file("b.yaml", "services: {web: {image: b}}\n");
	w->input = "services: {web: {hostname: h}}\n";
	assert_int_equal(skep(w, "compose config -c a.yaml,b.yaml -c -"), CLI_DONE);
	assert_string_equal(
		w->out, "services:\n  web:\n    hostname: h\n    image: b\n    user: u\n");
	w->input = "name: shop\nservices: {web: {image: 'x:${COMPOSE_PROJECT_NAME}'}}\n";
	assert_int_equal(skep(w, "compose config -c -"), CLI_DONE);
	assert_has(w->out, "image: \"x:shop\"\n");
	assert_int_equal(skep(w, "compose config -c - other"), CLI_DONE);
	assert_has(w->out, "image: \"x:other\"\n");
	assert_int_equal(skep(w, "compose config"), CLI_USAGE);
	assert_has(w->err, "no compose.yaml");
	assert_int_equal(skep(w, "compose config --compat podman -c a.yaml"), CLI_USAGE);
	assert_int_equal(skep(w, "compose render -c a.yaml"), CLI_USAGE);
	assert_int_equal(skep(w, "compose render -c a.yaml no/name"), CLI_FAILED);
	assert_has(w->err, "invalid stack name: \"no/name\"");
}

static int teardown(void **state)
{
	static const char *const files[] = {"app/compose.yaml", "app/again.yaml", "app/web.env",
		"app/.env", "bad.yaml", "a.yaml", "b.yaml"};
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		(void)unlink(files[i]);
	(void)rmdir("app");
	return world_teardown(state);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_render), T(test_like_docker), T(test_config), T(test_several_files)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
