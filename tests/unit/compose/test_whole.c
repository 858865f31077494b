/* The Compose specification's newer forms: what several files make together, profiles, .env,
 * !reset; and what each of their faults is called. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "base/arena.h"
#include "compose/compose.h"

struct file {
	const char *path, *text;
};
struct fixture {
	struct arena *a;
	struct compose_input in;
	struct compose_text texts[2];
	struct compose_upload uploads[16];
	struct compose_project *p;
	struct compose_problems errors, warnings;
};

static const struct compose_variable variables[] = {{"V", "val"}, {"EMPTY", ""}};

/* Files are uploads up to the one without a path. */
static bool load(struct fixture *f, const char *one, const char *two, const struct file *files)
{
	f->a = arena_create();
	f->texts[0] = (struct compose_text){"one.yml", str_of(one)};
	f->texts[1] = (struct compose_text){"two.yml", str_of(two)};
	f->in.texts = f->texts;
	f->in.texts_len = two ? 2 : 1;
	f->in.uploads = f->uploads;
	for (; files && files->path; files++)
		f->uploads[f->in.uploads_len++] =
			(struct compose_upload){files->path, str_of(files->text)};
	f->in.variables = variables;
	f->in.variables_len = 2;
	if (!f->in.name)
		f->in.name = "s";
	return compose_load(f->a, &f->in, &f->p, &f->errors, &f->warnings);
}

static void drop(struct fixture *f)
{
	arena_destroy(f->a);
	*f = (struct fixture){0};
}

static void must(struct fixture *f, const char *one, const char *two, const struct file *files)
{
	if (!load(f, one, two, files))
		fail_msg("%s", compose_problem_text(f->a, &f->errors.items[0]));
}

/* The text is refused, with this line among what is said, or (with `+`) as its only error. */
static void refused(const char *one, const struct file *files, const char *said)
{
	struct fixture f = {0};
	assert_false(load(&f, one, NULL, files));
	bool found = false;
	for (size_t i = 0; i < f.errors.len; i++)
		found |= strstr(compose_problem_text(f.a, &f.errors.items[i]), said) != NULL;
	if (!found)
		fail_msg("want: %s\ngot: %s", said,
			f.errors.len ? compose_problem_text(f.a, &f.errors.items[0]) : "nothing");
	drop(&f);
}

static const char *env(const struct fixture *f, const char *service, const char *key)
{
	const struct compose_service *s = compose_service_find(f->p, service);
	assert_non_null(s);
	for (size_t i = 0; i < s->environment.len; i++)
		if (strcmp(s->environment.items[i].key, key) == 0)
			return s->environment.items[i].value;
	return NULL;
}

/* ---- name, .env ---- */

static void test_name(void **state)
{
	struct fixture f = {.a = arena_create()};
	(void)state;
	f.texts[0] = (struct compose_text){"c.yml",
		STR("name: n-$V\nservices: {a: {image: \"x:${COMPOSE_PROJECT_NAME}\"}}\n")};
	f.in = (struct compose_input){
		.texts = f.texts, .texts_len = 1, .variables = variables, .variables_len = 2};
	assert_true(compose_load(f.a, &f.in, &f.p, &f.errors, &f.warnings));
	assert_string_equal(f.p->name, "n-val");
	assert_string_equal(f.p->services[0].image, "x:n-val");
	assert_string_equal(compose_text_name(f.a, &f.in), "n-val");
	f.in.name = "given";
	assert_true(compose_load(f.a, &f.in, &f.p, &f.errors, &f.warnings));
	assert_string_equal(f.p->name, "given");
	assert_string_equal(f.p->services[0].image, "x:given");
	f.in.name = NULL;
	f.texts[0].text = STR("name: -a\nservices: {a: {image: x}}\n");
	assert_false(compose_load(f.a, &f.in, &f.p, &f.errors, &f.warnings));
	assert_non_null(strstr(compose_problem_text(f.a, &f.errors.items[0]),
		"c.yml:1:7: invalid stack name: \"-a\""));
	f.texts[0].text = STR("services: {a: {image: x}}\n");
	assert_false(compose_load(f.a, &f.in, &f.p, &f.errors, &f.warnings));
	assert_non_null(strstr(f.errors.items[0].message, "give the stack a name"));
	assert_null(compose_text_name(f.a, &f.in));
	drop(&f);
}

static void test_dotenv(void **state)
{
	const struct file files[] = {
		{"./.env", "V=low\nW=w-${V}\nX='$V'\nCOMPOSE_PROFILES=p\n"}, {0}};
	struct fixture f = {0};
	(void)state;
	must(&f,
		"services:\n  a: {image: x, environment: [\"V=$V\", \"W=$W\", \"X=$X\", W]}\n"
		"  b: {image: x, profiles: [p]}\n",
		NULL, files);
	assert_string_equal(env(&f, "a", "V"), "val"); /* the caller's is above it */
	assert_string_equal(env(&f, "a", "W"), "w-val");
	assert_string_equal(env(&f, "a", "X"), "$V");
	assert_non_null(compose_service_find(f.p, "b"));
	drop(&f);
	const struct file bad[] = {{".env", "A=1\nB C=2\n"}, {0}};
	refused("services: {a: {image: x}}\n", bad,
		".env: line 2: variable 'B C' contains whitespaces");
}

/* ---- profiles ---- */

static void test_profiles(void **state)
{
	static const char text[] =
		"services:\n  a: {image: x}\n  b: {image: x, profiles: [p, q]}\n"
		"  c: {image: x, profiles: [r], networks: [n]}\nnetworks: {n: }\n";
	struct fixture f = {0};
	(void)state;
	must(&f, text, NULL, NULL);
	assert_int_equal(f.p->services_len, 1);
	assert_false(f.p->networks[0].used);
	drop(&f);
	const char *const q[] = {"x", "q"}, *const all[] = {"*"};
	f.in.profiles = q;
	f.in.profiles_len = 2;
	must(&f, text, NULL, NULL);
	assert_int_equal(f.p->services_len, 2);
	drop(&f);
	f.in.profiles = all;
	f.in.profiles_len = 1;
	must(&f, text, NULL, NULL);
	assert_int_equal(f.p->services_len, 3);
	drop(&f);
	const struct file files[] = {{".env", "COMPOSE_PROFILES= p , r\n"}, {0}};
	must(&f, text, NULL, files);
	assert_int_equal(f.p->services_len, 3);
	drop(&f);
	refused("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, profiles: [p]}\n",
		NULL, "one.yml:2:30: service a depends on b, which is only in the profile \"p\"");
	must(&f,
		"services:\n  a: {image: x, depends_on: {b: {required: false}}}\n"
		"  b: {image: x, profiles: [p]}\n",
		NULL, NULL);
	assert_int_equal(f.p->services[0].depends_on_len, 0);
	assert_int_equal(f.warnings.len, 0);
	drop(&f);
}

/* ---- extends ---- */

static void test_extends(void **state)
{
	const struct file files[] = {
		{"lib/base.yml", "services:\n"
				 "  web: {extends: deep, image: lib:1, volumes: ['./d:/d'], "
				 "env_file: f.env}\n"
				 "  deep: {extends: {file: ../top.yml, service: t}, tty: true}\n"
				 "  odd: {image: y}\n"},
		{"top.yml", "services: {t: {image: t:1, environment: {T: '${V}', A: t}}}\n"},
		{"lib/f.env", "F=f\n"},
		{0},
	};
	struct fixture f = {.in.dir = "/work"};
	(void)state;
	must(&f,
		"services:\n"
		"  a: {extends: {file: lib/base.yml, service: web}, environment: [A=a], ports: "
		"['1:1']}\n"
		"  b: {extends: a, image: b:1, ports: !reset null}\n"
		"  c: {extends: {service: a}, ports: !override ['2:2']}\n",
		NULL, files);
	const struct compose_service *a = &f.p->services[0], *b = &f.p->services[1],
				     *c = &f.p->services[2];
	assert_int_equal(f.p->services_len, 3);
	assert_string_equal(a->image, "lib:1");
	assert_true(a->tty);
	assert_string_equal(a->volumes[0].source, "/work/lib/d");
	assert_string_equal(env(&f, "a", "A"), "a");
	assert_string_equal(env(&f, "a", "T"), "val");
	assert_string_equal(env(&f, "a", "F"), "f");
	assert_string_equal(b->image, "b:1");
	assert_int_equal(b->ports_len, 0);
	assert_string_equal(env(&f, "b", "A"), "a");
	assert_int_equal(c->ports_len, 1);
	assert_int_equal(c->ports[0].published, 2);
	drop(&f);
}

static void test_extends_faults(void **state)
{
	const struct file files[] = {
		{"x.yml", "services:\n  a: {image: x, extends: {file: x.yml, service: b}}\n"
			  "  b: {extends: a}\n  t: {image: x, tty: 5}\n"},
		{0}};
	(void)state;
	refused("services:\n  a: {image: x, extends: b}\n  b: {extends: c}\n  c: {extends: a}\n",
		NULL, "one.yml:4:16: extends itself: a → b → c → a");
	refused("services:\n  a: {image: x, extends: a}\n", NULL, "extends itself: a → a");
	refused("services:\n  a: !reset null\n  b: {image: x, extends: a}\n", NULL,
		"one.yml:3:26: service b extends \"a\", which has nothing in it");
	refused("services:\n  a: !reset text\n  b: {image: x, extends: a}\n", NULL,
		"one.yml:3:26: service b extends \"a\", which has nothing in it");
	refused("services:\n  s: {extends: {file: x.yml, service: a}}\n", files,
		"x.yml:3:16: extends itself: s → a (x.yml) → b (x.yml) → a (x.yml)");
	refused("services:\n  s: {extends: {file: x.yml, service: t}}\n", files,
		"x.yml:4:22: services.t.tty must be a boolean");
	refused("services:\n  s: {extends: {file: x.yml, service: zz}}\n", files,
		"service s extends \"zz\", which is not in x.yml");
	refused("services:\n  s: {image: x, extends: zz}\n", NULL,
		"one.yml:2:26: service s extends \"zz\", which is not in this text");
	refused("services:\n  s: {extends: {file: no.yml, service: a}}\n", NULL,
		"one.yml:2:23: no.yml: no such file (send it along with the text)");
	refused("services:\n  s: {image: x, extends: {file: x.yml}}\n", files,
		"services.s.extends service is required");
	refused("services:\n  s: {image: x, extends: 5}\n", NULL,
		"services.s.extends must be a string or mapping");
	struct fixture f = {0};
	struct buf b = {0};
	buf_adds(&b, "services:\n  s0: {image: x}\n");
	for (int i = 1; i < 150; i++)
		buf_fmt(&b, "  s%d: {extends: s%d}\n", i, i - 1);
	must(&f, b.ptr, NULL, NULL); /* each was whole when the next came */
	drop(&f);
	b.len = 0;
	buf_adds(&b, "services:\n");
	for (int i = 0; i < 150; i++)
		buf_fmt(&b, "  s%d: {extends: s%d}\n", i, i + 1);
	buf_adds(&b, "  s150: {image: x}\n");
	refused(b.ptr, NULL, "extends more than 100 deep");
	buf_finish(&b);
}

/* ---- include ---- */

static void test_include(void **state)
{
	const struct file files[] = {
		{"db/compose.yml",
			"name: other\ninclude: [../shared.yml]\n"
			"services: {db: {image: 'db:$TAG', volumes: ['./d:/d'], secrets: [pw]}}\n"
			"secrets: {pw: {file: pw.txt}}\n"},
		{"db/override.yml", "services: {db: {hostname: '$HOST', env_file: ../e.env}}\n"},
		{"db/.env", "TAG=7\nV=never\n"},
		{"db/pw.txt", "pw"},
		{"e.env", "E=e-$TAG\n"},
		{"vars.env", "HOST=h-$V\nTAG=8\n"},
		{"shared.yml", "networks: {net: {name: '$V'}}\n"},
		{0},
	};
	struct fixture f = {.in.dir = "/work"};
	(void)state;
	must(&f,
		"include:\n  - db/compose.yml\n"
		"services: {web: {image: web, depends_on: [db], networks: [net]}}\n",
		"services: {db: {image: 'db:mine'}}\n", files);
	const struct compose_service *db = compose_service_find(f.p, "db");
	assert_string_equal(db->image, "db:mine"); /* a later text changes it */
	assert_string_equal(db->volumes[0].source, "/work/db/d");
	assert_string_equal(f.p->networks[0].name, "val");
	assert_true(str_is(f.p->secrets[0].data, "pw"));
	assert_null(f.p->text_name);
	drop(&f);
	f.in.dir = "/work";
	must(&f,
		"include:\n  - path: [db/compose.yml, ./db/override.yml]\n"
		"    project_directory: .\n    env_file: [vars.env]\n"
		"services: {web: {image: web}}\n",
		NULL,
		(const struct file[]){files[0], files[1], {"pw.txt", "root"},
			{"../e.env", "E=e-$TAG\n"}, files[5], {"../shared.yml", "configs: {}\n"},
			{0}});
	db = compose_service_find(f.p, "db");
	assert_string_equal(db->image, "db:8");
	assert_string_equal(db->hostname, "h-val");
	assert_string_equal(db->volumes[0].source, "/work/d");
	assert_true(str_is(f.p->secrets[0].data, "root"));
	assert_string_equal(env(&f, "db", "E"), "e-8");
	drop(&f);
	/* The same thing twice is one thing. */
	const struct file twice[] = {{"a.yml", "include: [n.yml]\nservices: {a: {image: x}}\n"},
		{"b.yml", "include: [n.yml]\nservices: {b: {image: x}}\n"},
		{"n.yml", "networks: {n: {internal: true}}\n"}, {0}};
	must(&f, "include: [a.yml, b.yml]\nservices: {c: {image: x}}\n", NULL, twice);
	assert_int_equal(f.p->services_len, 3);
	assert_int_equal(f.p->networks_len, 2); /* n, default */
	drop(&f);
}

static void test_include_faults(void **state)
{
	const struct file files[] = {{"a.yml", "include: [sub/b.yml]\nservices: {a: {image: x}}\n"},
		{"sub/b.yml", "include: [../a.yml]\nservices: {b: {image: x, tty: 5}}\n"},
		{"bad.yml", "services:\n  x: [\n"},
		{"c.yml", "services:\n  web: {image: y}\n  u: {image: x, networks: [nope]}\n"},
		{0}};
	(void)state;
	refused("include: [a.yml]\nservices: {}\n", files,
		"sub/b.yml:1:11: includes itself: one.yml → a.yml → sub/b.yml → a.yml");
	refused("include: [a.yml]\nservices: {}\n", files,
		"sub/b.yml:2:31: services.b.tty must be a boolean");
	refused("include: [no.yml]\nservices: {}\n", files,
		"one.yml:1:11: no.yml: no such file (send it along with the text)");
	refused("include: [bad.yml]\nservices: {}\n", files, "bad.yml:3:1: yaml: line 3: ");
	refused("include:\n  - c.yml\nservices: {web: {image: x}}\n", files,
		"one.yml:2:5: services.web is declared both here and in what is included");
	refused("include: [c.yml]\n", files, "c.yml:3:28: service u: undefined network \"nope\"");
	refused("include: [{env_file: x}]\nservices: {}\n", files, "include.0 path is required");
	refused("include: [{path: c.yml, env_file: no.env}]\n", files, "no.env: no such file");
	refused("include: a.yml\n", files, "include must be a list");
	refused("include: [{path: c.yml, dir: x}]\n", files,
		"include.0 Additional property dir is not allowed");
	struct fixture f = {0};
	struct buf big = {0};
	while (big.len < 600000)
		buf_adds(&big, "# filler\n");
	buf_adds(&big, "services: {b: {image: x}}\n");
	assert_false(load(&f, "include: [big.yml, big.yml]\n", NULL,
		(const struct file[]){{"big.yml", big.ptr}, {0}}));
	assert_non_null(
		strstr(f.errors.items[0].message, "with what they include are longer than"));
	drop(&f);
	buf_finish(&big);
}

/* Every file includes two of the next: bounded by the number of texts. */
static void test_include_bomb(void **state)
{
	struct fixture f = {0};
	struct file files[17] = {{0}};
	(void)state;
	f.a = arena_create();
	struct arena *own = f.a;
	for (int i = 0; i < 16; i++)
		files[i] = (struct file){arena_fmt(own, "f%d.yml", i),
			arena_fmt(own, "include: [f%d.yml, f%d.yml]\n", i + 1, i + 1)};
	files[15].text = "services: {a: {image: x}}\n";
	assert_false(load(&f, "include: [f0.yml]\n", NULL, files));
	assert_non_null(strstr(f.errors.items[0].message, "more than 1000 texts"));
	arena_destroy(own);
	drop(&f);
}

/* ---- !reset, !override ---- */

static void test_tags(void **state)
{
	struct fixture f = {0};
	(void)state;
	must(&f,
		"services:\n  a:\n    image: x\n    command: [a]\n    ports: ['1:1']\n"
		"    environment: {A: 1, B: 2}\n    networks: {n: {aliases: [q]}, m: {}}\n"
		"    labels: {l: 1}\n    dns: [1.1.1.1, 2.2.2.2]\n    depends_on: [b]\n"
		"    logging: {driver: x, options: {o: 1}}\n    ulimits: {nofile: 1, nproc: 2}\n"
		"  b: {image: x}\nnetworks: {n: {driver: d}, m: {}}\n",
		"services:\n  a:\n    command: !reset null\n    ports: !override ['2:2']\n"
		"    environment: {A: !reset null, B: !override 3}\n"
		"    networks: {n: !override {aliases: [w]}, m: !reset {}}\n    labels: !reset {}\n"
		"    dns: !override [3.3.3.3]\n    depends_on: !reset []\n    logging: !override "
		"{driver: y}\n"
		"    ulimits: {nofile: !reset null}\n  b: !reset null\nnetworks: {n: !override "
		"{internal: true}, m: !reset null}\n",
		NULL);
	const struct compose_service *a = &f.p->services[0];
	assert_int_equal(f.p->services_len, 1);
	assert_int_equal(a->command.len, 0);
	assert_int_equal(a->ports_len, 1);
	assert_int_equal(a->ports[0].published, 2);
	assert_null(env(&f, "a", "A"));
	assert_string_equal(env(&f, "a", "B"), "3");
	assert_int_equal(a->networks_len, 1);
	assert_int_equal(a->networks[0].aliases.len, 1);
	assert_string_equal(a->networks[0].aliases.items[0], "w");
	assert_int_equal(a->labels.len, 0);
	assert_int_equal(a->dns.len, 1);
	assert_int_equal(a->logging.options.len, 0);
	assert_int_equal(a->ulimits_len, 1);
	assert_int_equal(f.p->networks_len, 1);
	assert_null(f.p->networks[0].driver.name);
	drop(&f);
}

/* ---- the rest of the specification ---- */

static void test_settings(void **state)
{
	struct fixture f = {0};
	(void)state;
	must(&f,
		"services:\n  a:\n    image: x\n    scale: 2\n    oom_score_adj: -500\n"
		"    dns_opt: [ndots:1]\n    tmpfs: ['/run:size=1m,mode=1777', /tmp]\n"
		"    volumes: [{type: tmpfs, target: /t, tmpfs: {mode: '0700', size: 5k}}]\n"
		"    configs: [{source: c, mode: '0440'}]\n"
		"    environment: {A: 0123, B: 1.50, C: 1e6, D: 1_000, E: 2024-01-01, F: .inf}\n"
		"    env_file: [{path: r.env, format: raw}]\n    develop: {watch: []}\n"
		"    deploy: {x-a: 1, resources: {x-b: 1, reservations: {generic_resources: "
		"[{discrete_resource_spec: {kind: GPU, value: 1}}]}}}\n"
		"configs: {c: {environment: V, x-c: 1}}\n",
		NULL, (const struct file[]){{"r.env", "R='$V'\n"}, {0}});
	const struct compose_service *a = &f.p->services[0];
	assert_int_equal(a->replicas.value, 2);
	assert_int_equal(a->volumes_len, 3);
	assert_int_equal(a->volumes[0].tmpfs_mode, 0700);
	assert_int_equal(a->volumes[0].tmpfs_size, 5 * 1024);
	assert_string_equal(a->volumes[1].target, "/run");
	assert_int_equal(a->volumes[1].tmpfs_size, 1024 * 1024);
	assert_int_equal(a->volumes[1].tmpfs_mode, 01777);
	assert_int_equal(a->configs[0].mode.value, 0440);
	static const char *const values[][2] = {{"A", "0123"}, {"B", "1.50"}, {"C", "1e6"},
		{"D", "1_000"}, {"E", "2024-01-01"}, {"F", ".inf"}, {"R", "'$V'"}};
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		assert_string_equal(env(&f, "a", values[i][0]), values[i][1]);
	assert_int_equal(f.warnings.len, 1);
	assert_string_equal(f.warnings.items[0].message, "Ignoring unsupported options: develop");
	struct compose_rendering *r = compose_render(f.a, f.p, &(struct compose_render_options){0});
	const json_t *container = json_at(r->services.items[0].body, "TaskTemplate.ContainerSpec");
	assert_int_equal(json_int(container, "OomScoreAdj", 0), -500);
	assert_string_equal(
		json_string_value(json_array_get(json_at(container, "DNSConfig.Options"), 0)),
		"ndots:1");
	drop(&f);
}

static void test_refusals(void **state)
{
#define HEAD "services:\n  a:\n    image: x\n"
	(void)state;
	refused(HEAD "    gpus: all\n", NULL,
		"one.yml:4:5: Compose file contains unsupported options: gpus: Swarm reserves "
		"devices as "
		"generic resources");
	refused(HEAD
		"    deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}\n",
		NULL, "unsupported options: devices: Swarm reserves devices");
	refused(HEAD "    cpus: 2\n", NULL, "cpus: Set resource limits using deploy.resources");
	refused(HEAD "    label_file: x\n", NULL, "label_file: Write them under labels");
	refused(HEAD "    provider: {type: x}\n", NULL, "provider: Swarm runs images only");
	refused(HEAD "    scale: 2\n    deploy: {replicas: 3}\n", NULL,
		"one.yml:4:12: service a: scale and deploy.replicas say different numbers");
	refused(HEAD "    tmpfs: '/run:siz=5'\n", NULL,
		"one.yml:4:12: service a: the option siz of a tmpfs is not known");
	refused(HEAD "    env_file: [{path: f, format: odd}]\n", NULL,
		"unknown format of an env file: odd");
	refused(HEAD "    profiles: p\n", NULL, "services.a.profiles must be a list");
}

/* ---- docker's dialect has none of it ---- */

static void compat_refused(const char *text, const char *said)
{
	struct fixture f = {.in.compat = true};
	assert_false(load(&f, text, NULL, NULL));
	if (f.errors.len != 1 || !strstr(f.errors.items[0].message, said))
		fail_msg("want: %s\ngot %zu: %s", said, f.errors.len,
			compose_problem_text(f.a, &f.errors.items[f.errors.len - 1]));
	drop(&f);
}

static void test_versions(void **state)
{
	static const struct {
		int minor;
		const char *text, *said;
	} cases[] = {
		{0, "services: {a: {image: x}}\nsecrets: {}\n",
			"(root) Additional property secrets is not allowed"},
		{0, "services: {a: {image: x, secrets: [s]}}\n",
			"services.a Additional property secrets is not allowed"},
		{1, "services: {a: {image: x, ports: [{target: 80}]}}\n",
			"services.a.ports.0 must be a string or number"},
		{1, "services: {a: {image: x, volumes: [{type: bind}]}}\n",
			"services.a.volumes.0 must be a string"},
		{1, "services: {a: {image: x, deploy: {endpoint_mode: vip}}}\n",
			"services.a.deploy Additional property endpoint_mode is not allowed"},
		{2, "services: {a: {image: x}}\nconfigs: {}\n",
			"(root) Additional property configs is not allowed"},
		{3, "services: {a: {image: x}}\nx-y: 1\n",
			"(root) Additional property x-y is not allowed"},
		{3, "services: {a: {image: x, healthcheck: {interval: abc}}}\n",
			"error decoding 'HealthCheck.Interval': time: invalid duration \"abc\""},
		{4, "services: {a: {image: x, healthcheck: {interval: abc}}}\n",
			"services.a.healthcheck.interval Does not match format 'duration'"},
		{4, "services: {a: {image: x}}\nnetworks: {n: {name: x}}\n",
			"networks.n Additional property name is not allowed"},
		{5, "services: {a: {image: x, volumes: [{type: tmpfs, tmpfs: {}}]}}\n",
			"services.a.volumes.0 Additional property tmpfs is not allowed"},
		{6, "services: {a: {image: x, x-y: 1}}\n",
			"services.a Additional property x-y is not allowed"},
		{6, "services: {a: {image: x, init: true}}\n",
			"services.a Additional property init is not allowed"},
		{7, "services: {a: {image: x, deploy: {placement: {max_replicas_per_node: 1}}}}\n",
			"services.a.deploy.placement Additional property max_replicas_per_node is "
			"not "
			"allowed"},
		{8, "services: {a: {image: x, cgroupns_mode: host}}\n",
			"services.a Additional property cgroupns_mode is not allowed"},
		{10, "services: {a: {image: x, build: {foo: 1}}}\n",
			"services.a.build Additional property foo is not allowed"},
		{11, "services: {a: {image: x, healthcheck: {start_interval: 1s}}}\n",
			"services.a.healthcheck Additional property start_interval is not allowed"},
		{12, "services: {a: {image: x, oom_score_adj: 1}}\n",
			"services.a Additional property oom_score_adj is not allowed"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct arena *a = arena_create();
		compat_refused(arena_fmt(a, "version: '3.%d'\n%s", cases[i].minor, cases[i].text),
			cases[i].said);
		arena_destroy(a);
	}
	struct fixture f = {.in.compat = true};
	must(&f,
		"version: '3.7'\nx-y: 1\nservices: {a: {image: x, x-z: 2, init: true, build: "
		"{context: .}}}\n",
		NULL, NULL);
	drop(&f);
	compat_refused("version: '3.14'\nservices: {}\n", "unsupported Compose file version: 3.14");
	compat_refused("version: '3.01'\nservices: {}\n", "unsupported Compose file version: 3.01");
}

static void test_docker_has_none_of_it(void **state)
{
	(void)state;
	compat_refused("name: x\nservices: {a: {image: x}}\n",
		"(root) Additional property name is not allowed");
	compat_refused("include: [a]\nservices: {a: {image: x}}\n",
		"(root) Additional property include is not allowed");
	compat_refused("services: {a: {image: x, profiles: [p]}}\n",
		"services.a Additional property profiles is not allowed");
	compat_refused(
		"services: {a: {image: x, extends: b, mem_limit: 1}, b: {image: y, cpuset: 1}}\n",
		"Compose file contains unsupported options:\n\ncpuset: Set resource limits using "
		"deploy.resources\n\nextends: Support for `extends` is not implemented yet.\n\n"
		"mem_limit: Set resource limits using deploy.resources");
	compat_refused("services: {a: {image: x, deploy: {x-y: 1}}}\n",
		"services.a.deploy Additional property x-y is not allowed");
	compat_refused("services: {a: {image: x, environment: {A: .inf}}}\n",
		"json: unsupported value: +Inf");
	compat_refused("services: {a: {image: x, 1: 2}}\n",
		"json: unsupported type: map[interface {}]interface {}");
	compat_refused("services: {a: {image: x, hostname: 2024-01-01}}\n",
		"'Hostname' expected type 'string', got unconvertible type 'time.Time', value: "
		"'2024-01-01 00:00:00 +0000 UTC'");
	compat_refused(
		"services: {a: {image: x, command: [2024-01-01]}}\n", "'Command[0]' expected");
	compat_refused(
		"services: {a: {image: x, build: 5}}\n", "services.a.build must be a string");
	compat_refused("services: {a: {image: x, expose: [[5]]}}\n",
		"services.a.expose.0 must be a string or number");
	struct fixture f = {.in.compat = true};
	must(&f,
		"services:\n  a:\n    image: x\n    oom_score_adj: 5\n    tmpfs: /run\n"
		"    environment: {A: 0123, B: 1.50, C: 1e6, D: 1_000, E: 2024-01-01,\n"
		"      F: 2001-12-14t21:59:43.10-05:00, G: 18446744073709551615, H: "
		"18446744073709551616,\n"
		"      I: 2001-1-2 3:4:5, J: 2001-02-30, K: 2001-01-01T00:00:00Z}\n",
		NULL, NULL);
	static const char *const values[][2] = {{"A", "83"}, {"B", "1.5"}, {"C", "1e+06"},
		{"D", "1000"}, {"E", "2024-01-01 00:00:00 +0000 UTC"},
		{"F", "2001-12-14 21:59:43.1 -0500 -0500"}, {"G", "18446744073709551615"},
		{"H", "1.8446744073709552e+19"}, {"I", "2001-01-02 03:04:05 +0000 UTC"},
		{"J", "2001-02-30"}, {"K", "2001-01-01 00:00:00 +0000 UTC"}};
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		assert_string_equal(env(&f, "a", values[i][0]), values[i][1]);
	assert_false(f.p->services[0].oom_score_adj.set);
	assert_int_equal(f.p->services[0].volumes_len, 0);
	assert_int_equal(f.warnings.len, 2);
	drop(&f);
}

/* ---- what a client sends ---- */

static void test_refs(void **state)
{
	const struct file files[] = {
		{"db/c.yml",
			"services: {db: {image: '$IMG', env_file: a.env, extends: {file: b.yml, "
			"service: b}}}\n"},
		{"db/.env", "IMG=$FROM\n"}, {"db/a.env", "BARE\nX=${IN_FILE}\n"},
		{"l.yml", "include: [never.yml]\nservices: {l: {env_file: ../u.env}}\n"}, {0}};
	static const char *const paths[] = {".env", "db/.env", "db/c.yml", "db/a.env", "db/b.yml",
		"v.env", "never.yml", "l.yml", "../u.env"};
	static const char *const names[] = {
		"FROM", "IMG", "BARE", "IN_FILE", "REQUIRED", "COMPOSE_PROFILES"};
	struct fixture f = {0};
	struct compose_file_ref *refs;
	struct compose_variable_ref *vars;
	size_t len, found = 0;
	(void)state;
	(void)load(&f,
		"include: [db/c.yml, {path: never.yml, env_file: v.env}]\n"
		"services: {a: {image: \"${REQUIRED:?}\", profiles: [p], extends: {file: l.yml, "
		"service: l}}}\n",
		NULL, files);
	assert_false(compose_file_refs(f.a, &f.in, &refs, &len, &f.errors));
	assert_int_equal(f.errors.len, 1); /* REQUIRED */
	assert_int_equal(len, 9);
	for (size_t i = 0; i < len; i++)
		for (size_t k = 0; k < 9; k++)
			found += strcmp(refs[i].path, paths[k]) == 0;
	assert_int_equal(found, 9);
	assert_string_equal(refs[0].file, "");
	assert_int_equal(refs[0].kind, COMPOSE_REF_DOTENV);
	assert_true(compose_variable_refs(f.a, &f.in, &vars, &len, &f.errors));
	assert_int_equal(len, 6);
	found = 0;
	for (size_t i = 0; i < len; i++)
		for (size_t k = 0; k < 6; k++)
			found += strcmp(vars[i].name, names[k]) == 0;
	assert_int_equal(found, 6);
	drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_dotenv),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_extends),
		cmocka_unit_test(test_extends_faults),
		cmocka_unit_test(test_include),
		cmocka_unit_test(test_include_faults),
		cmocka_unit_test(test_include_bomb),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_docker_has_none_of_it),
		cmocka_unit_test(test_refs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
