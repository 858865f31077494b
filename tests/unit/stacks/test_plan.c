/* Every verdict and its reason; the fingerprint; what is drift. The world is a swarm's JSON written
 * down here. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/json.h"
#include "stacks/drift.h"
#include "stacks/fingerprint.h"
#include "stacks/reserved.h"

static const char *const text = "services:\n"
				"  web:\n"
				"    image: nginx:1\n"
				"    environment: {MODE: a}\n"
				"    networks: [front]\n"
				"    configs: [site]\n"
				"    secrets: [key]\n"
				"networks: {front: {}}\n"
				"configs: {site: {content: hello}}\n"
				"secrets: {key: {environment: KEY}}\n";
static const struct release_labels labels = {"project-1", "stack-1"};

struct fixture {
	struct arena *a;
	struct release r;
	struct world w;
	struct plan_kept kept;
};

static struct release render(struct arena *a, const char *compose, const char *stack_id)
{
	struct compose_text *t = arena_new(a, struct compose_text);
	struct compose_variable *v = arena_new(a, struct compose_variable);
	*t = (struct compose_text){"compose.yml", str_of(compose)};
	*v = (struct compose_variable){"KEY", "k"};
	struct release_upload u = {.texts = t, .n_texts = 1, .variables = v, .n_variables = 1};
	const struct release_labels own = {labels.project_id, stack_id};
	struct compose_project *p;
	struct compose_problems errors, warnings;
	struct release r;
	if (!release_model(a, "shop", &u, &p, &errors, &warnings))
		fail_msg("%s", compose_problem_text(a, &errors.items[0]));
	release_render(a, p, &own, &r);
	return r;
}

static void free_json(void *j)
{
	json_decref(j);
}

static json_t *copy(struct arena *a, const json_t *j)
{
	json_t *c = json_deep_copy(j);
	arena_on_free(a, free_json, c);
	return c;
}

static struct world_object made(struct arena *a, const struct release_object *o)
{
	return (struct world_object){.id = arena_fmt(a, "id-%s", o->name),
		.name = o->name,
		.scope = "swarm",
		.content = json_string_value(
				   json_object_get(json_at(o->body, "Labels"), LABEL_CONTENT))
				   ? json_string_value(json_object_get(
					     json_at(o->body, "Labels"), LABEL_CONTENT))
				   : "",
		.ours = true,
		.version = 7,
		.stored = copy(a, o->body)};
}

/* As the Engine is after a deploy of the release. */
static void fill(struct fixture *f)
{
	struct arena *a = f->a;
	struct world *w = &f->w;
	w->networks = arena_array(a, struct world_object, 8);
	w->secrets = arena_array(a, struct world_object, 8);
	w->configs = arena_array(a, struct world_object, 8);
	w->services = arena_array(a, struct world_service, 8);
	for (size_t i = 0; i < f->r.n_networks; i++)
		w->networks[w->n_networks++] = made(a, &f->r.networks[i]);
	for (size_t i = 0; i < f->r.n_secrets; i++)
		w->secrets[w->n_secrets++] = made(a, &f->r.secrets[i]);
	for (size_t i = 0; i < f->r.n_configs; i++)
		w->configs[w->n_configs++] = made(a, &f->r.configs[i]);
	for (size_t i = 0; i < f->r.n_services; i++) {
		struct plan_action p;
		plan_service(a, w, &f->r.services[i], &p);
		assert_int_equal(p.verdict, PLAN_CREATE);
		w->services[w->n_services++] = (struct world_service){
			.id = "id-web", .name = p.name, .version = 3, .spec = p.body, .ours = true};
	}
}

static int setup(void **state)
{
	struct arena *a = arena_create();
	struct fixture *f = arena_new(a, struct fixture);
	f->a = a;
	f->r = render(a, text, labels.stack_id);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	arena_destroy(((struct fixture *)*state)->a);
	return 0;
}

static const struct plan_action *find(const struct plan *p, const char *key)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->actions[i].key, key) == 0)
			return &p->actions[i];
	fail_msg("no action for %s", key);
	return NULL;
}

static int compare_names(const void *left, const void *right)
{
	const struct world_service *a = left, *b = right;
	return strcmp(a->name, b->name);
}

static struct plan plan_of(struct fixture *f)
{
	struct plan p;
	if (f->w.n_services > 1) /* as world_read puts them */
		qsort(f->w.services, f->w.n_services, sizeof(*f->w.services), compare_names);
	plan_make(f->a, &f->w, &f->r, &f->kept, &p);
	return p;
}

static void expect(
	struct fixture *f, const char *key, enum plan_verdict verdict, const char *reason)
{
	const struct plan p = plan_of(f);
	const struct plan_action *a = find(&p, key);
	if (a->verdict != verdict || !strstr(a->reason, reason))
		fail_msg("%s: %s, \"%s\"", key, plan_verdict_name(a->verdict), a->reason);
}

static const char *only_change(struct fixture *f, const char *key)
{
	const struct plan p = plan_of(f);
	const struct plan_action *a = find(&p, key);
	assert_int_equal(a->n_changes, 1);
	return a->changes[0].path;
}

static void test_create(void **state)
{
	struct fixture *f = *state;
	const struct plan p = plan_of(f);
	assert_int_equal(p.n, 4);
	assert_int_equal(p.counts[PLAN_CREATE], 4);
	const struct plan_action *web = find(&p, "web");
	assert_string_equal(web->id, "");
	assert_non_null(web->body);
	assert_true(web->n_changes > 2);
	for (size_t i = 0; i < web->n_changes; i++) {
		assert_null(web->changes[i].before);
		assert_null(strstr(web->changes[i].path, "skep."));
	}
	assert_true(plan_is_sensitive(&find(&p, "key")->changes[0]));
}

static void test_keep(void **state)
{
	struct fixture *f = *state;
	fill(f);
	const struct plan p = plan_of(f);
	assert_int_equal(p.counts[PLAN_KEEP], 4);
	assert_int_equal(p.n, 4);
	assert_null(find(&p, "web")->body);
}

static void test_update(void **state)
{
	struct fixture *f = *state;
	fill(f);
	json_t *container = json_at(f->w.services[0].spec, "TaskTemplate.ContainerSpec");
	json_object_set_new(container, "Env", json_pack("[s, s]", "A=new", "MODE=a"));
	expect(f, "web", PLAN_UPDATE, "Env.A differs");
	assert_string_equal(only_change(f, "web"), "TaskTemplate.ContainerSpec.Env.A");
	json_object_set_new(container, "TTY", json_true());
	expect(f, "web", PLAN_UPDATE, "and 1 more differ");
	struct plan p = plan_of(f);
	json_t *body = find(&p, "web")->body;
	assert_null(json_at(body, "TaskTemplate.ContainerSpec.TTY"));
	assert_ptr_not_equal(body, f->r.services[0].object.body);
}

static void test_marked(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->w.services[0].update = DOCKER_ROLLBACK_COMPLETED;
	expect(f, "web", PLAN_UPDATE,
		"the Engine rolled its last update back: it is written again");
	f->w.services[0].update = DOCKER_UPDATE_PAUSED;
	expect(f, "web", PLAN_UPDATE, "paused");
	f->w.services[0].update = DOCKER_UPDATE_UPDATING;
	expect(f, "web", PLAN_KEEP, "");
}

static void test_replace(void **state)
{
	struct fixture *f = *state;
	fill(f);
	json_object_set_new(f->w.services[0].spec, "Mode", json_pack("{s:{}}", "Global"));
	expect(f, "web", PLAN_REPLACE, "the Engine cannot change a service's mode");
	json_object_set_new(
		(json_t *)(uintptr_t)f->w.networks[0].stored, "Attachable", json_true());
	expect(f, "front", PLAN_REPLACE, "the Engine cannot change a network");
	assert_string_equal(only_change(f, "front"), "Attachable");
}

static void test_refuse(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->w.networks[0].ours = f->w.secrets[0].ours = f->w.services[0].ours = false;
	f->w.configs[0].content = "another";
	expect(f, "front", PLAN_REFUSE, "network \"shop_front\" exists and is not this stack's");
	expect(f, "key", PLAN_REFUSE, "exists and is not this stack's: give it another name");
	expect(f, "site", PLAN_REFUSE, "exists with another content");
	expect(f, "web", PLAN_REFUSE, "service shop_web exists and is not this stack's");
}

static void test_another_projects(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->w.networks[0].ours = f->w.secrets[0].ours = f->w.configs[0].ours = false;
	f->w.networks[0].elsewhere = f->w.secrets[0].elsewhere = f->w.configs[0].elsewhere = true;
	expect(f, "front", PLAN_REFUSE, "network \"shop_front\" exists and is not this stack's");
	f->r = render(f->a,
		"services: {web: {image: a, networks: [n], secrets: [s], configs: [c]}}\n"
		"networks: {n: {external: true, name: shop_front}}\n"
		"secrets: {s: {external: true, name: shop_key}}\n"
		"configs: {c: {external: true, name: shop_site}}\n",
		labels.stack_id);
	f->w.secrets[0].name = "shop_key";
	f->w.configs[0].name = "shop_site";
	const struct plan p = plan_of(f);
	expect(f, "n", PLAN_REFUSE, "network \"shop_front\" is declared as external, but could not");
	expect(f, "s", PLAN_REFUSE, "secret not found: shop_key");
	expect(f, "c", PLAN_REFUSE, "config not found: shop_site");
	assert_string_equal(find(&p, "s")->id, "");
	f->w.networks[0].elsewhere = f->w.secrets[0].elsewhere = f->w.configs[0].elsewhere = false;
	expect(f, "n", PLAN_KEEP, "");
	expect(f, "s", PLAN_KEEP, "");
	expect(f, "c", PLAN_KEEP, "");
}

static void take_words(void *data, const char *words)
{
	buf_fmt(data, "%s\n", words);
}

/* An Engine drops fields that it does not know: each deploy would be an update for ever. */
static void test_old_engine(void **state)
{
	struct fixture *f = *state;
	struct buf b = {0};
	f->r = render(f->a,
		"services:\n"
		"  web:\n"
		"    image: a\n"
		"    oom_score_adj: 5\n"
		"    healthcheck: {test: 'true', start_interval: 1s}\n"
		"    labels: {OomScoreAdj: x}\n"
		"    volumes: [{type: volume, source: v, target: /v, volume: {subpath: s}}]\n"
		"volumes: {v: {}}\n",
		labels.stack_id);
	fill(f);
	json_t *container = json_at(f->w.services[0].spec, "TaskTemplate.ContainerSpec");
	assert_int_equal(json_object_del(container, "OomScoreAdj"), 0);
	assert_int_equal(json_object_del(json_at(container, "Healthcheck"), "StartInterval"), 0);
	json_t *mount = json_array_get(json_at(container, "Mounts"), 0);
	assert_int_equal(json_object_del(json_at(mount, "VolumeOptions"), "Subpath"), 0);
	expect(f, "web", PLAN_UPDATE, "2 more differ");
	f->w.api = 45;
	expect(f, "web", PLAN_UPDATE, "1 more");
	f->w.api = 41;
	expect(f, "web", PLAN_KEEP, "");
	plan_unknown_fields(f->a, &f->w, &f->r, take_words, &b);
	assert_non_null(strstr(b.ptr,
		"service web: the Engine speaks API 1.41 and drops what it does not know: "
		"healthcheck.start_interval (1.44)\n"));
	assert_non_null(strstr(b.ptr, "volumes: volume.subpath (1.45)\n"));
	assert_non_null(strstr(b.ptr, "oom_score_adj (1.46)\n"));
	buf_finish(&b);
	json_object_set_new(container, "OomScoreAdj", json_integer(7));
	f->w.api = 47;
	expect(f, "web", PLAN_UPDATE, "differ");
	plan_unknown_fields(f->a, &f->w, &f->r, take_words, &b);
	assert_int_equal(b.len, 0);
}

static void test_external(void **state)
{
	struct fixture *f = *state;
	f->r = render(f->a,
		"services: {web: {image: a, networks: [n, h], secrets: [s]}}\n"
		"networks: {n: {external: true}, h: {external: true, name: host}}\n"
		"secrets: {s: {external: true}}\n",
		labels.stack_id);
	expect(f, "n", PLAN_REFUSE, "declared as external, but could not be found");
	expect(f, "h", PLAN_KEEP, "");
	expect(f, "s", PLAN_REFUSE, "secret not found: s");
	f->w.networks = arena_array(f->a, struct world_object, 1);
	f->w.networks[0] =
		(struct world_object){.id = "x", .name = "n", .scope = "local", .content = ""};
	f->w.n_networks = 1;
	expect(f, "n", PLAN_REFUSE, "\"local\" instead of \"swarm\"");
	f->w.networks[0].scope = "swarm";
	expect(f, "n", PLAN_KEEP, "");
}

/* The Engine has one name space for all. */
static void test_reserved(void **state)
{
	static const struct db_reserved others[] = {{"b_n", ""}, {"b_s", ""}, {"c_c", "c"}, {"b_v", ""}};
	struct fixture *f = *state;
	size_t n;
	f->r = render(f->a,
		"services: {web: {image: a, networks: [n], secrets: [s], configs: [c], volumes: ['vv:/v', 'ww:/w']}}\n"
		"networks: {n: {name: b_n}}\n"
		"secrets: {s: {name: b_s, external: true}}\n"
		"configs: {c: {name: c_c, content: x}}\n"
		"volumes: {vv: {name: b_v}, ww: {}}\n",
		labels.stack_id);
	const char *const *names = reserved_candidates(f->a, "shop", &f->r, &n);
	assert_int_equal(n, 4); /* shop_ww is its own */
	assert_string_equal(names[3], "b_v");
	f->w.secrets = arena_array(f->a, struct world_object, 1);
	f->w.secrets[0] = (struct world_object){.id = "x", .name = "b_s", .scope = "swarm", .content = ""};
	f->w.n_secrets = 1;
	expect(f, "n", PLAN_CREATE, "");
	expect(f, "s", PLAN_KEEP, "");
	expect(f, "web", PLAN_CREATE, "");
	f->w.reserved = others;
	f->w.n_reserved = 4;
	expect(f, "n", PLAN_REFUSE, "in the namespace of another project's stack: give it another name");
	expect(f, "s", PLAN_REFUSE, "secret not found: b_s");
	expect(f, "c", PLAN_REFUSE, "in the namespace of stack c: give it another name");
	expect(f, "web", PLAN_REFUSE, "mounts volume \"b_v\"");
	f->w.networks = arena_array(f->a, struct world_object, 1);
	f->w.networks[0] = (struct world_object){.id = "y", .name = "b_n", .scope = "swarm", .content = "", .ours = true};
	f->w.n_networks = 1;
	expect(f, "n", PLAN_KEEP, ""); /* made before that stack came */
}

static void test_remove(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->w.services[f->w.n_services++] = (struct world_service){
		.id = "o", .name = "shop_old", .spec = f->w.services[0].spec, .ours = true};
	f->w.services[f->w.n_services++] = (struct world_service){
		.id = "t", .name = "shop_theirs", .spec = f->w.services[0].spec};
	f->w.configs[f->w.n_configs++] = (struct world_object){
		.id = "c", .name = "shop_c", .scope = "swarm", .content = "", .ours = true};
	expect(f, "shop_old", PLAN_REMOVE, "not in the text");
	expect(f, "shop_c", PLAN_REMOVE, "not in the text");
	const struct plan p = plan_of(f);
	assert_int_equal(p.counts[PLAN_REMOVE], 2);
	assert_int_equal(p.counts[PLAN_KEEP], 4);
}

static void test_kept(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"shop_s", "shop_c"};
	static const struct db_release_objects releases[] = {{1, NULL, 0}, {2, names, 2}};
	fill(f);
	f->w.configs[f->w.n_configs++] = (struct world_object){
		.id = "c", .name = "shop_c", .scope = "swarm", .content = "", .ours = true};
	f->kept = (struct plan_kept){releases, 2};
	expect(f, "shop_c", PLAN_KEEP, "a roll-back could want it");
	f->kept.n = 1;
	expect(f, "shop_c", PLAN_REMOVE, "not in the text");
}

/* ---- fingerprint ---- */

static void expect_moved(struct fixture *f, const char *given, enum st_code code, const char *words)
{
	const struct plan p = plan_of(f);
	struct status st = fingerprint_check(f->a, given, &p);
	if (st.code != code || !strstr(st.message, words))
		fail_msg("%d %s", (int)st.code, st.message);
}

static const char *fingerprint_of(struct fixture *f)
{
	const struct plan p = plan_of(f);
	return fingerprint_make(f->a, &p);
}

static void test_fingerprint(void **state)
{
	struct fixture *f = *state;
	const char *empty = fingerprint_of(f);
	expect_moved(f, empty, ST_OK, "");
	f->r = render(f->a, text, ""); /* planned before the stack was made */
	assert_string_equal(fingerprint_of(f), empty);
	f->r = render(f->a, text, labels.stack_id);
	fill(f);
	expect_moved(f, empty, ST_ABORTED, "service shop_web is new");
	const char *full = fingerprint_of(f);
	struct world_object *last = &f->w.configs[0];
	last->version++;
	expect_moved(f, full, ST_ABORTED, "the world moved since the plan: config shop_site");
	last->version--;
	f->w.n_secrets = 0;
	expect_moved(f, full, ST_ABORTED, "is gone; plan again");
	f->w.n_secrets = 1;
	f->w.services[0]
		.version++; /* alone it means nothing: the Engine counts its own writes too */
	expect_moved(f, full, ST_OK, "");
	f->w.services[0].update = DOCKER_UPDATE_PAUSED;
	expect_moved(f, full, ST_ABORTED, "service shop_web was changed");
	f->w.services[0].update = DOCKER_UPDATE_NONE;
	json_object_set_new((json_t *)f->r.services[0].object.body, "X", json_true());
	expect_moved(f, full, ST_ABORTED,
		"not what was planned: another text, file, variable or image for service web;");
}

static void test_fingerprint_of_what_goes(void **state)
{
	struct fixture *f = *state;
	fill(f);
	const char *without = fingerprint_of(f);
	f->w.services[f->w.n_services++] = (struct world_service){
		.id = "o", .name = "shop_old", .spec = f->w.services[0].spec, .ours = true};
	const char *with = fingerprint_of(f);
	expect_moved(f, without, ST_ABORTED, "service shop_old is new");
	f->w.services[0] = f->w.services[--f->w.n_services]; /* in order of their names */
	expect_moved(f, with, ST_ABORTED, "what was to be removed is gone");
}

static void test_no_fingerprint(void **state)
{
	struct fixture *f = *state;
	static const char *const wrong[] = {"", "x", "00112233445566778899aabbccddeeff", "0011.",
		".AAAA", "00112233445566778899aabbccddeeff.AAA!",
		"00112233445566778899aabbccddeeff.AAAA"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		expect_moved(f, wrong[i], ST_INVALID_ARGUMENT, "no plan's fingerprint");
	expect_moved(f, "00112233445566778899aabbccddeeff.", ST_ABORTED,
		"the world moved since the plan; plan again");
}

/* ---- drift ---- */

static struct drifts drifts_of(struct fixture *f)
{
	struct drifts d;
	drift_make(f->a, &f->w, &f->r, &d);
	return d;
}

static void one_drift(struct fixture *f, enum drift_kind kind, const char *message, bool repairable)
{
	const struct drifts d = drifts_of(f);
	if (d.n != 1 || d.items[0].drift != kind || strcmp(d.items[0].message, message) != 0)
		fail_msg("%zu drifts, the first: %s", d.n, d.n ? d.items[0].message : "none");
	assert_int_equal(d.items[0].repairable, repairable);
}

static void test_drift(void **state)
{
	struct fixture *f = *state;
	fill(f);
	assert_int_equal(drifts_of(f).n, 0);
	json_t *spec = f->w.services[0].spec;
	json_object_set_new(
		json_at(spec, "TaskTemplate.ContainerSpec"), "Image", json_string("nginx:2"));
	one_drift(f, DRIFT_CHANGED, "service web was changed by hand: Image", true);
	json_object_set_new(
		json_at(spec, "TaskTemplate.ContainerSpec"), "Image", json_string("nginx:1"));
	f->w.services[0].update = DOCKER_UPDATE_PAUSED; /* nobody's hand */
	assert_int_equal(drifts_of(f).n, 0);
	f->w.n_services = 0;
	one_drift(f, DRIFT_MISSING, "service web was removed by hand", true);
	f->w.n_services = 1;
	f->w.secrets[0].ours = false;
	assert_false(drifts_of(f).items[0].repairable);
}

static void test_foreign(void **state)
{
	struct fixture *f = *state;
	fill(f);
	f->w.services[f->w.n_services++] = (struct world_service){
		.id = "o", .name = "shop_x", .spec = f->w.services[0].spec, .ours = true};
	one_drift(f, DRIFT_FOREIGN,
		"service shop_x carries this stack's label and is not in its release", true);
	f->w.services[1].ours = false;
	one_drift(f, DRIFT_FOREIGN,
		"service shop_x carries this stack's namespace and was not made by Skep", false);
}

static void test_scaled(void **state)
{
	struct fixture *f = *state;
	f->r = render(
		f->a, "services: {web: {image: a, deploy: {replicas: 2}}}\n", labels.stack_id);
	fill(f);
	json_t *spec = f->w.services[0].spec;
	json_object_set_new(json_at(spec, "Mode.Replicated"), "Replicas", json_integer(5));
	one_drift(f, DRIFT_CHANGED, "service web was changed by hand: Replicated.Replicas", true);
	json_object_set_new(json_at(spec, "Labels"), LABEL_SCALE, json_string("5"));
	assert_int_equal(drifts_of(f).n, 0);
	expect(f, "web", PLAN_UPDATE,
		"Replicated.Replicas differs"); /* a deploy takes the text's */
	json_object_set_new(json_at(spec, "Mode.Replicated"), "Replicas", json_integer(4));
	assert_int_equal(drifts_of(f).n, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create),
		TEST(test_keep),
		TEST(test_update),
		TEST(test_marked),
		TEST(test_replace),
		TEST(test_refuse),
		TEST(test_another_projects),
		TEST(test_old_engine),
		TEST(test_external),
		TEST(test_reserved),
		TEST(test_remove),
		TEST(test_kept),
		TEST(test_fingerprint),
		TEST(test_fingerprint_of_what_goes),
		TEST(test_no_fingerprint),
		TEST(test_drift),
		TEST(test_foreign),
		TEST(test_scaled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
