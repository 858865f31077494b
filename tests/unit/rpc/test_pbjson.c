/* proto3's JSON mapping (https://protobuf.dev/programming-guides/json/): what is read, what is
 * written, what is refused and with which words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "rpc/details.h"
#include "rpc/pbjson.h"
#include "skep/test/v1/all.pb-c.h"
#include "skep/test/v1/messages.h"
#include "skep/v1/messages.h"

#define ALL &skep_test_v1_msg_all

static struct status read_all(struct arena *a, const char *text, ProtobufCMessage **ret)
{
	return codec_json.unpack(a, ALL, str_of(text), ret);
}

/* Read, written, and through the binary form and written again: the same each time. */
static void expect(const char *in, const char *out)
{
	struct arena *a = arena_create();
	struct buf text = {0}, packed = {0}, again = {0};
	ProtobufCMessage *m, *back;
	struct status st = read_all(a, in, &m);
	if (!status_is_ok(&st))
		fail_msg("%s: %s", in, st.message);
	codec_json.pack(&text, ALL, m);
	assert_string_equal(buf_str(&text).ptr, out);
	codec_proto.pack(&packed, ALL, m);
	st = codec_proto.unpack(a, ALL, buf_str(&packed), &back);
	assert_string_equal(st.message, "");
	codec_json.pack(&again, ALL, back);
	assert_string_equal(buf_str(&again).ptr, out);
	buf_finish(&text);
	buf_finish(&packed);
	buf_finish(&again);
	arena_destroy(a);
}

static void same(const char *text)
{
	expect(text, text);
}

static void refused_with(const char *in, enum st_code code, const char *words)
{
	struct arena *a = arena_create();
	ProtobufCMessage *m;
	struct status st = read_all(a, in, &m);
	if (st.code != code || !strstr(st.message, words))
		fail_msg("%.100s: %s: %s", in, st_code_name(st.code), st.message);
	arena_destroy(a);
}

static void refused(const char *in, const char *words)
{
	refused_with(in, ST_INVALID_ARGUMENT, words);
}

static void scalars(void **state)
{
	(void)state;
	same("{}");
	expect(" \t\r\n{ } \n", "{}");
	same("{\"int32Field\":-2147483648,\"int64Field\":\"-9223372036854775808\",\"uint32Field\":"
	     "4294967295,"
	     "\"uint64Field\":\"18446744073709551615\",\"sint32Field\":-1,\"sint64Field\":\"-1\","
	     "\"fixed32Field\":1,\"fixed64Field\":\"1\",\"sfixed32Field\":-1,\"sfixed64Field\":\"-"
	     "1\","
	     "\"floatField\":1.5,\"doubleField\":0.1,\"boolField\":true,\"stringField\":\"x\","
	     "\"bytesField\":\"AP8=\",\"color\":\"COLOR_RED\",\"inner\":{\"a\":1},\"otherName\":"
	     "\"r\"}");
	/* both names of a field, numbers as text, text as numbers */
	expect("{\"int32_field\":\"7\",\"int64Field\":8,\"renamed\":\"x\"}",
		"{\"int32Field\":7,\"int64Field\":\"8\",\"otherName\":\"x\"}");
	expect("{\"int32Field\":1.0,\"uint32Field\":1e2,\"int64Field\":-0,\"uint64Field\":\"1."
	       "5e1\"}",
		"{\"int32Field\":1,\"uint32Field\":100,\"uint64Field\":\"15\"}");
	/* defaults and null are left out */
	expect("{\"int32Field\":0,\"stringField\":\"\",\"boolField\":false,\"color\":0,"
	       "\"bytesField\":\"\","
	       "\"inner\":null,\"strings\":null,\"stringMap\":null,\"doubleField\":null}",
		"{}");
	expect("{\"color\":-2}", "{\"color\":\"COLOR_BLUE\"}");
	same("{\"color\":77}"); /* an unknown number passes */
	expect("{\"bytesField\":\"_-8\"}", "{\"bytesField\":\"/+8=\"}"); /* base64url */
}

static void floats(void **state)
{
	(void)state;
	same("{\"floatField\":\"NaN\",\"doubleField\":\"-Infinity\"}");
	same("{\"floatField\":\"Infinity\"}");
	same("{\"floatField\":0.1,\"doubleField\":1.7976931348623157e+308}");
	same("{\"floatField\":3.4028235e+38}");
	same("{\"doubleField\":4.94065645841247e-324}");
	expect("{\"doubleField\":\"1.50\",\"floatField\":\"2\"}",
		"{\"floatField\":2,\"doubleField\":1.5}");
	refused("{\"floatField\":1e39}", "floatField: must be a number that a float holds");
	refused("{\"doubleField\":1e999}", "doubleField: must be a number");
	refused("{\"doubleField\":\"nan\"}", "must be a number");
	refused("{\"doubleField\":\"0x10\"}", "must be a number");
	refused("{\"doubleField\":\"\"}", "must be a number");
	refused("{\"doubleField\":true}", "must be a number");
}

static void integers_out_of_bounds(void **state)
{
	(void)state;
	refused("{\"int32Field\":2147483648}", "int32Field: must be a whole number of 32 bits");
	refused("{\"int32Field\":-2147483649}", "32 bits");
	refused("{\"uint32Field\":-1}", "from 0 to 4294967295");
	refused("{\"uint32Field\":4294967296}", "from 0 to 4294967295");
	refused("{\"int64Field\":9223372036854775808}", "64 bits");
	refused("{\"uint64Field\":18446744073709551616}", "64 bits, not negative");
	refused("{\"int32Field\":1.5}", "whole number");
	refused("{\"int32Field\":\"\"}", "whole number");
	refused("{\"int32Field\":\" 1\"}", "whole number");
	refused("{\"int32Field\":\"1x\"}", "whole number");
	refused("{\"int32Field\":true}", "whole number");
	refused("{\"int32Field\":[1]}", "whole number");
	refused("{\"int32Field\":{}}", "whole number");
}

static void other_types_do_not_fit(void **state)
{
	(void)state;
	refused("{\"boolField\":\"true\"}", "boolField: must be true or false");
	refused("{\"boolField\":1}", "must be true or false");
	refused("{\"stringField\":1}", "stringField: must be a string");
	refused("{\"bytesField\":\"a\"}", "must be a string of base64");
	refused("{\"bytesField\":\"+_==\"}", "must be a string of base64");
	refused("{\"color\":\"COLOR_PINK\"}", "color: is none of the enum's values");
	refused("{\"color\":\"1\"}", "color: is none");
	refused("{\"color\":1.5}", "color: is none");
	refused("{\"inner\":3}", "inner: must be an object");
	refused("{\"inner\":{\"a\":\"x\"}}", "inner.a: must be a whole number");
	refused("{\"strings\":\"x\"}", "strings: must be a list");
	refused("{\"strings\":[\"a\",null]}", "strings[1]: an element must not be null");
	refused("{\"inners\":[{},{\"a\":true}]}", "inners[1].a: must be");
	refused("{\"stringMap\":[]}", "stringMap: must be an object");
	refused("{\"stringMap\":{\"k\":1}}", "stringMap.k: must be a string");
	refused("{\"stringMap\":{\"k\":null}}", "stringMap.k: must not be null");
	refused("{\"int64Map\":{\"x\":{}}}", "int64Map.x: must be a whole number");
	refused("{\"boolMap\":{\"1\":0}}", "boolMap.1: must be true or false");
	refused("[]", "must be an object");
	refused("\"x\"", "must be an object");
	refused("null", "must be an object");
}

static void strings(void **state)
{
	(void)state;
	expect("{\"stringField\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"}",
		"{\"stringField\":\"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\xc3\xa9\xf0\x9f\x98\x80\"}");
	same("{\"stringField\":\"\x7f\xc3\xa9\"}");
	expect("{\"str\\u0069ngField\":\"x\"}", "{\"stringField\":\"x\"}");
	refused("{\"stringField\":\"\\u0000\"}", "wrong escape");
	refused("{\"stringField\":\"\\ud83d\"}", "wrong escape");
	refused("{\"stringField\":\"\\ude00\"}", "wrong escape");
	refused("{\"stringField\":\"\\ud83d\\u0041\"}", "wrong escape");
	refused("{\"stringField\":\"\\x41\"}", "wrong escape");
	refused("{\"stringField\":\"\\u12g4\"}", "wrong escape");
	refused("{\"stringField\":\"\xff\"}", "not valid UTF-8");
	refused("{\"stringField\":\"\xc0\x80\"}", "not valid UTF-8");
	refused("{\"stringField\":\"a\nb\"}", "must be escaped");
	refused("{\"stringField\":\"abc", "does not end");
	refused("{\"stringField\":\"abc\\\"", "does not end");
	refused("{\"stringField\":\"abc\\", "does not end");
}

static void lists_and_maps(void **state)
{
	(void)state;
	same("{\"int32s\":[1,2,3,4,5],\"uint64s\":[\"1\",\"2\"],\"doubles\":[1.5,\"NaN\"],"
	     "\"bools\":[true,false],"
	     "\"strings\":[\"a\",\"\",\"b\"],\"blobs\":[\"\",\"AA==\"],\"colors\":[\"COLOR_RED\","
	     "\"COLOR_UNSPECIFIED\"],"
	     "\"inners\":[{},{\"a\":1},{\"a\":2}]}");
	expect("{\"strings\":[],\"stringMap\":{}}", "{}");
	same("{\"stringMap\":{\"a\":\"1\",\"b\":\"\",\"\":\"empty\"},\"int64Map\":{\"-5\":{\"a\":1}"
	     ",\"7\":{}},"
	     "\"boolMap\":{\"true\":\"COLOR_RED\",\"false\":\"COLOR_BLUE\"},\"uint32Map\":{"
	     "\"4294967295\":\"AA==\"}}");
	refused("{\"stringMap\":{\"a\":\"1\",\"a\":\"2\"}}", "stringMap.a: stands twice");
	refused("{\"stringMap\":{a:1}}", "not JSON at byte");
	refused("{\"int32s\":[1,]}", "not JSON");
	refused("{\"int32s\":[1 2]}", "a comma or ] is expected");
	refused("{\"int32s\":[1", "expected");
	refused("{\"stringMap\":{\"a\":\"b\"", "expected");
}

static void presence(void **state)
{
	(void)state;
	same("{\"optionalNumber\":0,\"optionalText\":\"\",\"optionalFlag\":false}");
	expect("{\"optionalNumber\":null}", "{}");
	same("{\"choiceNumber\":0}");
	same("{\"choiceText\":\"\"}");
	same("{\"choiceInner\":{}}");
	same("{\"choiceNull\":null}");
	expect("{\"choiceNumber\":null,\"choiceText\":\"x\"}", "{\"choiceText\":\"x\"}");
	refused("{\"choiceNumber\":1,\"choiceText\":\"x\"}", "choiceText: excludes another field");
	refused("{\"int32Field\":1,\"int32_field\":2}", "int32_field: stands twice");
	refused("{\"nix\":1}", "nix: there is no such field");
	refused("{\"inner\":{\"nix\":1}}", "inner.nix: there is no such field");
}

static void times(void **state)
{
	(void)state;
	same("{\"time\":\"2026-03-01T12:00:00Z\"}");
	same("{\"time\":\"0001-01-01T00:00:00Z\"}");
	same("{\"time\":\"9999-12-31T23:59:59.999999999Z\"}");
	same("{\"time\":\"2024-02-29T23:59:59.120Z\"}");
	same("{\"time\":\"1969-12-31T23:59:59.000001Z\"}");
	same("{\"time\":\"1970-01-01T00:00:00Z\",\"times\":[\"2000-02-29T00:00:00Z\"]}");
	expect("{\"time\":\"2026-03-01T12:00:00.5+01:30\"}",
		"{\"time\":\"2026-03-01T10:30:00.500Z\"}");
	expect("{\"time\":\"1970-01-01T00:00:00-00:01\"}", "{\"time\":\"1970-01-01T00:01:00Z\"}");
	static const char *const bad[] = {"0000-01-01T00:00:00Z", "2026-02-29T00:00:00Z",
		"2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z",
		"2026-1-01T00:00:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z",
		"2026-01-01T00:00:00+0100", "0001-01-01T00:00:00+00:01", "2026-01-01T00:00:00Zx",
		""};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[100];
		(void)snprintf(text, sizeof(text), "{\"time\":\"%s\"}", bad[i]);
		refused(text, "time: must be a time such as");
	}
	refused("{\"time\":5}", "must be a time");
	refused("{\"time\":\"2026-03-01t12:00:00Z\"}", "must be a time");
	refused("{\"time\":\"2026-03-01T12:00:00z\"}", "must be a time");
	same("{\"duration\":\"1.500s\"}");
	same("{\"duration\":\"-0.000000001s\"}");
	same("{\"duration\":\"-315576000000s\"}");
	same("{\"duration\":\"0s\"}");
	expect("{\"duration\":\"3.0s\"}", "{\"duration\":\"3s\"}");
	refused("{\"duration\":\"1\"}", "duration: must be a duration such as");
	refused("{\"duration\":\"315576000001s\"}", "must be a duration");
	refused("{\"duration\":\"1.0000000001s\"}", "must be a duration");
	refused("{\"duration\":\"+1s\"}", "must be a duration");
}

static void well_known_types(void **state)
{
	(void)state;
	same("{\"struct\":{\"a\":null,\"b\":1,\"c\":[true,\"x\",{\"d\":[]}],\"e\":{}}}");
	same("{\"value\":null,\"list\":[null,[1.5],{}]}");
	same("{\"value\":\"x\",\"values\":[null,1,\"a\",false,[],{}]}");
	expect("{\"mask\":\"fooBar,baz.quxQuux\"}", "{\"mask\":\"fooBar,baz.quxQuux\"}");
	same("{\"mask\":\"\",\"empty\":{}}");
	refused("{\"mask\":\"foo_bar\"}", "mask: names are separated");
	refused("{\"mask\":\"a,,b\"}", "mask: names are separated");
	refused("{\"empty\":{\"a\":1}}", "empty.a: there is no such field");
	same("{\"boolValue\":false,\"int32Value\":0,\"int64Value\":\"5\",\"uint64Value\":\"0\","
	     "\"doubleValue\":1.5,"
	     "\"stringValue\":\"\",\"bytesValue\":\"AA==\"}");
	expect("{\"boolValue\":null}", "{}");
	refused("{\"int32Value\":\"x\"}", "int32Value: must be");
	refused("{\"struct\":{\"a\":}}", "not JSON");
}

/* What JSON cannot say twice, or not at all, the binary format can. */
static void maps_from_the_binary_format(void **state)
{
	static const struct {
		struct str bytes;
		const char *json;
	} cases[] = {
		{STR("\xfa\x01\x06\x0a\x01k\x12\x01" "a" "\xfa\x01\x06\x0a\x01j\x12\x01" "b" "\xfa\x01\x06\x0a\x01k\x12\x01" "c"),
			"{\"stringMap\":{\"j\":\"b\",\"k\":\"c\"}}"},
		{STR("\x82\x02\x02\x08\x05" "\x82\x02\x02\x08\x05"), "{\"int64Map\":{\"5\":{}}}"}, /* without values */
		{STR("\x82\x02\x00"), "{\"int64Map\":{\"0\":{}}}"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *a = arena_create();
		struct buf text = {0};
		ProtobufCMessage *m;
		struct status st = codec_proto.unpack(a, ALL, cases[i].bytes, &m);
		assert_string_equal(st.message, "");
		codec_json.pack(&text, ALL, m);
		assert_string_equal(buf_str(&text).ptr, cases[i].json);
		buf_finish(&text);
		arena_destroy(a);
	}
}

static void any(void **state)
{
	(void)state;
	same("{\"any\":{}}");
	same("{\"any\":{\"@type\":\"type.googleapis.com/"
	     "skep.v1.StackRef\",\"project\":\"p\",\"name\":\"n\"}}");
	same("{\"any\":{\"@type\":\"type.googleapis.com/"
	     "google.protobuf.Duration\",\"value\":\"1.500s\"}}");
	expect("{\"any\":{\"name\":\"n\",\"@type\":\"x/skep.v1.StackRef\",\"project\":\"p\"}}",
		"{\"any\":{\"@type\":\"x/skep.v1.StackRef\",\"project\":\"p\",\"name\":\"n\"}}");
	expect("{\"any\":{\"value\":\"2s\",\"@type\":\"x/google.protobuf.Duration\"}}",
		"{\"any\":{\"@type\":\"x/google.protobuf.Duration\",\"value\":\"2s\"}}");
	refused("{\"any\":{\"name\":\"n\"}}", "any: an Any needs its");
	refused("{\"any\":{\"@type\":\"x/nix\"}}", "any: @type names no known type");
	refused("{\"any\":{\"@type\":\"\",\"value\":\"\"}}", "any: @type names no known type");
	refused("{\"any\":{\"@type\":5}}", "any: @type must be a string");
	refused("{\"any\":{\"@type\":\"skep.v1.StackRef\"}}", "@type names no known type");
	refused("{\"any\":{\"@type\":\"x/skep.v1.StackRef\",\"nix\":1}}",
		"nix: there is no such field");
	refused("{\"any\":{\"@type\":\"x/google.protobuf.Duration\"}}", "the Any has no value");
	refused("{\"any\":{\"@type\":\"x/google.protobuf.Duration\",\"value\":\"2s\",\"x\":1}}",
		"alone");
	refused("{\"any\":[]}", "any: must be an object");
}

static void what_is_not_json(void **state)
{
	static const char *const bad[] = {"", " ", "{", "}", "{,}", "{\"int32Field\"}",
		"{\"int32Field\":}", "{\"int32Field\":1,}", "{\"int32Field\":1}x", "{} {}",
		"{\"int32Field\":01}", "{\"int32Field\":+1}", "{\"int32Field\":1.}",
		"{\"int32Field\":.5}", "{\"int32Field\":1e}", "{\"int32Field\":-}",
		"{int32Field:1}", "{'int32Field':1}", "{\"boolField\":tru}", "{\"boolField\":True}",
		"{\"doubleField\":NaN}", "{\"doubleField\":Infinity}", "\xef\xbb\xbf{}", "{/**/}",
		"{\"int32Field\":1 \"int64Field\":1}"};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(bad[i], "not JSON at byte");
}

static char *repeat(const char *open, const char *middle, const char *close, size_t n)
{
	struct buf b = {0};
	for (size_t i = 0; i < n; i++)
		buf_adds(&b, open);
	buf_adds(&b, middle);
	for (size_t i = 0; i < n; i++)
		buf_adds(&b, close);
	return b.ptr;
}

static void limits(void **state)
{
	(void)state;
	char *text = repeat("{\"inner\":{\"deeper\":", "{}", "}}", 49);
	same(text);
	free(text);
	text = repeat("{\"inner\":{\"deeper\":", "{}", "}}", 100000);
	refused_with(text, ST_RESOURCE_EXHAUSTED, "nested deeper than 100");
	free(text);
	text = repeat("{\"value\":", "", "", 1);
	struct buf b = {0};
	buf_adds(&b, text);
	free(text);
	text = repeat("[", "", "]", 100000);
	buf_adds(&b, text);
	buf_adds(&b, "}");
	refused_with(b.ptr, ST_RESOURCE_EXHAUSTED, "nested deeper than 100");
	free(text);
	b.len = 0;
	buf_adds(&b, "{\"any\":{\"x\":");
	text = repeat("[", "", "]", 100000);
	buf_adds(&b, text);
	buf_adds(&b, ",\"@type\":\"x/skep.v1.StackRef\"}}");
	free(text);
	refused(b.ptr, "any");
	b.len = 0;
	buf_adds(&b, "{\"inners\":[{}");
	for (int i = 0; i < 200000; i++)
		buf_adds(&b, ",{}");
	buf_adds(&b, "]}");
	refused_with(b.ptr, ST_RESOURCE_EXHAUSTED, "the message");
	buf_finish(&b);
}

/* ---- single fields from plain text ---- */

static void set(const char *path, const char *text, const char *expected)
{
	struct arena *a = arena_create();
	struct buf b = {0};
	ProtobufCMessage *m = pbjson_new(a, skep_test_v1_msg_all.descriptor);
	struct status st = pbjson_set(a, ALL, m, str_of(path), str_of(text));
	if (status_is_ok(&st))
		codec_json.pack(&b, ALL, m);
	else
		buf_adds(&b, st.message);
	assert_string_equal(b.ptr, expected);
	buf_finish(&b);
	arena_destroy(a);
}

static void fields_from_a_query(void **state)
{
	(void)state;
	set("int32_field", "5", "{\"int32Field\":5}");
	set("int64Field", "5", "{\"int64Field\":\"5\"}");
	set("boolField", "true", "{\"boolField\":true}");
	set("string_field", "5", "{\"stringField\":\"5\"}");
	set("inner.a", "5", "{\"inner\":{\"a\":5}}");
	set("inner.deeper.inner.a", "5", "{\"inner\":{\"deeper\":{\"inner\":{\"a\":5}}}}");
	set("strings", "x", "{\"strings\":[\"x\"]}");
	set("colors", "COLOR_RED", "{\"colors\":[\"COLOR_RED\"]}");
	set("color", "1", "{\"color\":\"COLOR_RED\"}");
	set("stringMap.a.b", "x", "{\"stringMap\":{\"a.b\":\"x\"}}");
	set("bytesField", "AA==", "{\"bytesField\":\"AA==\"}");
	set("time", "2026-03-01T12:00:00Z", "{\"time\":\"2026-03-01T12:00:00Z\"}");
	set("optionalFlag", "false", "{\"optionalFlag\":false}");
	set("boolValue", "true", "{\"boolValue\":true}");
	set("choiceNumber", "7", "{\"choiceNumber\":7}");
	set("mask", "a,bC", "{\"mask\":\"a,bC\"}");
	set("nix", "1", "nix: there is no such field");
	set("inner", "1", "inner: is a message: name one of its fields");
	set("inner.nix", "1", "inner.nix: there is no such field");
	set("int32Field.a", "1", "int32Field: has no fields of its own here");
	set("strings.a", "1", "strings: has no fields of its own here");
	set("stringMap", "1", "stringMap: is a map: name a key, as in field.key");
	set("stringMap.a\xff", "1", "stringMap: has a key that is not valid UTF-8");
	set("int32Field", "x", "int32Field: must be a whole number of 32 bits");
	set("boolField", "yes", "boolField: must be true or false");
	set("stringField", "\xff", "stringField: is not valid UTF-8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars),
		cmocka_unit_test(floats),
		cmocka_unit_test(integers_out_of_bounds),
		cmocka_unit_test(other_types_do_not_fit),
		cmocka_unit_test(strings),
		cmocka_unit_test(lists_and_maps),
		cmocka_unit_test(presence),
		cmocka_unit_test(times),
		cmocka_unit_test(well_known_types),
		cmocka_unit_test(maps_from_the_binary_format),
		cmocka_unit_test(any),
		cmocka_unit_test(what_is_not_json),
		cmocka_unit_test(limits),
		cmocka_unit_test(fields_from_a_query),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
