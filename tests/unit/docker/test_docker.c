/* The real client against a scripted Engine: what a real one cannot be made to answer. */
#include "../net/http_server.h"
#include <stdbool.h>
#include "base/json.h"
#include "docker/call.h"
#include "docker/docker.h"
#include "docker/engine.h"

struct answer {
	unsigned done;
	struct status st;
	size_t n;
	char id[64], warning[64];
	struct docker_info info;
	struct docker_service service;
	struct docker_call *call;
	char digest[80];
	struct buf text; /* of log lines and events */
	bool pause, cancel_inside;
};

static struct loop *loop;
static struct server server;
static struct docker *docker;
static const char *version = "1.43"; /* what the ping says; NULL = no such header */
static struct server_conn *held;     /* asked /hold, or a stream */
static char last[2048];              /* the last request but pings, as text */
static unsigned pings;

static void wait_done(struct answer *a)
{
	while (!a->done)
		loop_turn(loop);
	assert_int_equal(a->done, 1);
}

static void expect(struct answer *a, enum st_code code, const char *words)
{
	wait_done(a);
	if (a->st.code != code || !strstr(a->st.message, words))
		fail_msg("%s: %s (expected %s: %s)", st_code_name(a->st.code), a->st.message,
			st_code_name(code), words);
	buf_finish(&a->text);
	*a = (struct answer){0};
}

static void on_status(void *data, const struct status *st)
{
	struct answer *a = data;
	a->done++;
	a->st = *st;
}
static void on_id(void *data, const struct status *st, const char *id, const char *warning)
{
	struct answer *a = data;
	on_status(data, st);
	assert_true(status_is_ok(st) == (id != NULL));
	(void)snprintf(a->id, sizeof a->id, "%s", id ? id : "");
	(void)snprintf(a->warning, sizeof a->warning, "%s", warning ? warning : "");
}
static void on_info(void *data, const struct status *st, const struct docker_info *i)
{
	struct answer *a = data;
	on_status(data, st);
	assert_true(status_is_ok(st) == (i != NULL));
	if (i) {
		a->info = *i;
		(void)snprintf(a->id, sizeof a->id, "%s", i->api_version);
		a->st = docker_info_check(i);
	}
}
static void on_services(
	void *data, const struct status *st, const struct docker_service *s, size_t n)
{
	struct answer *a = data;
	on_status(data, st);
	a->n = n;
	for (size_t i = 0; i < n; i++)
		buf_fmt(&a->text, "%s %s v%d %d/%d/%d r%d mode%d job%d up:%s%s;", s[i].id,
			s[i].name, (int)s[i].version, (int)s[i].running, (int)s[i].desired,
			(int)s[i].completed, (int)s[i].replicas, (int)s[i].mode,
			(int)s[i].job_iteration, docker_update_state_name(s[i].update.state),
			s[i].previous_spec ? " prev" : "");
}
static void on_tasks(void *data, const struct status *st, const struct docker_task *t, size_t n)
{
	struct answer *a = data;
	on_status(data, st);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&a->text, "%s slot%d %s<%s exit%d job%d %s;", t[i].id, (int)t[i].slot,
			docker_task_state_name(t[i].state),
			docker_task_state_name(t[i].desired_state), (int)t[i].exit_code,
			(int)t[i].job_iteration, t[i].err);
}
static void on_image(void *data, const struct status *st, const struct docker_image *i)
{
	struct answer *a = data;
	on_status(data, st);
	if (i)
		buf_fmt(&a->text, "%s %zu %s/%s%s", i->digest, i->platform_count,
			i->platforms[0].os, i->platforms[0].arch, i->platforms[1].variant);
}
static bool on_line(void *data, const struct docker_log_line *line)
{
	struct answer *a = data;
	buf_fmt(&a->text, "%d:%s:%s:%lld:" STR_FMT "%s;", (int)line->stream, line->task_id,
		line->node_id, (long long)line->time_us, STR_ARG(line->text),
		line->partial ? "…" : "");
	if (a->cancel_inside)
		docker_cancel(docker, a->call);
	return !a->pause;
}

static void hold_stream(struct server_conn *c)
{
	server_send(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	held = c;
}

static const char services[] =
	"[{\"ID\":\"a\",\"Version\":{\"Index\":7},\"Spec\":{\"Name\":\"w\",\"Mode\":{"
	"\"Replicated\":{"
	"\"Replicas\":3}}},\"PreviousSpec\":{},\"UpdateStatus\":{\"State\":\"rollback_paused\"},"
	"\"ServiceStatus\":{\"RunningTasks\":1,\"DesiredTasks\":2,\"CompletedTasks\":0}},"
	"{\"ID\":\"b\",\"Spec\":{\"Name\":\"j\",\"Mode\":{\"GlobalJob\":{}}},\"JobStatus\":{"
	"\"JobIteration\":{}}},{\"ID\":17,\"Version\":\"x\",\"Spec\":[]},null]";
static const char tasks[] =
	"[{\"ID\":\"t\",\"Slot\":2,\"DesiredState\":\"shutdown\",\"JobIteration\":{\"Index\":4},"
	"\"Status\":{"
	"\"State\":\"failed\",\"Err\":\"task: non-zero exit "
	"(3)\",\"ContainerStatus\":{\"ContainerID\":"
	"\"c\",\"ExitCode\":3}}},{\"ID\":\"u\",\"DesiredState\":\"running\",\"Status\":{\"State\":"
	"\"running\",\"ContainerStatus\":{\"ContainerID\":\"c\",\"ExitCode\":0}}},{\"Status\":{"
	"\"State\":"
	"\"dancing\"}}]";
static const char image[] =
	"{\"Descriptor\":{\"digest\":\"sha256:abc\"},\"Platforms\":[{\"os\":\"linux\","
	"\"architecture\":"
	"\"amd64\"},{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}]}";

static const struct {
	const char *path;
	int code;
	const char *body;
} script[] = {
	{"/services?", 200, services},
	{"/services/truncated", 200, "{\"ID\":\"a"},
	{"/services/text", 200, "\"text\""},
	{"/services/empty", 200, ""},
	{"/services/new", 400,
		"{\"message\":\"client version 1.43 is too new. Maximum supported API version is "
		"1.41\"}"},
	{"/services/html", 502, "<html>bad gateway</html>"},
	{"/services/duplicate", 200, "{\"ID\":\"a\",\"ID\":\"b\"}"},
	{"/services/w/update", 200, "{\"Warnings\":[\"careful\"]}"},
	{"/services/noid", 200, "{}"},
	{"/networks/create", 201, "{\"Id\":\"n\",\"Warning\":\"hm\"}"},
	{"/configs/create", 201, "{}"},
	{"/services/create", 201, "{\"ID\":\"s\"}"},
	{"/services/gone", 404, "{\"message\":\"service gone not found\"}"},
	{"/tasks", 200, tasks},
	{"/distribution/r:5000/a:1/json", 200, image},
	{"/distribution/bad/json", 200, "{}"},
	{"/distribution/away/json", 503, "{\"message\":\"dial tcp: connection refused\"}"},
};

static int login_code;
static const char *login_body;

static void reply_ping(struct server_conn *c)
{
	struct buf b = {0};
	pings++;
	buf_adds(&b, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n");
	if (version)
		buf_fmt(&b, "Api-Version: %s\r\n", version);
	buf_adds(&b, "\r\nOK");
	server_send_bytes(c, b.ptr, b.len);
	buf_finish(&b);
}

/* A list as of a large Swarm; `end` is its last byte. */
static void reply_long(struct server_conn *c, const char *end)
{
	struct buf b = {0};
	buf_adds(&b, "[{\"ID\":\"long\"}");
	for (unsigned i = 0; i < 30000; i++)
		buf_fmt(&b, ",{\"ID\":\"s%u\",\"Spec\":{\"Name\":\"n%u\",\"Labels\":{\"a\":\"b\"}}}", i, i);
	buf_adds(&b, end);
	server_reply(c, 200, b.ptr);
	buf_finish(&b);
}

static void on_request(struct server_conn *c, const char *text)
{
	const char *path = strchr(text, ' ') + 1;
	if (strncmp(path, "/_ping ", 7) == 0) {
		reply_ping(c);
		return;
	}
	(void)snprintf(last, sizeof last, "%s", text);
	path = strchr(path + 1, '/');
	if (strncmp(path, "/info ", 6) == 0) {
		server_reply(c, 200,
			"{\"Name\":\"host\",\"Swarm\":{\"LocalNodeState\":\"inactive\",\"NodeID\":"
			"\"\"}}");
		return;
	}
	if (strncmp(path, "/auth ", 6) == 0) {
		server_reply(c, login_code, login_body);
		return;
	}
	if (strncmp(path, "/services/hold", 14) == 0) {
		held = c;
		return;
	}
	if (strncmp(path, "/services/long", 14) == 0) {
		reply_long(c, strncmp(path + 14, "-bad", 4) == 0 ? "" : "]");
		return;
	}
	if (strncmp(path, "/services/close", 15) == 0) {
		server_close_conn(c);
		return;
	}
	if (strncmp(path, "/events", 7) == 0 || strstr(path, "/logs?")) {
		hold_stream(c);
		return;
	}
	for (size_t i = 0; i < sizeof script / sizeof script[0]; i++) {
		if (strncmp(path, script[i].path, strlen(script[i].path)) == 0) {
			server_reply(c, script[i].code, script[i].body);
			return;
		}
	}
	server_reply(c, 404, "{\"message\":\"page not found\"}");
}

static int setup(void **state)
{
	char host[64];
	(void)state;
	version = "1.43";
	held = NULL;
	pings = 0;
	loop = loop_create();
	server_start(&server, loop);
	server.on_request = on_request;
	(void)snprintf(host, sizeof host, "unix://%s", server.path);
	struct status st =
		docker_engine_create(loop, &(struct docker_engine_options){.host = host}, &docker);
	assert_true(status_is_ok(&st));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	docker_destroy(docker);
	server_stop(&server);
	loop_destroy(loop);
	return 0;
}

#define TEN_BYTES "0123456789"
#define HUNDRED_BYTES                                                                              \
	TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES  \
		TEN_BYTES

static void hosts(void **state)
{
	static const char *const bad[] = {"", "unix://relative", "tcp://", "ssh://x",
		"/var/run/docker.sock", "tcp://a:1/path", "unix:///" HUNDRED_BYTES "/socket"};
	struct docker *d = NULL;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct status st = docker_engine_create(
			loop, &(struct docker_engine_options){.host = bad[i]}, &d);
		assert_int_equal(st.code, ST_INVALID_ARGUMENT);
		assert_null(d);
	}
	struct answer a = {0};
	struct status st = docker_engine_create(
		loop, &(struct docker_engine_options){.host = "tcp://127.0.0.1:1"}, &d);
	assert_true(status_is_ok(&st));
	docker_info(d, 0, on_info, &a);
	expect(&a, ST_UNAVAILABLE,
		"cannot connect to the Docker Engine at http://127.0.0.1:1: Connection refused; is "
		"dockerd running?");
	docker_destroy(d);
}

static void versions(void **state)
{
	struct answer a = {0};
	(void)state;
	version = "1.40";
	docker_info(docker, 0, on_info, &a);
	expect(&a, ST_FAILED_PRECONDITION, "speaks API 1.40 only; 1.41 is needed");
	version = NULL;
	docker_info(docker, 0, on_info, &a);
	expect(&a, ST_FAILED_PRECONDITION, "does not answer like a Docker Engine");
	version = "2.0";
	docker_info(docker, 0, on_info, &a);
	expect(&a, ST_FAILED_PRECONDITION, "does not answer like a Docker Engine");
	version = "1.99";
	docker_info(docker, 0, on_info, &a);
	wait_done(&a);
	assert_string_equal(a.id, "1.47");
	expect(&a, ST_FAILED_PRECONDITION, "not in a Swarm: run `docker swarm init`");
	assert_non_null(strstr(last, "GET /v1.47/info "));
	assert_int_equal(docker->requests, 5);
	assert_int_equal(server.requests, 5);
}

static void one_negotiation_for_many(void **state)
{
	struct answer a[5] = {0};
	(void)state;
	for (int i = 0; i < 5; i++)
		a[i].call = docker_service_list(docker, NULL, 0, on_services, &a[i]);
	docker_cancel(docker, a[2].call);
	for (int i = 0; i < 5; i++)
		expect(&a[i], i == 2 ? ST_CANCELLED : ST_OK, "");
	assert_int_equal(pings, 1);
	assert_int_equal(docker->requests, 5);
	docker_service_inspect(docker, "close", 0, on_services, &a[0]); /* lost: agree again */
	expect(&a[0], ST_UNAVAILABLE, "the Docker Engine at unix:///");
	version = "1.42";
	docker_info(docker, 0, on_info, &a[0]);
	wait_done(&a[0]);
	assert_string_equal(a[0].id, "1.42");
	assert_int_equal(pings, 2);
	a[0] = (struct answer){0};
	docker_service_inspect(
		docker, "new", 0, on_services, &a[0]); /* an older Engine took over */
	expect(&a[0], ST_INVALID_ARGUMENT, "client version 1.43 is too new");
	docker_service_list(docker, NULL, 0, on_services, &a[0]);
	expect(&a[0], ST_OK, "");
	assert_int_equal(pings, 3);
}

static void no_engine(void **state)
{
	struct answer a = {0};
	(void)state;
	server_kill(&server);
	(void)unlink(server.path);
	docker_info(docker, 0, on_info, &a);
	expect(&a, ST_UNAVAILABLE, ": No such file or directory; is dockerd running?");
	server_listen(&server);
	docker_service_list(docker, NULL, 0, on_services, &a);
	expect(&a, ST_OK, "");
}

static void lists_are_read(void **state)
{
	struct answer a = {0};
	(void)state;
	const struct docker_filter f = {.labels = (const char *const[]){"a=b c", "d", NULL}};
	docker_service_list(docker, &f, 0, on_services, &a);
	wait_done(&a);
	assert_string_equal(a.text.ptr,
		"a w v7 1/2/0 r3 mode0 job-1 up:rollback_paused prev;b j v0 -1/-1/-1 r-1 mode3 "
		"job0 up:;"
		"  v0 -1/-1/-1 r1 mode0 job-1 up:;  v0 -1/-1/-1 r1 mode0 job-1 up:;");
	assert_non_null(
		strstr(last, "GET /v1.43/services?status=true&filters="
			     "%7B%22label%22%3A%7B%22a%3Db%20c%22%3Atrue%2C%22d%22%3Atrue%7D%7D "));
	expect(&a, ST_OK, "");
	const struct docker_task_filter t = {.services = (const char *const[]){"a", "\xff", NULL},
		.desired_state = "running",
		.up_to_date = true};
	docker_task_list(docker, &t, 0, on_tasks, &a);
	wait_done(&a);
	assert_string_equal(a.text.ptr, "t slot2 failed<shutdown exit3 job4 task: non-zero exit "
					"(3);u slot0 running<running exit-1 "
					"job-1 ; slot0 unknown<unknown exit-1 job-1 ;");
	assert_non_null(
		strstr(last, "filters=%7B%22service%22%3A%7B%22a%22%3Atrue%2C%22%EF%BF%BD%22%3A"
			     "true%7D%2C%22desired-state%22%3A%7B%22running%22%3Atrue%7D%2C%22_up-"
			     "to-date%22%3A%7B%22true%22%3Atrue%7D%7D "));
	expect(&a, ST_OK, "");
	docker_image_resolve(docker, "r:5000/a:1", "e30=", 0, on_image, &a);
	wait_done(&a);
	assert_string_equal(a.text.ptr, "sha256:abc 2 linux/amd64v7");
	assert_non_null(strstr(last, "\r\nX-Registry-Auth: e30=\r\n"));
	expect(&a, ST_OK, "");
	docker_image_resolve(docker, "bad", NULL, 0, on_image, &a);
	assert_null(strstr(last, "X-Registry-Auth: x"));
	expect(&a, ST_DATA_LOSS, "has no Descriptor.digest");
	docker_image_resolve(docker, "away", NULL, 0, on_image, &a);
	expect(&a, ST_FAILED_PRECONDITION, "dial tcp: connection refused");
}

/* Of the first service of a list, and how many there are. */
struct brief {
	bool done;
	size_t n;
	struct docker_service first;
	char name[16];
	enum st_code code;
};

static void on_brief(void *data, const struct status *st, const struct docker_service *s, size_t n)
{
	struct brief *b = data;
	b->done = true;
	b->code = st->code;
	b->n = n;
	if (n == 0)
		return;
	(void)snprintf(b->name, sizeof b->name, "%s", s[0].name);
	b->first = s[0];
	b->first.spec = json_incref((json_t *)(uintptr_t)s[0].spec);
}

static void list_brief(struct brief *b, const struct docker_filter *f)
{
	*b = (struct brief){0};
	docker_service_list(docker, f, 0, on_brief, b);
	while (!b->done)
		loop_turn(loop);
}

static void brief_lists_keep_little_and_know_what_they_had(void **state)
{
	struct docker_filter f = {.brief = true};
	struct brief one, again;
	(void)state;
	list_brief(&one, &f);
	assert_int_equal(one.code, ST_OK);
	assert_int_equal(one.n, 4); /* as lists_are_read has it */
	assert_string_equal(one.name, "w");
	assert_int_equal(one.first.version, 7);
	assert_non_null(one.first.previous_spec);
	assert_null(json_at(one.first.spec, "Name"));
	assert_true(one.first.text_hash != 0);
	one.first.id = one.first.name = one.first.image = one.first.update.message = "known";
	one.first.previous_spec = NULL;
	f.known = &one.first;
	f.n_known = 1;
	list_brief(&again, &f);
	assert_int_equal(again.n, 4);
	assert_string_equal(again.name, "known"); /* it was not read again */
	assert_ptr_equal(again.first.spec, one.first.spec);
	json_decref((json_t *)(uintptr_t)one.first.spec);
	json_decref((json_t *)(uintptr_t)again.first.spec);
}

static void logins(void **state)
{
	static const struct {
		int code;
		const char *body;
		enum st_code st;
		const char *words;
	} cases[] = {
		{200, "{\"Status\":\"Login Succeeded\",\"IdentityToken\":\"\"}", ST_OK, ""},
		{204, "", ST_OK, ""},
		{401, "{\"message\":\"unauthorized: wrong\"}", ST_PERMISSION_DENIED, "unauthorized: wrong"},
		{500, "{\"message\":\"login attempt to http://r/v2/ failed with status: 401 Unauthorized\"}",
			ST_PERMISSION_DENIED, "login attempt"},
		{500, "{\"message\":\"Get https://r/v2/: dial tcp: refused\"}", ST_FAILED_PRECONDITION, "refused"},
		{500, "{\"message\":\"x509: unknown authority\"}", ST_FAILED_PRECONDITION, "x509"},
		{503, "{\"message\":\"away\"}", ST_FAILED_PRECONDITION, "away"},
	};
	json_t *auth = json_pack("{s:s}", "username", "me");
	struct answer a = {0};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		login_code = cases[i].code;
		login_body = cases[i].body;
		docker_registry_login(docker, auth, 0, on_status, &a);
		expect(&a, cases[i].st, cases[i].words);
		assert_non_null(strstr(last, "POST /v1.43/auth "));
		assert_non_null(strstr(last, "\r\n\r\n{\"username\":\"me\"}"));
	}
	json_decref(auth);
}

static void writes(void **state)
{
	struct answer a = {0};
	json_t *spec = json_pack("{s:s}", "Name", "n");
	(void)state;
	docker_network_create(docker, spec, 0, on_id, &a);
	wait_done(&a);
	assert_string_equal(a.id, "n");
	assert_string_equal(a.warning, "hm");
	assert_non_null(strstr(last, "\r\n\r\n{\"Name\":\"n\",\"CheckDuplicate\":true}"));
	expect(&a, ST_OK, "");
	assert_int_equal(json_object_size(spec), 1);
	const struct docker_service_options o = {.registry_auth = "QQ", .rollback = true};
	docker_service_update(docker, "w", UINT64_MAX, spec, &o, 0, on_id, &a);
	wait_done(&a);
	assert_string_equal(a.id, "w");
	assert_string_equal(a.warning, "careful");
	assert_non_null(strstr(last,
		"POST /v1.43/services/w/update?version=18446744073709551615&rollback=previous "
		"HTTP"));
	assert_non_null(strstr(last, "\r\nX-Registry-Auth: QQ\r\n"));
	assert_non_null(strstr(last, "\r\nContent-Type: application/json\r\n"));
	expect(&a, ST_OK, "");
	docker_object_create(docker, DOCKER_CONFIG, spec, 0, on_id, &a);
	expect(&a, ST_DATA_LOSS, "reply to POST /configs/create has no ID");
	docker_service_remove(docker, "gone", 0, on_status, &a);
	wait_done(&a);
	assert_non_null(strstr(last, "DELETE /v1.43/services/gone HTTP"));
	expect(&a, ST_NOT_FOUND, "service gone not found");
	json_decref(spec);
}

static void bad_replies(void **state)
{
	static const struct {
		const char *id;
		enum st_code code;
		const char *words;
	} cases[] = {
		{"truncated", ST_DATA_LOSS,
			"the Docker Engine's reply to GET /services/truncated is not valid JSON"},
		{"duplicate", ST_DATA_LOSS, "duplicate"},
		{"text", ST_DATA_LOSS, "has no list or object"},
		{"empty", ST_DATA_LOSS, "has no list or object"},
		{"html", ST_INTERNAL, "<html>bad gateway</html>"},
		{"unheard/of", ST_INVALID_ARGUMENT, "\"unheard/of\" is not a name or an id"},
		{"..", ST_INVALID_ARGUMENT, "is not a name or an id"},
		{"", ST_INVALID_ARGUMENT, "\"\" is not a name or an id"},
		{"a b?c", ST_NOT_FOUND, "page not found"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct answer a = {0};
		docker_service_inspect(docker, cases[i].id, 0, on_services, &a);
		expect(&a, cases[i].code, cases[i].words);
	}
	assert_non_null(strstr(last, "/services/a%20b%3Fc HTTP"));
}

static void deadline_and_cancel(void **state)
{
	struct answer a = {0};
	(void)state;
	docker_service_inspect(docker, "hold", 50, on_services, &a);
	expect(&a, ST_DEADLINE_EXCEEDED, "no answer within 50 ms");
	held = NULL;
	a.call = docker_service_inspect(docker, "hold", 0, on_services, &a);
	while (!held)
		loop_turn(loop);
	docker_cancel(docker, a.call);
	assert_int_equal(a.done, 0);
	expect(&a, ST_CANCELLED, "");
}

static void destroy_completes(void **state)
{
	struct answer a = {0}, b = {0};
	(void)state;
	docker_service_inspect(docker, "hold", 0, on_services, &a);
	while (!held)
		loop_turn(loop);
	docker_service_inspect(docker, "hold", 0, on_services, &b);
	docker_destroy(docker);
	docker = NULL;
	assert_int_equal(a.done + b.done, 2);
	expect(&a, ST_CANCELLED, "closed");
	expect(&b, ST_CANCELLED, "closed");
}

/* ---- long replies ---- */

static unsigned order;
struct listed {
	unsigned done, at;
	size_t n;
	struct status st;
};

static void on_listed(void *data, const struct status *st, const struct docker_service *s, size_t n)
{
	struct listed *l = data;
	(void)s;
	l->done++;
	l->at = ++order;
	l->n = n;
	l->st = *st;
}

struct ticks {
	struct timer timer;
	unsigned n;
};

static void on_tick(struct timer *t)
{
	container_of(t, struct ticks, timer)->n++;
	timer_set(t, 1);
}

static void wait_arrived(void)
{
	while (list_empty(&engine_of(docker)->arrived))
		loop_turn(loop);
}

static void a_long_reply_does_not_hold_up_the_loop(void **state)
{
	struct listed l = {0};
	struct ticks ticks = {.n = 0};
	(void)state;
	docker_service_inspect(docker, "long", 0, on_listed, &l);
	wait_arrived();
	timer_init(&ticks.timer, loop, on_tick);
	timer_set(&ticks.timer, 1);
	while (!l.done)
		loop_turn(loop);
	timer_stop(&ticks.timer);
	assert_int_equal(l.st.code, ST_OK);
	assert_int_equal(l.n, 30001);
	assert_true(ticks.n > 2);
}

static void replies_behind_a_long_one_wait(void **state)
{
	struct listed first = {0}, second = {0}, third = {0};
	(void)state;
	docker_service_inspect(docker, "hold", 0, on_listed, &second);
	while (!held)
		loop_turn(loop);
	docker_service_inspect(docker, "long", 0, on_listed, &first);
	wait_arrived();
	server_reply(held, 200, "{\"ID\":\"new\"}");
	docker_service_inspect(docker, "gone", 0, on_listed, &third);
	while (!first.done || !second.done || !third.done)
		loop_turn(loop);
	assert_true(first.at < second.at && second.at < third.at);
	assert_int_equal(first.n, 30001);
	assert_int_equal(second.n, 1);
	assert_int_equal(third.st.code, ST_NOT_FOUND);
}

static void a_long_reply_that_is_wrong(void **state)
{
	struct answer a = {0};
	(void)state;
	docker_service_inspect(docker, "long-bad", 0, on_services, &a);
	expect(&a, ST_DATA_LOSS,
		"the Docker Engine's reply to GET /services/long-bad is not valid JSON");
}

static void cancelled_while_its_reply_is_parsed(void **state)
{
	struct listed first = {0}, second = {0};
	(void)state;
	docker_service_inspect(docker, "hold", 0, on_listed, &second);
	while (!held)
		loop_turn(loop);
	struct docker_call *call = docker_service_inspect(docker, "long", 0, on_listed, &first);
	wait_arrived();
	server_reply(held, 200, "{\"ID\":\"new\"}");
	docker_cancel(docker, call);
	while (!first.done || !second.done)
		loop_turn(loop);
	assert_int_equal(first.st.code, ST_CANCELLED);
	assert_int_equal(second.st.code, ST_OK);
}

static void destroyed_while_replies_are_parsed(void **state)
{
	struct answer a = {0}, b = {0};
	(void)state;
	docker_service_inspect(docker, "long", 0, on_services, &a);
	docker_service_inspect(docker, "long", 0, on_services, &b);
	wait_arrived();
	docker_destroy(docker);
	docker = NULL;
	expect(&a, ST_CANCELLED, "closed");
	expect(&b, ST_CANCELLED, "closed");
}

/* ---- logs ---- */

static void send_frame(unsigned char which, const char *text)
{
	struct buf b = {0};
	const unsigned char header[8] = {which, 0, 0, 0, 0, 0, 0, (unsigned char)strlen(text)};
	buf_add(&b, header, sizeof header);
	buf_adds(&b, text);
	server_chunk(held, b.ptr, b.len);
	buf_finish(&b);
}

#define PREFIX "2026-11-23T14:43:51.5Z com.docker.swarm.node.id=N,com.docker.swarm.task.id=T "

static void start_logs(struct answer *a, bool follow)
{
	const struct docker_logs l = {
		.service = "w", .tail = 5, .follow = follow, .on_line = on_line};
	held = NULL;
	a->call = docker_logs(docker, &l, 0, on_status, a);
	while (!held)
		loop_turn(loop);
}

static void logs_are_lines(void **state)
{
	struct answer a = {0};
	(void)state;
	start_logs(&a, false);
	assert_non_null(strstr(last,
		"GET /v1.43/services/w/logs?stdout=1&stderr=1&timestamps=1&details=1&tail=5 HTTP"));
	send_frame(1, PREFIX "hello world\n");
	send_frame(2, PREFIX "bad\n");
	send_frame(1, "no prefix\n");
	send_frame(1, PREFIX "half");
	send_frame(1, PREFIX " line\n");
	server_chunk(held, "", 0);
	wait_done(&a);
	assert_string_equal(a.text.ptr,
		"1:T:N:1795445031500000:hello world;2:T:N:1795445031500000:bad;"
		"1:::0:no prefix;1:T:N:1795445031500000:half…;"
		"1:T:N:1795445031500000: line;");
	expect(&a, ST_OK, "");
	start_logs(&a, true);
	assert_non_null(strstr(last, "&tail=5&follow=1 HTTP"));
	server_chunk(held, PREFIX "raw\r\nend", sizeof PREFIX "raw\r\nend" - 1);
	server_chunk(held, "", 0);
	wait_done(&a);
	assert_string_equal(a.text.ptr, "1:T:N:1795445031500000:raw;1:::0:end;");
	expect(&a, ST_OK, "");
	start_logs(&a, false); /* nothing at all */
	server_chunk(held, "", 0);
	expect(&a, ST_OK, "");
}

static void logs_fail(void **state)
{
	struct answer a = {0};
	(void)state;
	start_logs(&a, false);
	send_frame(3, "disk on fire");
	expect(&a, ST_INTERNAL, "disk on fire");
	start_logs(&a, false);
	send_frame(1, "x\n");
	server_chunk(held, "\x01\0\0\0\0\0\0\x09zz", 10);
	server_chunk(held, "", 0);
	expect(&a, ST_DATA_LOSS, "middle of a frame");
	start_logs(&a, true);
	send_frame(1, "x\n");
	server_close_conn(held);
	expect(&a, ST_UNAVAILABLE, "connection lost");
	start_logs(&a, true);
	a.cancel_inside = true;
	server_chunk(held, "x\ny\nz\n", 6);
	wait_done(&a);
	assert_string_equal(a.text.ptr, "1:::0:x;"); /* and no other line */
	expect(&a, ST_CANCELLED, "");
	start_logs(&a, false); /* the last line, without an end, comes with the end */
	a.cancel_inside = true;
	server_chunk(held, "12345", 5);
	server_chunk(held, "", 0);
	expect(&a, ST_CANCELLED, "");
}

static void logs_pause(void **state)
{
	struct answer a = {.pause = true}, b = {0};
	(void)state;
	start_logs(&a, true);
	struct server_conn *stream = held;
	server_chunk(stream, "one\n", 4);
	while (a.text.len == 0)
		loop_turn(loop);
	server_chunk(stream, "two\n", 4);
	docker_service_list(docker, NULL, 0, on_services, &b); /* a round trip */
	expect(&b, ST_OK, "");
	assert_string_equal(a.text.ptr, "1:::0:one;");
	docker_logs_continue(docker, a.call);
	while (a.text.len < 20)
		loop_turn(loop);
	assert_string_equal(a.text.ptr, "1:::0:one;1:::0:two;");
	docker_cancel(docker, a.call);
	expect(&a, ST_CANCELLED, "");
}

/* ---- events ---- */

static struct docker_events *events;
static struct buf seen;
static const char *stop_at; /* the listener stops when it sees this */

static void on_event(void *data, const struct docker_event *e)
{
	(void)data;
	size_t before = seen.len;
	if (e->type == DOCKER_EVENT_LOST)
		buf_fmt(&seen, "lost:%s;", st_code_name(e->why->code));
	else
		buf_fmt(&seen, "%d:%s:%s:%s:%s:%s:%d;", (int)e->type, e->action, e->id, e->name,
			e->service_id, e->task_id, (int)e->exit_code);
	if (stop_at && strstr(seen.ptr + before, stop_at))
		docker_events_stop(docker, events);
}

static void wait_seen(const char *text)
{
	while (!seen.ptr || !strstr(seen.ptr, text))
		loop_turn(loop);
}

static void send_event(const char *json)
{
	server_chunk(held, json, strlen(json));
}

static void events_come_and_come_back(void **state)
{
	(void)state;
	stop_at = NULL;
	events = docker_events_start(docker, on_event, NULL);
	wait_seen("0::::::-1;");
	assert_non_null(strstr(last, "GET /v1.43/events?since="));
	send_event("{\"Type\":\"service\",\"Action\":\"update\",\"Actor\":{\"ID\":\"s\","
		   "\"Attributes\":{"
		   "\"name\":\"w\"}},\"timeNano\":1900000000000000007}\n{\"Type\":\"plugin\"}\n\n");
	send_event("{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"c\","
		   "\"Attributes\":{"
		   "\"exitCode\":\"3\",\"com.docker.swarm.service.id\":\"s\",\"com.docker.swarm."
		   "task.id\":");
	send_event("\"t\"}}}\n");
	wait_seen("2:update:s:w:::-1;7:die:c::s:t:3;");
	buf_drop(&seen, seen.len);
	server_close_conn(held); /* the connection breaks */
	wait_seen("lost:UNAVAILABLE;0::::::-1;");
	assert_non_null(strstr(last, "since=1900000000.000000007&"));
	server_chunk(held, "", 0); /* the Engine ends it */
	buf_drop(&seen, seen.len);
	wait_seen("lost:UNAVAILABLE;0::::::-1;");
	buf_drop(&seen, seen.len);
	send_event("{\"Type\":\"service\",\"Action\":\"half");
	server_chunk(held, "", 0);
	wait_seen("lost:UNAVAILABLE;0::::::-1;");
	send_event("{\"Type\":\"service\",\"Action\":\"whole\"}\n"); /* the half is forgotten */
	wait_seen("2:whole:");
	buf_drop(&seen, seen.len);
	send_event("garbage}\n");
	wait_seen("lost:INTERNAL;0::::::-1;");
	buf_drop(&seen, seen.len);
	server_kill(&server);
	(void)unlink(server.path);
	wait_seen("lost:UNAVAILABLE;lost:UNAVAILABLE;");
	server_listen(&server);
	wait_seen("0::::::-1;");
	docker_events_stop(docker, events);
	buf_finish(&seen);
}

static void listener_stops_itself(void **state)
{
	struct answer a = {0};
	(void)state;
	stop_at = "0:::"; /* in RESET */
	events = docker_events_start(docker, on_event, NULL);
	wait_seen("0:::");
	buf_drop(&seen, seen.len);
	stop_at = "2:one"; /* in the first of two events of a piece */
	events = docker_events_start(docker, on_event, NULL);
	wait_seen("0:::");
	send_event("{\"Type\":\"service\",\"Action\":\"one\"}\n{\"Type\":\"service\",\"Action\":"
		   "\"two\"}\n");
	wait_seen("2:one");
	docker_service_list(docker, NULL, 0, on_services, &a);
	expect(&a, ST_OK, "");
	assert_null(strstr(seen.ptr, "two"));
	buf_drop(&seen, seen.len);
	stop_at = "lost:"; /* in LOST */
	events = docker_events_start(docker, on_event, NULL);
	wait_seen("0:::");
	server_close_conn(held);
	wait_seen("lost:");
	stop_at = NULL;
	events = docker_events_start(docker, on_event, NULL); /* left to docker_destroy */
	buf_finish(&seen);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(hosts),
		TEST(versions),
		TEST(one_negotiation_for_many),
		TEST(no_engine),
		TEST(lists_are_read),
		TEST(brief_lists_keep_little_and_know_what_they_had),
		TEST(logins),
		TEST(writes),
		TEST(bad_replies),
		TEST(deadline_and_cancel),
		TEST(destroy_completes),
		TEST(a_long_reply_does_not_hold_up_the_loop),
		TEST(replies_behind_a_long_one_wait),
		TEST(a_long_reply_that_is_wrong),
		TEST(cancelled_while_its_reply_is_parsed),
		TEST(destroyed_while_replies_are_parsed),
		TEST(logs_are_lines),
		TEST(logs_fail),
		TEST(logs_pause),
		TEST(events_come_and_come_back),
		TEST(listener_stops_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
