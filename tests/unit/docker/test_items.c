/* A list in pieces, and what is kept of a service. */
#include "docker/items.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "docker/brief.h"

static struct status on_item(void *data, struct str item)
{
	struct buf *all = data;
	buf_fmt(all, "<" STR_FMT ">", STR_ARG(item));
	return str_is(item, "bad") ? status_err(ST_INTERNAL, "bad") : status_ok();
}

/* Fed in pieces of so many bytes. */
static struct status feed(const char *text, size_t piece, struct buf *all)
{
	struct items i = {0};
	struct status st = status_ok();
	for (struct str rest = str_of(text); rest.len > 0 && status_is_ok(&st);) {
		size_t n = rest.len < piece ? rest.len : piece;
		st = items_feed(&i, str_make(rest.ptr, n), on_item, all);
		rest = str_make(rest.ptr + n, rest.len - n);
	}
	if (status_is_ok(&st))
		st = items_end(&i);
	items_finish(&i);
	return st;
}

static void a_list_is_cut_wherever_its_pieces_end(void **state)
{
	static const struct {
		const char *text, *items;
	} cases[] = {
		{"[]", ""},
		{" [ ] \n", ""},
		{"[1]", "<1>"},
		{"[{\"a\":[1,2]},{\"b\":{}}]\n", "<{\"a\":[1,2]}><{\"b\":{}}>"},
		{"[ \"],[\" , \"\\\"]\\\\\" ,[[],[]] ]", "<\"],[\"><\"\\\"]\\\\\"><[[],[]]>"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t piece = 1; piece < 12; piece++) {
			struct buf all = {0};
			struct status st = feed(cases[i].text, piece, &all);
			assert_int_equal(st.code, ST_OK);
			assert_string_equal(all.ptr ? all.ptr : "", cases[i].items);
			buf_finish(&all);
		}
}

static void what_is_no_list_is_refused(void **state)
{
	static const struct {
		const char *text, *words;
		enum st_code code;
	} cases[] = {
		{"", "no list", ST_INTERNAL},
		{"{}", "no list", ST_INTERNAL},
		{"[1,", "breaks off", ST_UNAVAILABLE},
		{"[\"]", "breaks off", ST_UNAVAILABLE},
		{"[1,bad,2]", "bad", ST_INTERNAL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf all = {0};
		struct status st = feed(cases[i].text, 3, &all);
		assert_int_equal(st.code, cases[i].code);
		assert_non_null(strstr(st.message, cases[i].words));
		assert_null(all.ptr ? strstr(all.ptr, "<2>") : NULL);
		buf_finish(&all);
	}
}

static void an_element_has_a_limit(void **state)
{
	struct items i = {0};
	struct buf all = {0};
	char *piece = malloc(1u << 20);
	struct status st = items_feed(&i, STR("[\""), on_item, &all);
	(void)state;
	memset(piece, 'x', 1u << 20);
	for (int n = 0; n < 5 && status_is_ok(&st); n++)
		st = items_feed(&i, str_make(piece, 1u << 20), on_item, &all);
	assert_int_equal(st.code, ST_INTERNAL);
	items_finish(&i);
	buf_finish(&all);
	free(piece);
}

static void a_brief_spec_has_what_others_need(void **state)
{
	static const char full[] =
		"{\"Name\":\"n\",\"Labels\":{\"com.docker.stack.namespace\":\"shop\",\"x\":\"y\"},"
		"\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"i\",\"Env\":[\"A=1\"],\"Healthcheck\":"
		"{\"Retries\":3},\"Mounts\":[]},\"Placement\":{},\"RestartPolicy\":{\"Condition\":\"none\"}},"
		"\"EndpointSpec\":{\"Ports\":[{\"PublishedPort\":80}]}}";
	json_t *j, *brief;
	struct status st = json_parse(str_of(full), &j);
	struct buf text = {0};
	(void)state;
	assert_true(status_is_ok(&st));
	brief = brief_spec(j);
	json_decref(j);
	json_write_sorted(&text, brief);
	assert_string_equal(text.ptr,
		"{\"EndpointSpec\":{\"Ports\":[{\"PublishedPort\":80}]},"
		"\"Labels\":{\"com.docker.stack.namespace\":\"shop\"},\"TaskTemplate\":{"
		"\"ContainerSpec\":{\"Healthcheck\":{\"Retries\":3}},"
		"\"RestartPolicy\":{\"Condition\":\"none\"}}}");
	json_decref(brief);
	buf_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_cut_wherever_its_pieces_end),
		cmocka_unit_test(what_is_no_list_is_refused),
		cmocka_unit_test(an_element_has_a_limit),
		cmocka_unit_test(a_brief_spec_has_what_others_need),
	};
	return cmocka_run_group_tests_name("items", tests, NULL, NULL);
}
