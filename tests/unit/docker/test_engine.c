/* Against a real Docker Engine: one Swarm of one node, made and ended here. The tests stand in
 * order: each builds on what the one before left. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/json.h"
#include "docker/docker.h"
#include "docker/engine.h"
#include "dockerd.h"
#include "loop/loop.h"
#include "net/http_client.h"

struct answer {
	unsigned done;
	struct status st;
	size_t n;
	char id[64], id2[64], words[256], state[32];
	uint64_t version;
	int64_t number;
	struct buf text;
};

static struct loop *loop;
static struct dockerd engine;
static struct docker *docker;
static struct docker_events *events;
static struct buf seen; /* "type:action:name;" */
static unsigned seen_count;

static void wait_done(struct answer *a)
{
	while (!a->done)
		loop_turn(loop);
}

static void expect(struct answer *a, enum st_code code, const char *words)
{
	wait_done(a);
	if (a->st.code != code || !strstr(a->st.message, words))
		fail_msg("%s: %s (expected %s: %s)", st_code_name(a->st.code), a->st.message,
			st_code_name(code), words);
	buf_finish(&a->text);
	a->done = 0;
}

static void on_done(void *data, const struct status *st)
{
	struct answer *a = data;
	a->done++;
	a->st = *st;
}
static void on_id(void *data, const struct status *st, const char *id, const char *warning)
{
	struct answer *a = data;
	on_done(data, st);
	(void)warning;
	(void)snprintf(a->id, sizeof a->id, "%s", id ? id : "");
}
static void on_info(void *data, const struct status *st, const struct docker_info *i)
{
	struct answer *a = data;
	on_done(data, st);
	if (!i)
		return;
	a->st = docker_info_check(i);
	assert_true(strcmp(i->api_version, "1.41") >= 0);
	assert_true(i->engine_version[0] && i->name[0] && i->cpus > 0 && i->memory_bytes > 0);
	assert_int_equal(i->swarm_active, i->node_id[0] != '\0');
}
static void on_services(
	void *data, const struct status *st, const struct docker_service *s, size_t n)
{
	struct answer *a = data;
	on_done(data, st);
	a->n = n;
	if (n == 0)
		return;
	(void)snprintf(a->id, sizeof a->id, "%s", s->id);
	(void)snprintf(a->words, sizeof a->words, "%s %s", s->name, s->image);
	(void)snprintf(a->state, sizeof a->state, "%s", docker_update_state_name(s->update.state));
	a->version = s->version;
	a->number = s->running;
	assert_non_null(s->spec);
	assert_true(s->created_us > 0 && s->updated_us >= s->created_us);
	assert_string_equal(docker_pair_get(&s->labels, "stack"), "one");
}
static void on_tasks(void *data, const struct status *st, const struct docker_task *t, size_t n)
{
	struct answer *a = data;
	on_done(data, st);
	a->n = n;
	a->state[0] = '\0';
	if (n == 0)
		return;
	(void)snprintf(a->state, sizeof a->state, "%s", docker_task_state_name(t->state));
	(void)snprintf(a->words, sizeof a->words, "%s", t->err);
	(void)snprintf(a->id, sizeof a->id, "%s", t->id);
	a->number = t->exit_code;
	assert_string_equal(t->image, "bb:1");
	assert_true(t->service_id[0] && t->spec && t->state_us > 0);
}
static void on_networks(
	void *data, const struct status *st, const struct docker_network *w, size_t n)
{
	struct answer *a = data;
	on_done(data, st);
	a->n = n;
	if (n == 0)
		return;
	(void)snprintf(a->id, sizeof a->id, "%s", w->id);
	(void)snprintf(a->words, sizeof a->words, "%s %s %s %s", w->name, w->driver, w->scope,
		w->subnet_count ? w->subnets[0] : "");
}
static void on_objects(void *data, const struct status *st, const struct docker_object *o, size_t n)
{
	struct answer *a = data;
	on_done(data, st);
	a->n = n;
	if (n == 0)
		return;
	(void)snprintf(a->id, sizeof a->id, "%s", o->id);
	(void)snprintf(a->words, sizeof a->words, "%s=" STR_FMT, o->name, STR_ARG(o->data));
}
static void on_nodes(void *data, const struct status *st, const struct docker_node *m, size_t n)
{
	struct answer *a = data;
	on_done(data, st);
	a->n = n;
	if (n == 0)
		return;
	assert_true(m->manager && m->leader && m->nano_cpus > 0 && m->memory_bytes > 0 &&
		    m->hostname[0]);
	(void)snprintf(a->words, sizeof a->words, "%s %s", docker_node_state_name(m->state),
		docker_availability_name(m->availability));
}
static void on_image(void *data, const struct status *st, const struct docker_image *i)
{
	(void)i;
	on_done(data, st);
}
static bool on_line(void *data, const struct docker_log_line *line)
{
	struct answer *a = data;
	assert_true(line->time_us > 0 && line->task_id[0] && line->node_id[0]);
	buf_fmt(&a->text, "%d:" STR_FMT ";", (int)line->stream, STR_ARG(line->text));
	return true;
}
static void on_event(void *data, const struct docker_event *e)
{
	(void)data;
	seen_count++;
	buf_fmt(&seen, "%d:%s:%s;", (int)e->type, e->action, e->name);
}
static void on_http(void *data, const struct status *st, const struct http_response *r)
{
	struct answer *a = data;
	on_done(data, st);
	if (status_is_ok(st) && r->code >= 300)
		a->st = status_err(ST_UNKNOWN, STR_FMT, STR_ARG(r->body));
}

/* ---- preparing ---- */

/* What only a test needs of the Engine's API. */
static void post(const char *path, const char *type, struct str body)
{
	struct http_client *c = http_client_create(loop, 1, 1);
	char url[128], header[64];
	struct answer a = {0};
	(void)snprintf(url, sizeof url, "http://localhost%s", path);
	(void)snprintf(header, sizeof header, "Content-Type: %s", type);
	http_request(c, &(struct http_request_options){.method = "POST",
				.url = url,
				.unix_socket = engine.host + 7,
				.headers = (const char *const[]){header, NULL},
				.body = body,
				.on_done = on_http,
				.data = &a});
	expect(&a, ST_OK, "");
	http_client_destroy(c);
}

static void tar_add(
	struct buf *b, const char *name, const char *link, const char *bytes, size_t len)
{
	unsigned char h[512] = {0};
	unsigned sum = 0;
	(void)snprintf((char *)h, 100, "%s", name);
	(void)snprintf((char *)h + 100, 8, "0000755");
	(void)snprintf((char *)h + 124, 12, "%011zo", len);
	memset(h + 148, ' ', 8);
	h[156] = link ? '2' : '0';
	if (link)
		(void)snprintf((char *)h + 157, 100, "%s", link);
	(void)snprintf((char *)h + 257, 8, "ustar  ");
	for (size_t i = 0; i < sizeof h; i++)
		sum += h[i];
	(void)snprintf((char *)h + 148, 8, "%06o", sum);
	buf_add(b, h, sizeof h);
	buf_add(b, bytes, len);
	while (b->len % 512)
		buf_addc(b, '\0');
}

static bool read_file(const char *path, struct buf *ret_bytes)
{
	char piece[65536];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while ((n = read(fd, piece, sizeof piece)) > 0)
		buf_add(ret_bytes, piece, (size_t)n);
	close(fd);
	return ret_bytes->len > 0;
}

/* The image bb:1 is a static busybox and nothing else. */
static void make_image(void)
{
	struct buf busybox = {0}, tar = {0};
	if (!read_file("/bin/busybox", &busybox) && !read_file("/usr/bin/busybox", &busybox))
		fail_msg("no busybox: apt-get install busybox-static");
	tar_add(&tar, "bin/busybox", NULL, busybox.ptr, busybox.len);
	tar_add(&tar, "bin/sh", "busybox", NULL, 0);
	buf_add(&tar, (const char[1024]){0}, 1024);
	post("/images/create?fromSrc=-&repo=bb&tag=1", "application/x-tar", buf_str(&tar));
	buf_finish(&busybox);
	buf_finish(&tar);
}

static int start_engine(void **state)
{
	(void)state;
	if (!dockerd_start(&engine))
		return -1;
	loop = loop_create();
	struct status st = docker_engine_create(
		loop, &(struct docker_engine_options){.host = engine.host}, &docker);
	return status_is_ok(&st) ? 0 : -1;
}

static int stop_engine(void **state)
{
	(void)state;
	if (events)
		docker_events_stop(docker, events);
	docker_destroy(docker);
	loop_destroy(loop);
	dockerd_stop(&engine);
	buf_finish(&seen);
	return 0;
}

/* ---- the tests ---- */

static void no_swarm_yet(void **state)
{
	struct answer a = {0};
	(void)state;
	docker_info(docker, 0, on_info, &a);
	expect(&a, ST_FAILED_PRECONDITION, "run `docker swarm init`");
	docker_service_list(docker, NULL, 0, on_services, &a);
	expect(&a, ST_UNAVAILABLE,
		"This node is not a swarm manager. Use \"docker swarm init\"");
}

static void a_swarm(void **state)
{
	struct answer a = {0};
	(void)state;
	make_image();
	post("/swarm/init", "application/json",
		STR("{\"ListenAddr\":\"127.0.0.1:2377\",\"AdvertiseAddr\":\"127.0.0.1\"}"));
	docker_info(docker, 0, on_info, &a);
	expect(&a, ST_OK, "");
	events = docker_events_start(docker, on_event, NULL);
	while (seen_count == 0)
		loop_turn(loop);
	assert_int_equal(strncmp(seen.ptr, "0::;", 4), 0);
	docker_node_list(docker, 0, on_nodes, &a);
	expect(&a, ST_OK, "");
	assert_int_equal(a.n, 1);
	assert_string_equal(a.words, "ready active");
}

static const struct docker_filter of_one = {.labels = (const char *const[]){"stack=one", NULL}};
static const struct docker_filter of_none = {.labels = (const char *const[]){"stack=none", NULL}};

static void networks(void **state)
{
	struct answer a = {0};
	json_t *spec = json_pack("{s:s s:s s:b s:{s:s} s:{s:[{s:s}]}}", "Name", "t-n1", "Driver",
		"overlay", "Attachable", 1, "Labels", "stack", "one", "IPAM", "Config", "Subnet",
		"10.77.0.0/24");
	(void)state;
	docker_network_create(docker, spec, 0, on_id, &a);
	expect(&a, ST_OK, "");
	assert_int_equal(strlen(a.id), 25);
	docker_network_create(docker, spec, 0, on_id, &a);
	expect(&a, ST_ALREADY_EXISTS, "network with name t-n1 already exists");
	(void)json_object_set_new(spec, "Name", json_string("t-n2"));
	(void)json_object_set_new(
		spec, "IPAM", json_pack("{s:[{s:s}]}", "Config", "Subnet", "garbage"));
	docker_network_create(docker, spec, 0, on_id, &a);
	expect(&a, ST_INVALID_ARGUMENT, "Invalid subnet garbage");
	json_decref(spec);
	do { /* the Swarm allocates driver and subnet a moment after it has answered */
		docker_network_list(docker, &of_one, 0, on_networks, &a);
		expect(&a, ST_OK, "");
		assert_int_equal(a.n, 1);
	} while (strncmp(a.words, "t-n1  swarm", 11) == 0);
	assert_string_equal(a.words, "t-n1 overlay swarm 10.77.0.0/24");
	docker_network_list(docker, &of_none, 0, on_networks, &a);
	expect(&a, ST_OK, "");
	assert_int_equal(a.n, 0);
	docker_network_inspect(docker, "t-n1", 0, on_networks, &a);
	expect(&a, ST_OK, "");
	docker_network_remove(docker, "t-n1", 0, on_done, &a);
	expect(&a, ST_OK, "");
	docker_network_remove(docker, "t-n1", 0, on_done, &a);
	expect(&a, ST_NOT_FOUND, "network t-n1 not found");
}

static void secrets_and_configs(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		enum docker_kind k = i ? DOCKER_CONFIG : DOCKER_SECRET;
		struct answer a = {0};
		json_t *spec = json_pack("{s:s s:{s:s} s:s}", "Name", "t-o1", "Labels", "stack",
			"one", "Data", "aGVsbG8=");
		docker_object_create(docker, k, spec, 0, on_id, &a);
		expect(&a, ST_OK, "");
		docker_object_create(docker, k, spec, 0, on_id, &a);
		expect(&a, ST_ALREADY_EXISTS, "t-o1 already exists");
		(void)json_object_set_new(spec, "Name", json_string("a b"));
		docker_object_create(docker, k, spec, 0, on_id, &a);
		expect(&a, ST_INVALID_ARGUMENT, "invalid name");
		json_decref(spec);
		docker_object_list(docker, k, &of_one, 0, on_objects, &a);
		expect(&a, ST_OK, "");
		assert_int_equal(a.n, 1);
		docker_object_inspect(docker, k, "t-o1", 0, on_objects, &a);
		expect(&a, ST_OK, "");
		assert_string_equal(a.words, k == DOCKER_CONFIG ? "t-o1=hello" : "t-o1=");
		docker_object_remove(docker, k, a.id, 0, on_done, &a);
		expect(&a, ST_OK, "");
		docker_object_inspect(docker, k, "t-o1", 0, on_objects, &a);
		expect(&a, ST_NOT_FOUND, "t-o1 not found");
	}
}

static json_t *service_spec(const char *name, const char *script)
{
	return json_pack("{s:s s:{s:s} s:{s:{s:s s:I s:[sss]} s:{s:s}}}", "Name", name, "Labels",
		"stack", "one", "TaskTemplate", "ContainerSpec", "Image", "bb:1", "StopGracePeriod",
		(json_int_t)100000000, "Command", "/bin/sh", "-c", script, "RestartPolicy",
		"Condition", "none");
}

/* The Engine has no events for tasks: asks until it is so. */
static void wait_task(struct answer *a, const struct docker_task_filter *f, const char *state)
{
	do {
		docker_task_list(docker, f, 0, on_tasks, a);
		expect(a, ST_OK, "");
	} while (strcmp(a->state, state) != 0);
}

static void services(void **state)
{
	struct answer a = {0};
	/* The Engine takes a short name for the beginning of an id: no id has a hyphen. */
	json_t *spec = service_spec("t-w", "echo out; echo err >&2; exec busybox sleep 1000");
	const struct docker_task_filter tasks = {
		.labels = (const char *const[]){"stack=one", NULL}, .desired_state = "running"};
	(void)state;
	docker_service_create(docker, spec, NULL, 0, on_id, &a);
	expect(&a, ST_OK, "");
	assert_int_equal(strlen(a.id), 25);
	docker_service_create(docker, spec, NULL, 0, on_id, &a);
	expect(&a, ST_ALREADY_EXISTS, "service t-w already exists");
	wait_task(&a, &tasks, "running");
	assert_int_equal(a.number, -1);
	docker_service_list(docker, &of_one, 0, on_services, &a);
	expect(&a, ST_OK, "");
	assert_int_equal(a.n, 1);
	assert_int_equal(a.number, 1);
	assert_string_equal(a.words, "t-w bb:1");
	uint64_t version = a.version;
	docker_service_update(docker, "t-w", version + 1000, spec, NULL, 0, on_id, &a);
	expect(&a, ST_ABORTED, "update out of sequence");
	(void)json_object_set_new(json_object_get(spec, "Labels"), "x", json_string("y"));
	docker_service_update(docker, "t-w", version, spec, NULL, 0, on_id, &a);
	expect(&a, ST_OK, "");
	docker_service_inspect(docker, "t-w", 0, on_services, &a);
	expect(&a, ST_OK, "");
	assert_true(a.version > version);
	json_decref(spec);
	while (!strstr(seen.ptr, "2:create:t-w;") || !strstr(seen.ptr, "2:update:t-w;"))
		loop_turn(loop);
}

static void services_are_refused(void **state)
{
	struct answer a = {0};
	json_t *spec = service_spec("a b", "true");
	(void)state;
	docker_service_create(docker, spec, NULL, 0, on_id, &a);
	expect(&a, ST_INVALID_ARGUMENT, "name must be valid as a DNS name component");
	(void)json_object_set_new(spec, "Name", json_string("x"));
	json_t *template = json_object_get(spec, "TaskTemplate");
	(void)json_object_set_new(template, "Networks", json_pack("[{s:s}]", "Target", "gone"));
	docker_service_create(docker, spec, NULL, 0, on_id, &a);
	expect(&a, ST_NOT_FOUND, "network gone not found");
	json_decref(spec);
	docker_service_inspect(docker, "gone", 0, on_services, &a);
	expect(&a, ST_NOT_FOUND, "service gone not found");
	docker_task_list(docker,
		&(struct docker_task_filter){.services = (const char *const[]){"gone", NULL}}, 0,
		on_tasks, &a);
	expect(&a, ST_NOT_FOUND, "service gone not found");
	docker_image_resolve(docker, "127.0.0.1:1/x:1", NULL, 0, on_image, &a);
	expect(&a, ST_FAILED_PRECONDITION, "connection refused");
	docker_image_resolve(docker, "BAD NAME", NULL, 0, on_image, &a);
	expect(&a, ST_INVALID_ARGUMENT, "invalid reference format");
}

static void logs(void **state)
{
	struct answer a = {0};
	const struct docker_logs all = {.service = "t-w", .tail = -1, .on_line = on_line};
	(void)state;
	docker_logs(docker, &all, 0, on_done, &a);
	wait_done(&a);
	assert_non_null(strstr(a.text.ptr, "1:out;"));
	assert_non_null(strstr(a.text.ptr, "2:err;"));
	expect(&a, ST_OK, "");
	const struct docker_logs follow = {
		.service = "t-w", .tail = 1, .follow = true, .on_line = on_line};
	struct docker_call *c = docker_logs(docker, &follow, 0, on_done, &a);
	while (a.text.len == 0)
		loop_turn(loop);
	docker_cancel(docker, c);
	expect(&a, ST_CANCELLED, "");
	const struct docker_logs gone = {.service = "gone", .on_line = on_line};
	docker_logs(docker, &gone, 0, on_done, &a);
	expect(&a, ST_NOT_FOUND, "service gone not found");
}

static void a_task_that_fails(void **state)
{
	struct answer a = {0};
	json_t *spec = service_spec("t-f", "echo bye; exit 3");
	const struct docker_task_filter tasks = {.services = (const char *const[]){"t-f", NULL}};
	(void)state;
	docker_service_create(docker, spec, NULL, 0, on_id, &a);
	expect(&a, ST_OK, "");
	json_decref(spec);
	wait_task(&a, &tasks, "failed");
	assert_int_equal(a.number, 3);
	assert_string_equal(a.words, "task: non-zero exit (3)");
	const struct docker_logs last = {.task = a.id, .tail = 10, .on_line = on_line};
	docker_logs(docker, &last, 0, on_done, &a);
	wait_done(&a);
	assert_string_equal(a.text.ptr, "1:bye;");
	expect(&a, ST_OK, "");
}

static void removal(void **state)
{
	static const char *const names[] = {"t-w", "t-f"};
	struct answer a = {0};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		docker_service_remove(docker, names[i], 0, on_done, &a);
		expect(&a, ST_OK, "");
		docker_service_remove(docker, names[i], 0, on_done, &a);
		expect(&a, ST_NOT_FOUND, "not found");
	}
	docker_service_list(docker, &of_one, 0, on_services, &a);
	expect(&a, ST_OK, "");
	assert_int_equal(a.n, 0);
}

static void the_engine_dies(void **state)
{
	struct answer a = {0};
	(void)state;
	buf_drop(&seen, seen.len);
	dockerd_kill(&engine);
	while (!strstr(buf_str(&seen).ptr, "1::;")) /* LOST */
		loop_turn(loop);
	docker_info(docker, 0, on_info, &a);
	expect(&a, ST_UNAVAILABLE, "is dockerd running?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_swarm_yet),
		cmocka_unit_test(a_swarm),
		cmocka_unit_test(networks),
		cmocka_unit_test(secrets_and_configs),
		cmocka_unit_test(services),
		cmocka_unit_test(services_are_refused),
		cmocka_unit_test(logs),
		cmocka_unit_test(a_task_that_fails),
		cmocka_unit_test(removal),
		cmocka_unit_test(the_engine_dies),
	};
	const char *why = dockerd_missing();
	if (why) {
		print_message("[  SKIPPED ] every test: %s\n", why);
		return 0;
	}
	return cmocka_run_group_tests(tests, start_engine, stop_engine);
}
