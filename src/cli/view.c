#include "cli/view.h"
#include <ctype.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "cli/message.h"
#include "cli/text.h"
#include "base/yaml.h"
#include "skep/v1/common.pb-c.h"

/* ---- pages ---- */

#define PAGE 500

static void append(struct cli *c, struct cli_items *to, size_t *cap, ProtobufCMessage **items, size_t n)
{
	if (to->len + n > *cap) {
		*cap = (to->len + n) * 2;
		ProtobufCMessage **more = arena_array(c->arena, ProtobufCMessage *, *cap);
		if (to->len)
			memcpy(more, to->items, to->len * sizeof(*more));
		to->items = more;
	}
	if (n)
		memcpy(to->items + to->len, items, n * sizeof(*items));
	to->len += n;
}

/* Where a message field of the request lies. */
static void set_page(const ProtobufCMessage *request, Skep__V1__Page *page)
{
	const ProtobufCFieldDescriptor *d = message_field(request, "page");
	Skep__V1__Page **at = (void *)((char *)(uintptr_t)request + d->offset);
	*at = page;
}

static const char *next_token(const ProtobufCMessage *reply)
{
	const ProtobufCFieldDescriptor *d = message_field(reply, "next_page_token");
	return d ? *(char *const *)(const void *)((const char *)reply + d->offset) : "";
}

int view_fetch(struct cli *c, const struct cli_call *call, uint64_t limit, struct cli_items *ret_items)
{
	Skep__V1__Page page = SKEP__V1__PAGE__INIT;
	size_t cap = 0;
	*ret_items = (struct cli_items){0};
	set_page(call->request, &page);
	do {
		ProtobufCMessage *reply, **items;
		size_t n;
		uint64_t left = limit ? limit - ret_items->len : PAGE;
		page.page_size = (int32_t)(left < PAGE ? left : PAGE);
		int code = cli_call(c, call, &reply);
		if (code)
			return code;
		ret_items->type = message_items(call->reply, reply, &n, &items)->message;
		append(c, ret_items, &cap, items, n);
		page.page_token = message_str(next_token(reply));
		if (n == 0)
			break;
	} while (*page.page_token && (!limit || ret_items->len < limit));
	set_page(call->request, NULL);
	if (limit && ret_items->len > limit)
		ret_items->len = (size_t)limit;
	return CLI_DONE;
}

/* ---- JSON, YAML ---- */

static void write_json(struct cli *c, json_t *j, bool stream)
{
	struct buf b = {0};
	if (c->format == FORMAT_YAML) {
		if (stream)
			buf_adds(&b, "---\n");
		yaml_write(&b, j);
	} else {
		char *text = json_dumps(j, JSON_ENCODE_ANY | (stream ? JSON_COMPACT : JSON_INDENT(2)));
		buf_adds(&b, text);
		buf_addc(&b, '\n');
		free(text);
	}
	json_decref(j);
	struct buf shown = {0};
	text_escape(&shown, buf_str(&b));
	buf_finish(&b);
	cli_write(c, &shown);
}

void view_json(struct cli *c, json_t *j)
{
	write_json(c, j, false);
}

void view_json_next(struct cli *c, json_t *j)
{
	write_json(c, j, true);
}

/* ---- lists ---- */

static void list_table(struct cli *c, const struct cli_view *v, const struct cli_items *items)
{
	struct buf b = {0};
	struct table *t = table_create(c->arena, v->headers);
	for (size_t i = 0; i < items->len; i++)
		v->row(c, items->items[i], t);
	table_print(t, c->color, &b);
	cli_write(c, &b);
}

void view_list(struct cli *c, const struct cli_view *v, const struct cli_items *items)
{
	json_t *list;
	switch (c->format) {
	case FORMAT_TABLE:
		list_table(c, v, items);
		return;
	case FORMAT_NAME:
		for (size_t i = 0; i < items->len; i++)
			cli_print(c, "%s\n", v->name(c, items->items[i]));
		return;
	case FORMAT_JSON:
	case FORMAT_YAML:
		list = json_array();
		for (size_t i = 0; i < items->len; i++)
			json_array_append_new(list, message_json(items->type, items->items[i]));
		view_json(c, list);
		return;
	}
}

/* ---- one ---- */

/* "created_at" → "Created at", "job_id" → "Job ID" */
static char *label_of(struct arena *a, const char *name)
{
	size_t len = strlen(name);
	char *label = arena_strdup(a, name);
	if (strcmp(name, "id") == 0 || (len > 3 && strcmp(name + len - 3, "_id") == 0)) {
		label[len - 2] = 'I';
		label[len - 1] = 'D';
	}
	label[0] = (char)toupper((unsigned char)label[0]);
	for (char *p = label; *p; p++)
		if (*p == '_')
			*p = ' ';
	return label;
}

/* What a person reads of a field's value; NULL: nothing worth a line. */
static const char *value_text(struct cli *c, const ProtobufCFieldDescriptor *d, const json_t *j)
{
	const char *word = json_string_value(j);
	int number;
	if (word && d->type == PROTOBUF_C_TYPE_ENUM) {
		const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(d->descriptor, word);
		number = v ? v->value : 0;
		word = enum_word(c->arena, d->descriptor, number);
	} else if (word && d->type == PROTOBUF_C_TYPE_MESSAGE) {
		int64_t then = time_parse(word); /* times are the only messages that are text */
		return then ? arena_fmt(c->arena, "%s (%s)", text_age(c->arena, cli_now_us(), then), word) : NULL;
	}
	if (word)
		return *word && strcmp(word, "0") != 0 ? word : NULL;
	if (json_is_integer(j))
		return json_integer_value(j) ? json_to_text(c->arena, j) : NULL;
	return json_is_true(j) ? "yes" : json_is_false(j) ? "no" : NULL;
}

static void add_line(struct buf *b, const char *label, size_t width, const char *text)
{
	struct str rest = str_of(text);
	buf_fmt(b, "%s%s", label, *label ? ":" : " ");
	text_pad(b, width - strlen(label) + 1);
	while (rest.ptr) {
		text_clean(b, str_cut(&rest, '\n'), false);
		buf_addc(b, '\n');
		if (rest.ptr)
			text_pad(b, width + 2);
	}
}

static void add_field(struct cli *c, struct buf *b, const ProtobufCFieldDescriptor *d, const json_t *value,
	size_t width)
{
	const char *label = label_of(c->arena, d->name), *key;
	size_t i;
	json_t *item;
	if (json_is_object(value) && d->label == PROTOBUF_C_LABEL_REPEATED) { /* a map */
		json_object_foreach ((json_t *)value, key, item) {
			const char *text = json_is_string(item) ? json_string_value(item) : json_to_text(c->arena, item);
			add_line(b, label, width, arena_fmt(c->arena, "%s=%s", key, text));
			label = "";
		}
		return;
	}
	if (json_is_array(value) && d->type == PROTOBUF_C_TYPE_STRING) {
		json_array_foreach (value, i, item)
			add_line(b, i == 0 ? label : "", width, json_string_value(item));
		return;
	}
	const char *text = value_text(c, d, value);
	if (text)
		add_line(b, label, width, text);
}

static void describe(struct cli *c, const struct rpc_message *type, const ProtobufCMessage *m)
{
	json_t *j = message_json(type, m);
	struct buf b = {0};
	size_t width = 0;
	for (unsigned i = 0; i < type->n_fields; i++)
		if (strlen(type->fields[i].name) > width)
			width = strlen(type->fields[i].name);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const json_t *value = json_object_get(j, type->fields[i].json_name);
		if (value)
			add_field(c, &b, &type->descriptor->fields[i], value, width);
	}
	json_decref(j);
	cli_write(c, &b);
}

void view_one(struct cli *c, const struct cli_view *v, const struct rpc_message *type, const ProtobufCMessage *m)
{
	switch (c->format) {
	case FORMAT_TABLE:
		describe(c, type, m);
		return;
	case FORMAT_NAME:
		cli_print(c, "%s\n", v->name(c, m));
		return;
	case FORMAT_JSON:
	case FORMAT_YAML:
		view_json(c, message_json(type, m));
		return;
	}
}
