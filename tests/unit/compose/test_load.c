/* What a text may say, what is refused and where, in our own dialect; bad input in bounded time and
 * memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/arena.h"
#include "compose/compose.h"

struct fixture {
	struct arena *a;
	struct compose_input in;
	struct compose_text texts[4];
	struct compose_project *p;
	struct compose_problems errors, warnings;
};

#define APP_ENV "A=1\n# no\nexport B='x y' # why\nC=\"t\\n${V}\"\nBARE\nGONE\n"
static const struct compose_upload uploads[] = {
	{"./app.env", {APP_ENV, sizeof(APP_ENV) - 1}},
	{"secret.txt", {"s3cret", 6}},
};
static const struct compose_variable variables[] = {
	{"V", "val"}, {"EMPTY", ""}, {"BARE", "b"}, {"N", "3"}};

static bool load2(struct fixture *f, const char *one, const char *two)
{
	f->a = arena_create();
	f->texts[0] = (struct compose_text){"one.yml", str_of(one)};
	f->texts[1] = (struct compose_text){"two.yml", str_of(two)};
	f->in.name = "s";
	f->in.texts = f->texts;
	f->in.texts_len = two ? 2 : 1;
	f->in.uploads = uploads;
	f->in.uploads_len = 2;
	f->in.variables = variables;
	f->in.variables_len = 4;
	return compose_load(f->a, &f->in, &f->p, &f->errors, &f->warnings);
}

static void drop(struct fixture *f)
{
	arena_destroy(f->a);
	*f = (struct fixture){0};
}

static struct fixture good2(const char *one, const char *two)
{
	struct fixture f = {0};
	if (!load2(&f, one, two))
		fail_msg("%s", compose_problem_text(f.a, &f.errors.items[0]));
	return f;
}

/* The text is refused, with this line among what is said. */
static void refused(const char *one, const char *said)
{
	struct fixture f = {0};
	assert_false(load2(&f, one, NULL));
	bool found = false;
	for (size_t i = 0; i < f.errors.len; i++)
		found |= strstr(compose_problem_text(f.a, &f.errors.items[i]), said) != NULL;
	if (!found)
		fail_msg("want: %s\ngot: %s", said,
			f.errors.len ? compose_problem_text(f.a, &f.errors.items[0]) : "nothing");
	drop(&f);
}

#define HEAD "services:\n  a:\n    image: bb:1\n"

static void test_places(void **state)
{
	(void)state;
	refused(HEAD "    tty: 5\n", "one.yml:4:10: services.a.tty must be a boolean");
	refused(HEAD "    comand: x\n", "one.yml:4:5: services.a Additional property comand is not "
					"allowed (did you mean \"command\"?)");
	refused("services:\n  a: {image: x, image: y}\n",
		"one.yml:2:17: the key \"image\" is already defined at line 2");
	refused(HEAD "    mem_limit: 5m\n",
		"mem_limit: Set resource limits using deploy.resources");
	refused(HEAD "    networks: [nope]\n",
		"one.yml:4:16: service a: undefined network \"nope\"");
	refused(HEAD "    depends_on: [b]\n",
		"one.yml:4:18: service a depends on undefined service \"b\"");
	refused(HEAD "    environment: [\"A=${X?give X}\"]\n",
		"one.yml:4:19: required variable X is missing a value: give X");
	refused(HEAD "    env_file: nope.env\n", "one.yml:4:15: env file nope.env: no such file");
	refused("services: {a: {image: 'A:b:c'}}\n", "invalid image reference for service a");
	refused("services: {a: {}}\n", "no image specified");
	refused("[1]\n", "one.yml:1:1: top-level object must be a mapping");
	refused("services: {}\n", "the text has no services");
	refused(HEAD "    volumes: ['./x:/y']\n",
		"the relative bind source ./x means nothing on the nodes");
	refused(HEAD "    ports: ['99999:80']\n",
		"services.a.ports.0 Does not match format 'ports'");
	refused(HEAD "    ports: ['80:80', '80:81']\n",
		"port 80/tcp is already published by service a");
	refused(HEAD "    deploy: {resources: {limits: {memory: 1000}}}\n", "no less than 4MiB");
	refused("services: {a.b: {image: x}}\n", "the Engine takes no such name of a service");
	refused("services: {a-: {image: x}}\n", "the Engine takes no such name of a service");
	refused(HEAD "    healthcheck: {test: x, timeout: 1us}\n",
		"timeout: the Engine takes no less than 1ms");
	refused(HEAD "    deploy: {restart_policy: {delay: -1s}}\n",
		"restart_policy.delay: the Engine takes no less than 0");
	refused(HEAD "    volumes: ['/a:/b', {type: bind, source: /c, target: /d, bind: "
		     "{propagation: odd}}]\n",
		"the Engine takes no propagation \"odd\"");
	refused(HEAD "secrets: {k: {environment: V, name: -x}}\n",
		"one.yml:4:11: the Engine takes no secret named \"-x\"");
	refused(HEAD "    networks: [n]\nnetworks: {n: {ipam: {config: [{}]}}}\n",
		"network n: the Engine takes no subnet \"\"");
	refused(HEAD "    1: x\n", "one.yml:4:5: non-string key: 1");
	refused(HEAD "    hostname: \"a\\0b\"\n", "a string may not hold a NUL byte");
	refused(HEAD "    hostname: !!binary aGk=\n", "the tag !!binary is not supported");
	refused("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n",
		"depends on itself");
}

static void what_editors_do_is_told(void **state)
{
	(void)state;
	refused("services:\n\ta: {image: x}\n", "one.yml:2:1: yaml: line 2: found character that cannot start any "
						"token (indent with spaces: YAML takes no tabs there)");
	refused("services:\n  a:\n    image: @x\n", "cannot start any token");
	refused("services: {a: {image: caf\xe9}}\n", "one.yml:1:26: yaml: line 1: the text is not UTF-8 (save it as UTF-8)");
	refused("\xff\xfes", "it looks like UTF-16: save it as UTF-8");
	refused("\xfe\xff", "it looks like UTF-16: save it as UTF-8");
}

/* Docker leaves them out without a word. */
static void a_second_document_is_warned_of(void **state)
{
	static const struct {
		const char *text;
		uint32_t line; /* 0: nothing is said */
	} cases[] = {
		{HEAD, 0},
		{"---\n" HEAD "---\n", 0},
		{HEAD "...\n# the end\n", 0},
		{HEAD "---\nservices: {b: {image: x}}\n", 4},
		{HEAD "...\n---\nx\n", 5},
		{HEAD "---\n- {[\n", 4},
		{HEAD "---\n@\n", 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (int compat = 0; compat < 2; compat++) {
			struct fixture f = {.in.compat = compat};
			assert_true(load2(&f, cases[i].text, NULL));
			assert_int_equal(f.p->services_len, 1);
			assert_int_equal(f.warnings.len, !compat && cases[i].line);
			if (f.warnings.len) {
				assert_int_equal(f.warnings.items[0].line, cases[i].line);
				assert_non_null(strstr(f.warnings.items[0].message,
					"only the first document of a file is read"));
			}
			drop(&f);
		}
}

static void test_all_at_once(void **state)
{
	struct fixture f = {0};
	(void)state;
	assert_false(load2(&f,
		HEAD "    tty: 5\n    foo: 1\n    networks: [n1]\n    secrets: [s1]\n    deploy: "
		     "{mode: odd, replicas: -1}\n"
		     "  b: {image: 'x y', stop_grace_period: 1d}\nbar: 1\n",
		NULL));
	assert_int_equal(f.errors.len, 9);
	for (size_t i = 1; i < f.errors.len; i++)
		assert_true(f.errors.items[i - 1].line <= f.errors.items[i].line);
	assert_string_equal(f.errors.items[0].path, "services.a.tty");
	drop(&f);
}

static void test_problems_are_bounded(void **state)
{
	struct fixture f = {0};
	struct buf b = {0};
	(void)state;
	buf_adds(&b, HEAD);
	for (int i = 0; i < 1000; i++)
		buf_fmt(&b, "    k%d: 1\n", i);
	assert_false(load2(&f, b.ptr, NULL));
	assert_int_equal(f.errors.len, 100);
	assert_int_equal(f.errors.more, 900);
	buf_finish(&b);
	drop(&f);
}

/* Where the writer is, is said or not. */
static void a_bind_source_is_seen_from_the_folder_that_is_said(void **state)
{
	static const char *const relative = HEAD "    volumes: ['./x/../data:/y']\n";
	static const char *const tilde = HEAD "    volumes: ['~/data:/y']\n";
	static const struct {
		const char *text, *dir, *home, *source, *hint;
	} cases[] = {
		{relative, "/home/me/shop", NULL, "/home/me/shop/data", NULL},
		{relative, NULL, "/home/me", NULL, "say as `directory` of the request"},
		{tilde, NULL, "/home/me", "/home/me/data", NULL},
		{tilde, "/home/me/shop", NULL, NULL, "say as `home` of the request"},
		{HEAD "    volumes: ['/data:/y']\n", "/home/me", "/home/me", "/data", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fixture f = {.a = arena_create()};
		f.texts[0] = (struct compose_text){"one.yml", str_of(cases[i].text)};
		f.in = (struct compose_input){.name = "s",
			.texts = f.texts,
			.texts_len = 1,
			.dir = cases[i].dir,
			.home = cases[i].home};
		bool good = compose_load(f.a, &f.in, &f.p, &f.errors, &f.warnings);
		assert_int_equal(good, cases[i].source != NULL);
		if (good) {
			assert_string_equal(f.p->services[0].volumes[0].source, cases[i].source);
			assert_int_equal(f.p->dir_used, cases[i].text == relative);
			assert_int_equal(f.p->home_used, cases[i].text == tilde);
		} else {
			assert_non_null(strstr(f.errors.items[0].message, "means nothing on the nodes"));
			assert_non_null(strstr(f.errors.items[0].hint, cases[i].hint));
			assert_true(f.errors.items[0].line == 4);
		}
		drop(&f);
	}
}

/* Seconds that a load of this text takes; it must be refused with `said` and a place. */
static void bomb(const char *text, size_t len, const char *said)
{
	struct fixture f = {.a = arena_create()};
	struct timespec before, after;
	f.texts[0] = (struct compose_text){"one.yml", str_make(text, len)};
	f.in = (struct compose_input){.name = "s", .texts = f.texts, .texts_len = 1};
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	assert_false(compose_load(f.a, &f.in, &f.p, &f.errors, &f.warnings));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	assert_true(f.errors.len > 0);
	if (!strstr(f.errors.items[0].message, said))
		fail_msg("want %s, got %s", said, f.errors.items[0].message);
	assert_true(f.errors.items[0].line > 0 && f.errors.items[0].column > 0);
	assert_true(after.tv_sec - before.tv_sec < 5);
	assert_true(arena_used(f.a) < 64 * 1024 * 1024);
	drop(&f);
}

static void repeat(struct buf *b, const char *s, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buf_adds(b, s);
}

static void test_bombs(void **state)
{
	struct buf b = {0};
	(void)state;
	repeat(&b, "[", 100000);
	bomb(b.ptr, b.len, "nested more than 100 deep");
	b.len = 0;
	repeat(&b, "{a: ", 100000);
	bomb(b.ptr, b.len, "nested more than 100 deep");
	b.len = 0;
	for (size_t i = 0; i < 1000; i++) {
		for (size_t k = 0; k < i; k++)
			buf_addc(&b, ' ');
		buf_adds(&b, "a:\n");
	}
	bomb(b.ptr, b.len, "nested more than 100 deep");
	b.len = 0;
	buf_adds(&b, "x0: &a0 [x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 10; i++)
		buf_fmt(&b, "x%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
			i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	bomb(b.ptr, b.len, "excessive aliasing");
	b.len = 0;
	repeat(&b, "a", 1024 * 1024 + 1);
	bomb(b.ptr, b.len, "1048576 are allowed");
	b.len = 0;
	buf_adds(&b, "services:\n  a: \xff\xfe\n");
	bomb(b.ptr, b.len, "not UTF-8");
	b.len = 0;
	buf_add(&b, "services:\n  a\x00: 1\n", 18);
	bomb(b.ptr, b.len, "control characters are not allowed");
	b.len = 0;
	buf_adds(&b, "x: &x [*x]\n");
	bomb(b.ptr, b.len, "anchor 'x' value contains itself");
	b.len = 0;
	repeat(&b, "- a\n", 250000);
	bomb(b.ptr, b.len, "more than 200000 values");
	b.len = 0;
	buf_adds(&b, "services: {a: {image: x, ports: [");
	repeat(&b, "'1-9999', '2-9999', ", 1);
	buf_adds(&b, "]}}\n");
	bomb(b.ptr, b.len, "Does not match format 'ports'");
	buf_finish(&b);
}

/* A short text that stands for a long one. */
static void test_what_is_named_often_is_bounded(void **state)
{
	static const char too_long[] = "aliases and files make the text longer than 16 MiB";
	struct buf b = {0};
	(void)state;
	buf_adds(&b, "x: [&a \"");
	repeat(&b, "v", 100000);
	buf_adds(&b, "\"");
	repeat(&b, ", *a", 1000);
	buf_adds(&b, "]\nservices: {a: {image: x}}\n");
	bomb(b.ptr, b.len, too_long);
	b.len = 0;
	buf_adds(&b, "x: [&a {");
	repeat(&b, "k", 1000);
	buf_adds(&b, ": 1}");
	repeat(&b, ", *a", 20000);
	buf_adds(&b, "]\nservices: {a: {image: x}}\n");
	bomb(b.ptr, b.len, too_long);
	b.len = 0;
	buf_adds(&b, "services:\n");
	for (int i = 0; i < 2001; i++)
		buf_fmt(&b, "  s%d: {image: x}\n", i);
	bomb(b.ptr, b.len, "2001 services; 2000 are allowed");
	b.len = 0;
	buf_adds(&b, "services: {a: {image: x}}\nnetworks:\n");
	for (int i = 0; i < 2001; i++)
		buf_fmt(&b, "  n%d: {}\n", i);
	bomb(b.ptr, b.len, "2001 networks; 2000 are allowed");
	buf_finish(&b);
}

/* The same file in many places; each use is a copy in the Engine. */
static void test_files_named_often_are_bounded(void **state)
{
	struct buf file = {0}, text = {0};
	(void)state;
	for (int i = 0; file.len < 500000; i++)
		buf_fmt(&file, "K%d=v\n", i);
	for (int use = 0; use < 2; use++) {
		struct arena *a = arena_create();
		struct compose_problems errors, warnings;
		struct compose_project *p;
		text.len = 0;
		buf_adds(&text, use ? "services: {a: {image: x}}\nconfigs:\n" : "services:\n");
		for (int i = 0; i < 200; i++)
			buf_fmt(&text, "  k%d: {%s}\n", i,
				use ? "file: f" : "image: x, env_file: [f]");
		const struct compose_text t = {"c.yml", buf_str(&text)};
		const struct compose_upload f = {"f", buf_str(&file)};
		const struct compose_input in = {
			.name = "x", .texts = &t, .texts_len = 1, .uploads = &f, .uploads_len = 1};
		assert_false(compose_load(a, &in, &p, &errors, &warnings));
		assert_int_equal(errors.len, 1);
		assert_string_equal(errors.items[0].message,
			"aliases and files make the text longer than 16 MiB");
		assert_true(arena_used(a) < 256 * 1024 * 1024);
		arena_destroy(a);
	}
	buf_finish(&file);
	buf_finish(&text);
}

static void test_variables_are_bounded(void **state)
{
	struct fixture f = {.a = arena_create()};
	struct buf text = {0}, value = {0};
	(void)state;
	repeat(&value, "x", 100000);
	buf_adds(&text, HEAD "    hostname: \"");
	repeat(&text, "$V", 200000);
	buf_adds(&text, "\"\n");
	struct compose_variable v = {"V", value.ptr};
	f.texts[0] = (struct compose_text){"one.yml", buf_str(&text)};
	for (int compat = 0; compat < 2; compat++) {
		f.in = (struct compose_input){.name = "s",
			.texts = f.texts,
			.texts_len = 1,
			.variables = &v,
			.variables_len = 1,
			.compat = compat == 1};
		assert_false(compose_load(f.a, &f.in, &f.p, &f.errors, &f.warnings));
		assert_non_null(strstr(f.errors.items[0].message, "longer than 8 MiB"));
	}
	buf_finish(&text);
	buf_finish(&value);
	drop(&f);
}

static const char *hostname_of(const char *template, struct fixture *f)
{
	*f = good2("services:\n  a:\n    image: bb:1\n    hostname: b\n    user: x\n", NULL);
	drop(f);
	struct buf b = {0};
	buf_fmt(&b, "services:\n  a:\n    image: bb:1\n    hostname: \"%s\"\n", template);
	*f = good2(b.ptr, NULL);
	const char *text = arena_strdup(f->a, f->p->services[0].hostname);
	buf_finish(&b);
	return text;
}

static void test_interpolation(void **state)
{
	static const char *const cases[][2] = {
		{"$V", "val"},
		{"${V}", "val"},
		{"$$V", "$V"},
		{"${X:-d}", "d"},
		{"${EMPTY:-d}", "d"},
		{"${EMPTY-d}", ""},
		{"${V:-d}", "val"},
		{"${V:+alt}", "alt"},
		{"${X:+alt}", ""},
		{"${EMPTY+alt}", "alt"},
		{"${X:-${V}}", "val"},
		{"${X:-a${Y:-b}c}", "abc"},
		{"$V-z", "val-z"},
		{"${X:-http://x-y?z}", "http://x-y?z"},
		{"${X:-$$}", "$"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fixture f;
		assert_string_equal(hostname_of(cases[i][0], &f), cases[i][1]);
		drop(&f);
	}
	refused(HEAD "    hostname: ${V\n",
		"invalid interpolation format for services.a.hostname: \"${V\"");
	refused(HEAD "    hostname: ${}\n", "invalid interpolation format");
	refused(HEAD "    hostname: a$\n", "invalid interpolation format");
	refused(HEAD "    hostname: ${V!x}\n", "invalid interpolation format");
	refused(HEAD "    tty: ${V}\n", "failed to cast to expected type: invalid boolean: val");
}

static void test_merge(void **state)
{
	struct fixture f = good2(
		"services:\n  a:\n    image: bb:1\n    tty: true\n    command: [x, y]\n    dns: "
		"[1.1.1.1]\n"
		"    environment: {A: 1, B: 2}\n    ports: ['80:80', '443:443/tcp']\n"
		"    healthcheck: {test: [CMD, a], interval: 5s}\n    labels: {gone: 1, kept: 1}\n"
		"networks: {default: {driver: overlay, attachable: true}}\n",
		"services:\n  a:\n    tty: false\n    command: z\n    dns: [1.1.1.1, 8.8.8.8]\n    "
		"environment: [B=3, C]\n"
		"    ports: ['443:443/udp', '80:80']\n    healthcheck: {test: [CMD, b]}\n    "
		"labels: {gone: !reset null}\n"
		"  b: {image: 'cc:2'}\nnetworks: {default: {internal: true}}\n");
	const struct compose_service *s = &f.p->services[0];
	(void)state;
	assert_int_equal(f.p->services_len, 2);
	assert_string_equal(s->image, "bb:1");
	assert_false(s->tty);
	assert_int_equal(s->command.len, 1);
	assert_int_equal(s->dns.len, 2);
	assert_int_equal(s->environment.len, 3);
	assert_string_equal(s->environment.items[1].value, "3");
	assert_null(s->environment.items[2].value);
	assert_int_equal(s->ports_len, 3);
	assert_int_equal(s->healthcheck.test.len, 2);
	assert_int_equal(s->healthcheck.interval.value, 5000000000);
	assert_int_equal(s->labels.len, 1);
	assert_true(f.p->networks[0].attachable && f.p->networks[0].internal);
	drop(&f);
}

static void test_newer_forms(void **state)
{
	struct fixture f =
		good2("name: n\nservices:\n  a:\n    image: bb\n    env_file: [{path: app.env}, "
		      "{path: no.env, required: false}]\n"
		      "    environment: {A: 2, T: true}\n"
		      "    depends_on: {b: {condition: service_healthy}, zz: {condition: "
		      "service_started, required: false}}\n"
		      "    ports: [{target: 80, published: '8080'}]\n    configs: [c]\n    "
		      "secrets: [s]\n    group_add: [1, g]\n"
		      "    deploy: {replicas: '$N', resources: {limits: {cpus: 0.5, pids: '$N'}}}\n"
		      "    x-any: 1\n    build: .\n    restart: always\n"
		      "  b: {image: bb, deploy: {mode: global}}\n"
		      "configs: {c: {content: \"hi $V\"}}\nsecrets: {s: {environment: V}}\n",
			NULL);
	const struct compose_service *s = &f.p->services[0];
	(void)state;
	assert_string_equal(f.p->text_name, "n");
	assert_string_equal(s->image_full, "bb:latest");
	assert_int_equal(s->depends_on_len, 1);
	assert_int_equal(s->depends_on[0].condition, COMPOSE_HEALTHY);
	assert_int_equal(s->ports[0].published, 8080);
	assert_int_equal(s->replicas.value, 3);
	assert_int_equal(s->limits.nano_cpus, 500000000);
	assert_int_equal(s->limits.pids, 3);
	assert_string_equal(s->restart_policy.condition, "any");
	assert_string_equal(s->groups.items[0], "1");
	static const char *const env[][2] = {
		{"A", "2"}, {"B", "x y"}, {"C", "t\nval"}, {"BARE", "b"}, {"T", "true"}};
	assert_int_equal(s->environment.len, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_string_equal(s->environment.items[i].key, env[i][0]);
		assert_string_equal(s->environment.items[i].value, env[i][1]);
	}
	assert_true(str_is(f.p->configs[0].data, "hi val"));
	assert_true(str_is(f.p->secrets[0].data, "val"));
	assert_int_equal(f.warnings.len, 2); /* build, zz */
	struct compose_level *levels;
	size_t len;
	compose_levels(f.a, f.p, &levels, &len);
	assert_int_equal(len, 2);
	assert_string_equal(levels[0].services[0]->key, "b");
	assert_string_equal(levels[1].services[0]->key, "a");
	drop(&f);
}

static void fake_hash(struct str bytes, unsigned char ret_digest[32])
{
	memset(ret_digest, (int)(bytes.len & 0xff), 32);
}

static void add_label(void *data, enum compose_kind kind, const char *key, json_t *labels)
{
	(void)data;
	json_object_set_new(labels, "who", json_pack("s++", compose_kind_name(kind), "/", key));
}

static const char *lookup(void *data, enum compose_kind kind, const char *name)
{
	(void)data;
	return kind == COMPOSE_SECRET && strncmp(name, "s_sec_", 6) == 0 ? "id1" : NULL;
}

static void test_render_options(void **state)
{
	struct fixture f = good2(
		"services: {a: {image: bb, secrets: [sec, {source: named, target: t}]}}\n"
		"secrets: {sec: {file: secret.txt}, named: {file: secret.txt, name: fixed}}\n",
		NULL);
	struct compose_render_options o = {.sha256 = fake_hash, .add_labels = add_label};
	struct compose_rendering *r = compose_render(f.a, f.p, &o);
	(void)state;
	assert_int_equal(strlen(r->secrets.items[0].name), strlen("s_sec_") + 12);
	assert_string_equal(r->secrets.items[1].name, "fixed");
	assert_string_equal(json_text(r->secrets.items[1].body, "Labels.who", ""), "secret/named");
	json_t *body = r->services.items[0].body;
	assert_string_equal(json_text(body, "Labels.who", ""), "service/a");
	assert_null(json_at(body, "TaskTemplate.ContainerSpec.Labels.who"));
	assert_string_equal(compose_resolve(body, lookup, NULL), "fixed");
	json_t *refs = json_at(body, "TaskTemplate.ContainerSpec.Secrets");
	assert_string_equal(json_text(json_array_get(refs, 1), "SecretID", ""), "");
	compose_body_pin(body, "bb:latest@sha256:x", NULL);
	assert_string_equal(compose_body_image(body), "bb:latest@sha256:x");
	assert_string_equal(compose_body_image_label(body), "bb");
	drop(&f);
}

static void test_refs(void **state)
{
	struct fixture f = {.a = arena_create()};
	struct compose_file_ref *files;
	struct compose_variable_ref *vars;
	size_t len;
	(void)state;
	f.texts[0] = (struct compose_text){
		"one.yml", str_of("services:\n  a:\n    image: $IMG\n    env_file: [one.env, "
				  "{path: \"$V.env\", required: false}]\n"
				  "    environment: [BARE, 'K=${A:-${B}}', 'P=$$NOT']\n"
				  "secrets: {s: {file: ./s.txt}, e: {external: true, file: "
				  "not.txt}}\nconfigs: {c: {file: one.env}}\n")};
	f.in = (struct compose_input){.name = "s",
		.texts = f.texts,
		.texts_len = 1,
		.variables = variables,
		.variables_len = 1};
	assert_true(compose_file_refs(f.a, &f.in, &files, &len, &f.errors));
	assert_int_equal(len, 4);
	assert_string_equal(files[0].path, ".env");
	assert_string_equal(files[1].path, "one.env");
	assert_string_equal(files[2].path, "val.env");
	assert_string_equal(files[2].file, "one.yml");
	assert_true(files[0].optional && files[2].optional && !files[1].optional);
	assert_int_equal(files[3].kind, COMPOSE_REF_SECRET);
	assert_true(compose_variable_refs(f.a, &f.in, &vars, &len, &f.errors));
	static const char *const names[] = {"IMG", "V", "A", "B", "BARE"};
	assert_int_equal(len, 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(vars[i].name, names[i]);
	assert_true(vars[2].has_default && !vars[0].has_default);
	drop(&f);
}

static void test_names(void **state)
{
	struct arena *a = arena_create();
	(void)state;
	assert_null(compose_check_name(a, "web-1_Y"));
	assert_null(compose_check_name(a, "x-")); /* x-_service is a name */
	assert_non_null(
		strstr(compose_check_name(a, "web.1"), "letters, digits, '_' and '-' only"));
	assert_non_null(compose_check_name(a, " "));
	assert_non_null(compose_check_name(a, "-x"));
	assert_non_null(compose_check_name(a, "a/b"));
	assert_non_null(compose_check_name(a, NULL));
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bind_source_is_seen_from_the_folder_that_is_said),
		cmocka_unit_test(test_places),
		cmocka_unit_test(what_editors_do_is_told),
		cmocka_unit_test(a_second_document_is_warned_of),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_problems_are_bounded),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_what_is_named_often_is_bounded),
		cmocka_unit_test(test_files_named_often_are_bounded),
		cmocka_unit_test(test_variables_are_bounded),
		cmocka_unit_test(test_interpolation),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_newer_forms),
		cmocka_unit_test(test_render_options),
		cmocka_unit_test(test_refs),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
