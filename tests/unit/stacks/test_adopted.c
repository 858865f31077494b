/* adopted: what the Engine holds as a release, its text, and the names that a later release keeps.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "compose/export.h"
#include "stacks/adopted.h"
#include "stacks/plan.h"
#include "stacks/world.h"

static const struct release_labels labels = {"p1", "s1"};

static void release_json(void *j)
{
	json_decref(j);
}

static json_t *parse(struct arena *a, const char *text)
{
	json_t *j = NULL;
	struct status st = json_parse(str_of(text), &j);
	if (!status_is_ok(&st))
		fail_msg("%s", st.message);
	arena_on_free(a, release_json, j);
	return j;
}

/* Stack "old" as docker made it: service web in two networks, with a config and a secret. */
static struct world *old_stack(struct arena *a)
{
	struct world *w = arena_new(a, struct world);
	static const char *const spec =
		"{\"Name\":\"old_web\",\"Labels\":{\"com.docker.stack.image\":\"bb:1\","
		"\"com.docker.stack.namespace\":\"old\"},\"TaskTemplate\":{\"ContainerSpec\":{"
		"\"Image\":\"bb:1\",\"Labels\":{\"com.docker.stack.namespace\":\"old\"},"
		"\"Isolation\":\"default\",\"Configs\":[{\"ConfigID\":\"c1\",\"ConfigName\":\"old_"
		"app\",\"File\":"
		"{\"Name\":\"app\",\"UID\":\"0\",\"GID\":\"0\",\"Mode\":292}}],"
		"\"Secrets\":[{\"SecretID\":\"x1\",\"SecretName\":\"old_key\",\"File\":"
		"{\"Name\":\"key\",\"UID\":\"0\",\"GID\":\"0\",\"Mode\":292}}]},"
		"\"Networks\":[{\"Target\":\"n1\",\"Aliases\":[\"web\"]},{\"Target\":\"n2\","
		"\"Aliases\":[\"web\"]}],"
		"\"Runtime\":\"container\"},\"Mode\":{\"Replicated\":{\"Replicas\":1}},"
		"\"EndpointSpec\":{\"Mode\":\"vip\"}}";
	w->services = arena_new(a, struct world_service);
	*w->services = (struct world_service){.id = "i1",
		.name = "old_web",
		.version = 7,
		.spec = parse(a, spec),
		.label_job = "",
		.label_stack = "",
		.ours = true};
	w->n_services = 1;
	w->networks = arena_array(a, struct world_object, 3);
	w->networks[0] = (struct world_object){.id = "n1",
		.name = "old_default",
		.scope = "swarm",
		.content = "",
		.ours = true,
		.stored = parse(a,
			"{\"Name\":\"old_default\",\"Id\":\"n1\",\"Driver\":\"overlay\","
			"\"IPAM\":{\"Driver\":\"default\",\"Config\":[{\"Subnet\":\"10.0.1.0/24\","
			"\"Gateway\":\"10.0.1.1\"}]},\"Options\":"
			"{\"com.docker.network.driver.overlay.vxlanid_list\":\"4097\"},"
			"\"Labels\":{\"com.docker.stack.namespace\":\"old\"}}")};
	w->networks[1] = (struct world_object){
		.id = "n2", .name = "shared", .scope = "swarm", .content = ""};
	w->networks[2] = (struct world_object){
		.id = "n3", .name = "elsewhere", .scope = "swarm", .content = ""};
	w->n_networks = 3;
	w->configs = arena_new(a, struct world_object);
	*w->configs = (struct world_object){.id = "c1",
		.name = "old_app",
		.scope = "swarm",
		.content = "",
		.ours = true,
		.stored = parse(a,
			"{\"Name\":\"old_app\",\"Labels\":{\"com.docker.stack.namespace\":\"old\"},"
			"\"Data\":\"Ymx1ZQ==\"}")};
	w->n_configs = 1;
	w->secrets = arena_new(a, struct world_object);
	*w->secrets = (struct world_object){.id = "x1",
		.name = "old_key",
		.scope = "swarm",
		.content = "",
		.ours = true,
		.stored = parse(a, "{\"Name\":\"old_key\",\"Labels\":{\"com.docker.stack."
				   "namespace\":\"old\"}}")};
	w->n_secrets = 1;
	return w;
}

static unsigned changes(struct arena *a, const struct world *w, const struct release *r)
{
	struct plan p;
	plan_make(a, w, r, NULL, &p);
	for (size_t i = 0; i < p.n; i++)
		if (p.actions[i].verdict != PLAN_KEEP)
			print_message("%s %s: %s\n", plan_verdict_name(p.actions[i].verdict),
				p.actions[i].name, p.actions[i].reason);
	return (unsigned)p.n - p.counts[PLAN_KEEP];
}

static void nothing_is_to_be_done_afterwards(void **state)
{
	struct arena *a = arena_create();
	struct release r, again;
	(void)state;
	const struct world *w = old_stack(a);
	struct status st = adopted_release(a, "old", w, &labels, &r);
	assert_true(status_is_ok(&st));
	assert_int_equal(r.n_networks, 2);
	assert_string_equal(r.networks[0].key, "default");
	assert_true(r.networks[1].external);
	assert_string_equal(r.services[0].object.key, "web");
	assert_int_equal(changes(a, w, &r), 0);
	st = release_decode(a, release_encode(a, &r), &again);
	assert_true(status_is_ok(&st));
	assert_int_equal(changes(a, w, &again), 0);
	arena_destroy(a);
}

static void the_text_makes_the_same(void **state)
{
	struct arena *a = arena_create();
	struct release r, again;
	const char *text;
	struct compose_strings lost;
	struct compose_project *p;
	struct compose_problems errors, warnings;
	(void)state;
	const struct world *w = old_stack(a);
	struct status st = adopted_release(a, "old", w, &labels, &r);
	assert_true(status_is_ok(&st));
	assert_true(release_export(a, "old", NULL, &r, &text, &lost));
	assert_int_equal(lost.len, 0);
	struct compose_text t = {"compose.yml", str_of(text)};
	if (!release_model(a, "old", &(struct release_upload){.texts = &t, .n_texts = 1}, &p,
		    &errors, &warnings))
		fail_msg("%s\n%s", compose_problem_text(a, &errors.items[0]), text);
	release_render(a, p, &labels, &again);
	assert_int_equal(changes(a, w, &again), 0);
	arena_destroy(a);
}

/* The file that docker had, with this content of the config. */
static unsigned deploy_original(const char *content, bool keep)
{
	static const char *const text =
		"services:\n  web:\n    image: bb:1\n    networks: [default, shared]\n    configs: "
		"[app]\n"
		"    secrets: [{source: key}]\nnetworks: {shared: {external: true}}\n"
		"configs: {app: {file: ./app}}\nsecrets: {key: {external: true, name: old_key}}\n";
	struct arena *a = arena_create();
	struct release before, r;
	struct compose_project *p;
	struct compose_problems errors, warnings;
	const struct world *w = old_stack(a);
	struct status st = adopted_release(a, "old", w, &labels, &before);
	assert_true(status_is_ok(&st));
	struct compose_text t = {"compose.yml", str_of(text)};
	struct compose_upload file = {"./app", str_of(content)};
	const struct release_upload u = {.texts = &t, .n_texts = 1, .files = &file, .n_files = 1};
	if (!release_model(a, "old", &u, &p, &errors, &warnings))
		fail_msg("%s", compose_problem_text(a, &errors.items[0]));
	release_render(a, p, &labels, &r);
	if (keep)
		release_keep_names(a, "old", &r, &before);
	unsigned n = changes(a, w, &r);
	arena_destroy(a);
	return n;
}

static void a_config_of_the_same_content_keeps_its_name(void **state)
{
	(void)state;
	assert_int_equal(deploy_original("blue", true), 0);
	/* created, the service updated, the old one removed */
	assert_int_equal(deploy_original("red", true), 3);
	assert_int_equal(deploy_original("blue", false), 3);
}

static void what_cannot_be_adopted(void **state)
{
	struct arena *a = arena_create();
	struct world *w = old_stack(a);
	struct release r;
	(void)state;
	w->services->name = "web";
	struct status st = adopted_release(a, "old", w, &labels, &r);
	assert_int_equal(st.code, ST_FAILED_PRECONDITION);
	assert_non_null(strstr(st.message, "not named old_"));
	w->services->name = "old_web";
	w->services->ours = false;
	w->services->label_stack = "s2";
	st = adopted_release(a, "old", w, &labels, &r);
	assert_int_equal(st.code, ST_FAILED_PRECONDITION);
	assert_non_null(strstr(st.message, "another Skep, as stack s2"));
	w->n_services = 0;
	st = adopted_release(a, "old", w, &labels, &r);
	assert_int_equal(st.code, ST_NOT_FOUND);
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_to_be_done_afterwards),
		cmocka_unit_test(the_text_makes_the_same),
		cmocka_unit_test(a_config_of_the_same_content_keeps_its_name),
		cmocka_unit_test(what_cannot_be_adopted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
