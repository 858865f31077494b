/* images: digests are asked for once a release, sent with it, kept for roll-backs; credentials go along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "fake_world.h"

#define A   "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B   "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define WEB "services: {web: {image: 'r.example/app:1'}}\n"

static struct world *world_with(const char *digest)
{
	struct world *w = world_create();
	w->swarm->images[0] = (struct swarm_image){.ref = "r.example/app:1", .digest = digest};
	return w;
}

static struct store_job *deploy(struct world *w, const char *compose, const char *params)
{
	struct store_job *j = world_deploy(w, compose, ON_FAILURE_ROLLBACK, 1);
	j->row.params = str_of(params);
	if (w->n_daemons == 0)
		world_start(w);
	world_run(w, j);
	return j;
}

static const json_t *spec_of(const struct world *w, const char *name)
{
	const struct swarm_service *s = swarm_service_find(w->swarm, name);
	assert_non_null(s);
	return s->spec;
}

static const char *image_of(const struct world *w)
{
	return json_text(spec_of(w, "acme-shop_web"), "TaskTemplate.ContainerSpec.Image", "");
}

static void a_release_is_pinned(void **state)
{
	struct world *w = world_with(A);
	(void)state;
	struct store_job *j = deploy(w, WEB, "{}");
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_string_equal(image_of(w), "r.example/app:1@" A);
	const json_t *platforms =
		json_at(spec_of(w, "acme-shop_web"), "TaskTemplate.Placement.Platforms");
	assert_string_equal(json_text(json_array_get(platforms, 0), "Architecture", ""), "amd64");
	assert_non_null(strstr(w->store->releases[0]->rendered.ptr, "app:1@" A));
	world_destroy(w);
}

static void nothing_is_written_when_nothing_moved(void **state)
{
	static const char *const params[] = {"{}", "{\"resolve_image\":\"changed\"}",
		"{\"resolve_image\":\"never\"}"};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct world *w = world_with(A);
		deploy(w, WEB, "{}");
		unsigned writes = w->swarm->service_writes, questions = w->swarm->questions;
		w->swarm->images[0].digest = i == 0 ? A : B;
		assert_int_equal(deploy(w, WEB, params[i])->row.state, JOB_SUCCEEDED);
		assert_int_equal(w->swarm->service_writes, writes);
		assert_int_equal(w->swarm->questions, questions + (i == 0));
		/* The second release has the digest too, though nobody was asked. */
		assert_non_null(strstr(w->store->releases[1]->rendered.ptr, "app:1@" A));
		world_destroy(w);
	}
}

static void a_moved_tag_is_an_update(void **state)
{
	struct world *w = world_with(A);
	(void)state;
	deploy(w, WEB, "{}");
	w->swarm->images[0].digest = B;
	deploy(w, WEB, "{}");
	assert_string_equal(image_of(w), "r.example/app:1@" B);
	world_destroy(w);
}

static void only_what_is_named_anew_is_asked_for(void **state)
{
	struct world *w = world_with(A);
	(void)state;
	w->swarm->images[1] = (struct swarm_image){.ref = "r.example/app:2", .digest = B};
	deploy(w, "services: {web: {image: 'r.example/app:1'}, two: {image: 'r.example/app:1'}}", "{}");
	assert_int_equal(w->swarm->questions, 1); /* a name is asked for once */
	w->swarm->images[0].digest = B;
	deploy(w, "services: {web: {image: 'r.example/app:1'}, two: {image: 'r.example/app:2'}}",
		"{\"resolve_image\":\"changed\"}");
	assert_int_equal(w->swarm->questions, 2);
	assert_string_equal(image_of(w), "r.example/app:1@" A);
	assert_string_equal(json_text(spec_of(w, "acme-shop_two"),
				    "TaskTemplate.ContainerSpec.Image", ""),
		"r.example/app:2@" B);
	world_destroy(w);
}

static void an_unreachable_registry_is_a_warning(void **state)
{
	struct world *w = world_with(A);
	(void)state;
	deploy(w, WEB, "{}");
	unsigned writes = w->swarm->service_writes;
	w->swarm->registries_down = true;
	struct store_job *j = deploy(w, WEB, "{}");
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_true(world_said(j, "warning: the registry of image r.example/app:1"));
	assert_true(world_said(j, "connection refused"));
	assert_int_equal(w->swarm->service_writes, writes);
	/* A new image goes as it is written. */
	j = deploy(w, "services: {web: {image: 'r.example/app:2'}}", "{}");
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_string_equal(image_of(w), "r.example/app:2");
	world_destroy(w);
}

static void an_absent_engine_is_waited_for(void **state)
{
	struct world *w = world_with(A);
	(void)state;
	w->script.only = "docker image_resolve";
	w->script.at = 1;
	w->script.last = 20;
	w->script.fault = FAULT_REFUSED;
	assert_int_equal(deploy(w, WEB, "{}")->row.state, JOB_SUCCEEDED);
	assert_true(w->script.failed > 0);
	assert_string_equal(image_of(w), "r.example/app:1@" A);
	world_destroy(w);
}

static void a_silent_registry_is_not_waited_for(void **state)
{
	struct world *w = world_with(A);
	(void)state;
	w->script.only = "docker image_resolve";
	w->script.at = 1;
	w->script.last = UINT32_MAX;
	w->script.fault = FAULT_SILENT;
	uint64_t began = loop_now_ms(w->loop);
	assert_int_equal(deploy(w, WEB, "{}")->row.state, JOB_SUCCEEDED);
	assert_true(loop_now_ms(w->loop) - began < 20000);
	assert_string_equal(image_of(w), "r.example/app:1");
	world_destroy(w);
}

static void a_roll_back_has_the_bytes_of_its_release(void **state)
{
	struct world *w = world_with(A);
	(void)state;
	deploy(w, WEB, "{}");
	w->swarm->images[0].digest = B; /* the tag moves on */
	struct store_job *j = deploy(w, "services: {web: {image: crash}}", "{}");
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_string_equal(image_of(w), "r.example/app:1@" A);
	world_destroy(w);
}

static void credentials_go_along(void **state)
{
	struct world *w = world_with(A);
	(void)state;
	w->swarm->images[0].guarded = true;
	struct store_job *j = deploy(w, WEB, "{}");
	assert_true(world_said(j, "authentication required"));
	assert_string_equal(w->swarm->last_auth, "");
	w->store->registry =
		(struct db_registry){.host = "r.example", .username = "ci", .password = "word"};
	deploy(w, WEB, "{}");
	assert_string_equal(image_of(w), "r.example/app:1@" A);
	struct str auth;
	assert_true(str_unbase64(w->arena, str_of(w->swarm->last_auth), &auth));
	assert_true(str_starts(auth, "{\"username\":\"ci\",\"password\":\"word\""));
	/* Another registry's images do not get them. */
	deploy(w, "services: {web: {image: 'other.example/app'}}", "{}");
	assert_string_equal(w->swarm->last_auth, "");
	world_destroy(w);
}

static void a_job_that_is_cancelled_meanwhile_ends(void **state)
{
	struct world *w = world_with(A);
	(void)state;
	w->script.only = "docker image_resolve";
	w->script.at = 1;
	w->script.last = UINT32_MAX;
	w->script.fault = FAULT_SILENT;
	struct store_job *j = world_deploy(w, WEB, ON_FAILURE_ROLLBACK, 1);
	struct world_daemon *d = world_start(w);
	while (w->script.failed == 0)
		world_turn(w);
	world_cancel(w, j);
	job_worker_cancel(d->worker, j->row.id.text);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_CANCELLED);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_release_is_pinned),
		cmocka_unit_test(nothing_is_written_when_nothing_moved),
		cmocka_unit_test(a_moved_tag_is_an_update),
		cmocka_unit_test(only_what_is_named_anew_is_asked_for),
		cmocka_unit_test(an_unreachable_registry_is_a_warning),
		cmocka_unit_test(an_absent_engine_is_waited_for),
		cmocka_unit_test(a_silent_registry_is_not_waited_for),
		cmocka_unit_test(a_roll_back_has_the_bytes_of_its_release),
		cmocka_unit_test(credentials_go_along),
		cmocka_unit_test(a_job_that_is_cancelled_meanwhile_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
