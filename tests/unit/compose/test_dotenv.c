/* Env files, in the Compose specification's form and docker's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "base/arena.h"
#include "base/map.h"
#include "compose/compose.h"
#include "compose/dotenv.h"

/* Every line as name=value, ! before an error, ' around what is literal. */
static void reads(const char *text, bool raw, const char *want)
{
	struct arena *a = arena_create();
	struct buf b = {0};
	struct dotenv d = dotenv_open(a, str_of(text), raw);
	for (struct dotenv_line line; dotenv_next(&d, &line);) {
		if (line.error)
			buf_fmt(&b, "%zu!%s;", line.number, line.error);
		else if (!line.value)
			buf_fmt(&b, "%s;", line.name);
		else
			buf_fmt(&b, line.literal ? "%s='%s';" : "%s=%s;", line.name, line.value);
	}
	assert_string_equal(b.ptr ? b.ptr : "", want);
	buf_finish(&b);
	arena_destroy(a);
}

static void test_forms(void **state)
{
	(void)state;
	reads("\xef\xbb\xbf# comment\n\nA=1\nexport B = two words # not this\n", false,
		"A=1;B=two words;");
	reads("C=\"x\\n\\\"y\\\" #z\" # end\nD='raw\\n $E'\nF=\nG=a#b", false,
		"C=x\n\"y\" #z;D='raw\\n $E';F=;G=a#b;");
	reads("A=2\r\nH=\"two\nlines\"\nBARE\nI=x", false, "A=2;H=two\nlines;BARE;I=x;");
	reads("a.b-c= #\n", false, "a.b-c=;");
	reads("", false, "");
}

static void test_raw(void **state)
{
	(void)state;
	reads("A='x' # y \n  B=$C\nBARE\n# c\nD=\n", true, "A=''x' # y ';B='$C';BARE;D='';");
	reads("export A=1\n=2", true,
		"1!variable 'export A' contains whitespaces;2!no variable name in front of the "
		"'=';");
}

static void test_says_where(void **state)
{
	(void)state;
	reads("A=1\n=2\n", false, "A=1;2!no variable name in front of the '=';");
	reads("A=1\n\n# c\nB C=3", false, "A=1;4!variable 'B C' contains whitespaces;");
	reads("A='x\ny'\nB=\"x", false, "A='x\ny';3!the closing quote is missing;");
	reads("A=\"x\" y\nB=1", false, "1!there is something behind the closing quote;B=1;");
	reads("A=1\nB=\xff", false, "2!invalid utf8 bytes or a NUL byte in it;");
	struct arena *a = arena_create();
	assert_string_equal(compose_dotenv_problem(a, STR("A=1\nB C=3\n")),
		"line 2: variable 'B C' contains whitespaces");
	assert_null(compose_dotenv_problem(a, STR("A=1\n")));
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_raw),
		cmocka_unit_test(test_says_where)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
