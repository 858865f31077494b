/* registry: hosts as people write them, and the header that the Engine gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/str.h"
#include "db/registries.h"
#include "stacks/registry.h"

static void hosts(void **state)
{
	static const struct {
		const char *text, *host;
	} cases[] = {
		{"", "docker.io"},
		{"docker.io", "docker.io"},
		{"https://index.docker.io/v1/", "docker.io"},
		{"registry-1.docker.io", "docker.io"},
		{"Registry.Example.COM:5000", "registry.example.com:5000"},
		{"https://ghcr.io/v2/", "ghcr.io"},
		{"localhost", "localhost"},
		{"10.0.0.1:80", "10.0.0.1:80"},
		{" quay.io ", "quay.io"},
		{"a b", NULL},
		{"-a.example", NULL},
		{"a..example", NULL},
		{"a.example:", NULL},
		{"a.example:5o", NULL},
		{":5000", NULL},
		{"a:1:2", NULL},
		{"user@host", NULL},
	};
	struct arena *a = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *host = registry_host(a, cases[i].text);
		if (!cases[i].host)
			assert_null(host);
		else
			assert_string_equal(host ? host : "(none)", cases[i].host);
	}
}

static void headers(void **state)
{
	struct arena *a = *state;
	const struct db_registry rows[] = {
		{.host = "docker.io", .username = "me", .password = "w\xc3\xb6rd"},
		{.host = "r.example:5000", .username = "ci", .password = "?\"?>?>"},
	};
	struct registry_auths auths;
	struct str json;
	registry_auths_make(a, rows, 2, &auths);
	const char *hub = registry_auth_for(a, &auths, "busybox:latest");
	assert_ptr_equal(hub, registry_auth_for(a, &auths, "docker.io/acme/app:1"));
	assert_ptr_equal(hub, registry_auth_for(a, &auths, "acme/app@sha256:00"));
	assert_null(registry_auth_for(a, &auths, "ghcr.io/acme/app:1"));
	assert_null(registry_auth_for(a, &auths, "r.example/app:1")); /* another port is another one */
	assert_true(str_unbase64(a, str_of(hub), &json));
	assert_true(str_is(json, "{\"username\":\"me\",\"password\":\"w\xc3\xb6rd\","
				 "\"serveraddress\":\"https://index.docker.io/v1/\"}"));
	const char *own = registry_auth_for(a, &auths, "r.example:5000/app:1");
	assert_null(strpbrk(own, "+/"));
	assert_int_equal(strlen(own) % 4, 0);
	assert_true(str_unbase64(a, str_of(own), &json));
	assert_non_null(strstr(json.ptr, "\"serveraddress\":\"r.example:5000\""));
}

static int set_up(void **state)
{
	*state = arena_create();
	return 0;
}

static int tear_down(void **state)
{
	arena_destroy(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hosts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(headers, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
