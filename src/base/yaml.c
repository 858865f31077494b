#include "base/yaml.h"
#include <ctype.h>
#include <strings.h>
#include "base/json.h"
#include "base/str.h"

static bool is_reserved(const char *s)
{
	static const char *const words[] = {
		"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcasecmp(words[i], s) == 0)
			return true;
	return false;
}

/* Begins with a letter and holds nothing that means something in YAML. */
static bool is_plain(const char *s)
{
	if (!isalpha((unsigned char)s[0]) || is_reserved(s))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("_-./@", *s))
			return false;
	return true;
}

static void write_scalar(struct buf *b, const json_t *j)
{
	char real[STR_REAL_MAX];
	if (json_is_string(j) && is_plain(json_string_value(j)))
		buf_adds(b, json_string_value(j));
	else if (json_is_real(j))
		buf_adds(b, str_real(real, json_real_value(j)));
	else
		json_write(b, j);
}

static void write_key(struct buf *b, const char *key)
{
	json_t *text = json_string(key);
	write_scalar(b, text);
	json_decref(text);
	buf_addc(b, ':');
}

static bool is_block(const json_t *j)
{
	return (json_is_object(j) && json_object_size(j) > 0) || (json_is_array(j) && json_array_size(j) > 0);
}

static void indent(struct buf *b, unsigned depth)
{
	while (depth-- > 0)
		buf_adds(b, "  ");
}

/* Writes a block whose first line is already indented. */
static void write_block(struct buf *b, const json_t *j, unsigned depth)
{
	const char *key;
	json_t *value;
	bool first = true;
	size_t i;
	json_object_foreach ((json_t *)j, key, value) {
		if (!first)
			indent(b, depth);
		first = false;
		write_key(b, key);
		buf_adds(b, is_block(value) ? "\n" : " ");
		if (is_block(value)) {
			unsigned inner = depth + (json_is_object(value) ? 1 : 0);
			indent(b, inner);
			write_block(b, value, inner);
		} else {
			write_scalar(b, value);
			buf_addc(b, '\n');
		}
	}
	json_array_foreach (j, i, value) {
		if (i > 0)
			indent(b, depth);
		buf_adds(b, "- ");
		if (is_block(value)) {
			write_block(b, value, depth + 1);
		} else {
			write_scalar(b, value);
			buf_addc(b, '\n');
		}
	}
}

void yaml_write(struct buf *b, const json_t *j)
{
	if (is_block(j)) {
		write_block(b, j, 0);
		return;
	}
	write_scalar(b, j);
	buf_addc(b, '\n');
}
