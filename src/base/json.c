#include "base/json.h"
#include <inttypes.h>
#include "base/arena.h"
#include "base/mem.h"

#define JSON_MAX_DEPTH 512
#define KEPT_WEIGHT    2048

/* jansson's own limit (2048) is fixed when it is built, and its parser recurses: measure first. */
static struct status check_depth(struct str text)
{
	size_t depth = 0, line = 1;
	bool in_string = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '\n')
			line++;
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > JSON_MAX_DEPTH)
				return status_err(ST_INVALID_ARGUMENT,
					"not valid JSON: line %zu: nested more than %d deep", line,
					JSON_MAX_DEPTH);
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		}
	}
	return status_ok();
}

struct status json_parse(struct str text, json_t **ret_json)
{
	struct status st = check_depth(text);
	if (!status_is_ok(&st))
		return st;
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
	const char *bytes = text.ptr ? text.ptr : "";
	json_error_t error;
	json_t *j = json_loadb(bytes, text.len, flags, &error);
	if (!j && json_error_code(&error) == json_error_numeric_overflow)
		j = json_loadb(bytes, text.len, flags | JSON_DECODE_INT_AS_REAL, &error);
	if (!j && json_error_code(&error) == json_error_out_of_memory)
		mem_abort("out of memory");
	if (!j)
		return status_err(ST_INVALID_ARGUMENT, "not valid JSON: line %d, column %d: %s",
			error.line, error.column, error.text);
	*ret_json = j;
	return status_ok();
}

json_t *json_at(const json_t *j, const char *path)
{
	struct str rest = str_of(path);
	while (j && rest.len) {
		struct str key = str_cut(&rest, '.');
		j = json_object_getn(j, key.ptr, key.len);
	}
	return (json_t *)j;
}

const char *json_text(const json_t *j, const char *path, const char *otherwise)
{
	const char *text = json_string_value(json_at(j, path));
	return text ? text : otherwise;
}

int64_t json_int(const json_t *j, const char *path, int64_t otherwise)
{
	const json_t *value = json_at(j, path);
	if (json_is_integer(value))
		return json_integer_value(value);
	if (!json_is_real(value))
		return otherwise;
	double real = json_real_value(value);
	if (!(real >= -0x1p63 && real < 0x1p63))
		return otherwise;
	int64_t whole = (int64_t)real;
	return (double)whole < real || (double)whole > real ? otherwise : whole;
}

double json_num(const json_t *j, const char *path, double otherwise)
{
	const json_t *value = json_at(j, path);
	return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool json_flag(const json_t *j, const char *path, bool otherwise)
{
	const json_t *value = json_at(j, path);
	return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static int add_dumped(const char *bytes, size_t len, void *data)
{
	buf_add(data, bytes, len);
	return 0;
}

static void dump(struct buf *b, const json_t *j, size_t flags)
{
	if (!j) {
		buf_adds(b, "null");
		return;
	}
	/* Fails only without memory or on a value that contains itself. */
	if (json_dump_callback(j, add_dumped, b, flags | JSON_COMPACT | JSON_ENCODE_ANY) != 0)
		mem_abort("json_dump failed");
}

void json_write(struct buf *b, const json_t *j)
{
	dump(b, j, 0);
}

void json_write_sorted(struct buf *b, const json_t *j)
{
	dump(b, j, JSON_SORT_KEYS);
}

char *json_to_text(struct arena *a, const json_t *j)
{
	struct buf b = {0};
	json_write(&b, j);
	char *text = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return text;
}

static void let_go(void *j)
{
	json_decref(j);
}

json_t *json_keep(struct arena *a, json_t *j)
{
	if (!j)
		return NULL;
	arena_on_free(a, let_go, j);
	arena_weigh(a, KEPT_WEIGHT);
	return j;
}

json_t *json_hold(struct arena *a, const json_t *j)
{
	return json_keep(a, json_incref((json_t *)(uintptr_t)j));
}

json_t *json_lossy(struct str bytes)
{
	struct buf b = {0};
	buf_add_lossy(&b, bytes);
	json_t *j = json_stringn(buf_str(&b).ptr, b.len);
	buf_finish(&b);
	if (!j)
		mem_abort("out of memory");
	return j;
}
