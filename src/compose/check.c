/* check: one text against the schema, in docker's words. What is wrong is reported and becomes
 * null, so that later passes can go on; what is right takes its long form in place. */
#include "compose/check.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/duration.h"
#include "base/size.h"

static const char *dots(struct loader *l, const struct path *path)
{
	return path ? path_text(l->a, path, PATH_DOTS) : "(root)";
}

bool check_must_be(
	struct loader *l, const struct node *n, const struct path *path, const char *what)
{
	loader_error(l, n->at, path, NULL, "%s must be a %s", dots(l, path), what);
	return false;
}

const char *check_service_name(const struct path *path)
{
	const char *name = "";
	for (; path && path->up; path = path->up)
		name = path->key;
	return name ? name : "";
}

/* A path as the Go types that docker decodes into name it: Deploy.update_config.Parallelism. */
static const char *field_path(struct arena *a, const struct path *path)
{
	if (!path->up || !path->up->up)
		return "";
	const char *up = field_path(a, path->up);
	if (!path->key)
		return arena_fmt(a, "%s[%zu]", up, path->index);
	bool tagged = strchr(path->key, '_') || strcmp(path->key, "memory") == 0;
	char *name =
		arena_strdup(a, strcmp(path->key, "healthcheck") == 0 ? "healthCheck" : path->key);
	if (!tagged && name[0] >= 'a' && name[0] <= 'z')
		name[0] = (char)(name[0] - 'a' + 'A');
	return arena_fmt(a, "%s%s%s", up, *up ? "." : "", name);
}

bool check_decoding(
	struct loader *l, const struct node *n, const struct path *path, const char *reason)
{
	if (l->in->compat)
		loader_error(l, n->at, path, NULL,
			"decoding failed due to the following error(s):\n\nerror decoding '%s': %s",
			field_path(l->a, path), reason);
	else
		loader_error(l, n->at, path, NULL, "%s", reason);
	return false;
}

static bool negative(struct loader *l, const struct node *n, const struct path *path)
{
	if (l->in->compat && strcmp(path->key, "size") != 0)
		loader_error(l, n->at, path, NULL,
			"decoding failed due to the following error(s):\n\ncannot parse '%s', %lld "
			"overflows uint",
			field_path(l->a, path), (long long)n->number);
	else
		loader_error(l, n->at, path, NULL, "%s Must be greater than or equal to 0",
			dots(l, path));
	return false;
}

/* A string that docker's YAML library reads as a point in time fits no string of docker's types. */
static bool refuse_time(struct loader *l, const struct node *n, const struct path *path)
{
	if (!n->time)
		return true;
	loader_error(l, n->at, path, "put it in quotes",
		"decoding failed due to the following error(s):\n\n'%s' expected type 'string', "
		"got "
		"unconvertible type 'time.Time', value: '%s'",
		field_path(l->a, path), n->text);
	return false;
}

/* Docker's schema takes a number there, its types do not. */
static bool refuse_number(struct loader *l, const struct node *n, const struct path *path)
{
	loader_error(l, n->at, path, "put it in quotes",
		"decoding failed due to the following error(s):\n\n'%s' expected type 'string', "
		"got unconvertible type '%s', value: '%s'",
		field_path(l->a, path), n->kind == NODE_INT ? "int" : "float64",
		node_scalar_text(l->a, n));
	return false;
}

/* ---- scalars ---- */

/* Docker finds the paths that it casts at by the dots in them. */
static bool has_dots(const struct path *path)
{
	for (; path; path = path->up)
		if (path->key && strchr(path->key, '.'))
			return true;
	return false;
}

/* Docker casts at certain paths only, and only what a variable made; we cast at all of them. */
static bool cast(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	static const char *const yes[] = {"y", "yes", "true", "on", "n", "no", "false", "off"};
	bool wants_bool = k->kind == K_BOOL || k->kind == K_TRISTATE || k->kind == K_EXTERNAL;
	if (n->kind != NODE_STRING || !n->substituted)
		return true;
	if (l->in->compat && (!(k->flags & F_CAST) || has_dots(path)))
		return true;
	const char *text = n->text, *why = NULL;
	if (wants_bool) {
		size_t i = 0;
		while (i < 8 && strcasecmp(yes[i], text) != 0)
			i++;
		if (i < 8) {
			n->kind = NODE_BOOL;
			n->flag = i < 4;
			return true;
		}
		why = arena_fmt(l->a, "invalid boolean: %s", text);
	} else if (k->kind == K_NUMBER) {
		double v;
		if (str_to_double(str_of(text), &v)) {
			n->kind = NODE_FLOAT;
			n->real = v;
			return true;
		}
		why = arena_fmt(l->a, "strconv.ParseFloat: parsing \"%s\": invalid syntax", text);
	} else {
		int64_t v;
		if (str_to_i64(str_of(text), &v)) {
			n->kind = NODE_INT;
			n->number = v;
			return true;
		}
		why = arena_fmt(l->a, "strconv.Atoi: parsing \"%s\": invalid syntax", text);
	}
	loader_error(l, n->at, path, NULL,
		"error while interpolating %s: failed to cast to expected type: %s",
		path_text(l->a, path, PATH_BLANK), why);
	return false;
}

static bool check_bool(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	if (!cast(l, n, k, path))
		return false;
	return n->kind == NODE_BOOL || check_must_be(l, n, path, "boolean");
}

/* "64m" as bytes. */
static void size(struct node *n)
{
	int64_t bytes;
	if (!size_parse(str_of(n->text), &bytes))
		return;
	n->kind = NODE_INT;
	n->number = bytes;
}

/* "0440", as the Compose specification writes modes. What is none stays a string. */
static void octal(struct node *n)
{
	int64_t v = 0;
	size_t len = strlen(n->text);
	if (len == 0 || len > 6 || strspn(n->text, "01234567") != len)
		return;
	for (const char *p = n->text; *p; p++)
		v = v * 8 + (*p - '0');
	n->kind = NODE_INT;
	n->number = v;
}

static bool check_int(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	if (!cast(l, n, k, path))
		return false;
	bool cut = l->in->compat && (k->flags & F_NUMBER); /* docker cuts 1.5 to 1 */
	if (n->kind == NODE_STRING && (k->flags & F_OCTAL) && !l->in->compat)
		octal(n);
	if (n->kind == NODE_STRING && (k->flags & F_SIZE) && !l->in->compat)
		size(n);
	if (n->kind == NODE_FLOAT && (cut || n->real == floor(n->real)) && fabs(n->real) < 0x1p62) {
		n->number = (int64_t)n->real;
		n->kind = NODE_INT;
	}
	n->raw = NULL;
	if (n->kind != NODE_INT)
		return check_must_be(l, n, path, cut ? "number" : "integer");
	return !(k->flags & F_UNSIGNED) || n->number >= 0 || negative(l, n, path);
}

static bool check_number(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	if (!cast(l, n, k, path))
		return false;
	if (n->kind == NODE_INT) {
		n->real = (double)n->number;
		n->kind = NODE_FLOAT;
	}
	return n->kind == NODE_FLOAT || check_must_be(l, n, path, "number");
}

static bool check_duration(struct loader *l, struct node *n, const struct path *path)
{
	int64_t ns;
	if (n->kind != NODE_STRING)
		return check_must_be(l, n, path, "string");
	if (duration_parse(str_of(n->text), &ns))
		return true;
	bool formless = l->in->compat && l->minor < 4 && path->up && path->up->key &&
			strcmp(path->up->key, "healthcheck") == 0;
	if (formless)
		return check_decoding(
			l, n, path, arena_fmt(l->a, "time: invalid duration \"%s\"", n->text));
	loader_error(l, n->at, path, "write it like 90s, 1m30s or 1h",
		"%s Does not match format 'duration'", dots(l, path));
	return false;
}

/* Numbers are fine where the Compose specification says so. */
static bool number_as_text(struct loader *l, struct node *n)
{
	if (l->in->compat || (n->kind != NODE_INT && n->kind != NODE_FLOAT))
		return n->kind == NODE_STRING;
	n->text = node_scalar_text(l->a, n);
	n->kind = NODE_STRING;
	return true;
}

static bool check_bytes(struct loader *l, struct node *n, const struct path *path)
{
	int64_t bytes;
	if (!number_as_text(l, n))
		return check_must_be(l, n, path, "string");
	if (size_parse(str_of(n->text), &bytes))
		return true;
	return check_decoding(l, n, path, form_size_error(l->a, n->text));
}

static bool check_cpus(struct loader *l, struct node *n, const struct path *path)
{
	int64_t nano;
	if (!number_as_text(l, n))
		return check_must_be(l, n, path, "string");
	const char *error = *n->text ? form_cpus(l->a, n->text, &nano) : NULL;
	if (error)
		loader_error(
			l, n->at, path, NULL, "service %s: %s", check_service_name(path), error);
	return !error;
}

/* ---- lists of strings ---- */

/* Docker compares whole items as written. */
static bool check_unique(struct loader *l, const struct node *list, const struct path *path)
{
	bool ok = true;
	struct map seen;
	map_init(&seen);
	for (size_t i = 0; i < list->seq.len; i++) {
		const struct node *item = list->seq.items[i];
		if (!node_is_scalar(item))
			continue;
		const char *text = arena_fmt(l->a, "%c%s", item->kind == NODE_STRING ? 's' : 'n',
			node_scalar_text(l->a, item));
		uintptr_t first = (uintptr_t)map_gets(&seen, text);
		if (first) {
			loader_error(l, item->at, path, NULL,
				"%s array items[%zu,%zu] must be unique", dots(l, path),
				(size_t)first - 1, i);
			ok = false;
		} else {
			map_puts(&seen, text, (void *)(i + 1));
		}
	}
	map_finish(&seen);
	return ok;
}

static bool check_strings(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	bool ok = true;
	if (n->kind != NODE_SEQ)
		return check_must_be(l, n, path, "list");
	for (size_t i = 0; i < n->seq.len; i++) {
		struct node *item = n->seq.items[i];
		bool number = item->kind == NODE_INT || item->kind == NODE_FLOAT;
		if (number && (k->flags & F_NUMBER)) {
			item->text = node_scalar_text(l->a, item);
			item->kind = NODE_STRING;
		}
		struct path here = {.up = path, .index = i};
		if (item->kind != NODE_STRING)
			ok = check_must_be(l, item, &here,
				k->flags & F_NUMBER ? "string or number" : "string");
		else
			ok &= refuse_time(l, item, &here);
	}
	return ok && (!(k->flags & F_UNIQUE) || check_unique(l, n, path));
}

/* Turns `n` into a list with one string. */
static void wrap(struct loader *l, struct node *n, const char *first)
{
	struct node *item = node_string(l->a, n->text, n->at);
	n->kind = NODE_SEQ;
	memset(&n->seq, 0, sizeof(n->seq));
	if (first)
		node_push(l->a, n, node_string(l->a, first, n->at));
	node_push(l->a, n, item);
}

static bool check_command(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	if (n->kind == NODE_SEQ)
		return check_strings(l, n, k, path);
	if (n->kind == NODE_NULL && !l->in->compat)
		return true;
	if (n->kind != NODE_STRING)
		return check_must_be(l, n, path, "string");
	struct compose_strings words;
	const char *error = form_shell_words(l->a, n->text, &words);
	if (error)
		return check_decoding(l, n, path, error);
	n->kind = NODE_SEQ;
	memset(&n->seq, 0, sizeof(n->seq));
	for (size_t i = 0; i < words.len; i++)
		node_push(l->a, n, node_string(l->a, words.items[i], n->at));
	return true;
}

static bool check_wrapped(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	if (n->kind == NODE_SEQ)
		return check_strings(l, n, k, path);
	if (n->kind != NODE_STRING)
		return check_must_be(l, n, path, "string");
	wrap(l, n, k->kind == K_TEST ? "CMD-SHELL" : NULL);
	return true;
}

/* ---- key=value ---- */

static bool pair_value(
	struct loader *l, struct node *v, const struct schema_key *k, const struct path *path)
{
	if (v->tag == NODE_RESET)
		return true;
	bool nulls = k->kind != K_OPTIONS || (k->flags & F_NULLS);
	bool ok = v->kind == NODE_STRING || v->kind == NODE_INT || v->kind == NODE_FLOAT ||
		  (v->kind == NODE_NULL && nulls) || (v->kind == NODE_BOOL && !l->in->compat);
	if (!ok)
		return check_must_be(
			l, v, path, nulls ? "string, number or null" : "string or number");
	if (v->kind != NODE_NULL || k->kind != K_ENV) {
		v->text = node_scalar_text(l->a, v);
		v->kind = NODE_STRING;
	}
	return true;
}

/* "KEY=value" items → a mapping; of twins the last wins. */
static void list_to_map(struct loader *l, struct node *n, const struct schema_key *k)
{
	struct node *map = node_new(l->a, NODE_MAP, n->at);
	struct map index;
	map_init(&index);
	for (size_t i = 0; i < n->seq.len; i++) {
		const struct node *item = n->seq.items[i];
		const char *equals = strchr(item->text, '=');
		const char *key =
			equals ? arena_strndup(l->a, item->text, (size_t)(equals - item->text))
			       : item->text;
		struct node *value = equals             ? node_string(l->a, equals + 1, item->at)
				     : k->kind == K_ENV ? node_new(l->a, NODE_NULL, item->at)
							: node_string(l->a, "", item->at);
		uintptr_t at = (uintptr_t)map_gets(&index, key);
		if (at) {
			map->map.entries[at - 1].value = value;
			continue;
		}
		node_put(l->a, map, key, item->at, value);
		map_puts(&index, key, (void *)map->map.len);
	}
	map_finish(&index);
	n->kind = NODE_MAP;
	n->map = map->map;
}

static bool check_pairs(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	bool ok = true;
	if (n->kind == NODE_SEQ && k->kind != K_OPTIONS) {
		if (!check_strings(l, n, k, path))
			return false;
		list_to_map(l, n, k);
		return true;
	}
	if (n->kind != NODE_MAP)
		return check_must_be(l, n, path, "mapping");
	for (size_t i = 0; i < n->map.len; i++) {
		struct node_entry *e = &n->map.entries[i];
		if (*e->key == '\0' && k->kind != K_OPTIONS) {
			loader_error(l, e->at, path, "give it a name",
				"%s Additional property  is not allowed", dots(l, path));
			ok = false;
		}
		ok &= pair_value(l, e->value, k, &(struct path){.up = path, .key = e->key});
	}
	return ok;
}

static int by_text(const void *x, const void *y)
{
	const struct node *const *a = x, *const *b = y;
	return strcmp((*a)->text, (*b)->text);
}

/* "host:ip" with the IP out of its brackets. */
static const char *host_text(struct arena *a, const char *item)
{
	size_t n = strcspn(item, "=");
	if (!item[n])
		n = strcspn(item, ":");
	if (!item[n])
		return item;
	const char *ip = item + n + 1;
	size_t len = strlen(ip);
	if (len > 2 && ip[0] == '[' && ip[len - 1] == ']')
		return arena_fmt(a, "%.*s:%.*s", (int)n, item, (int)len - 2, ip + 1);
	return arena_fmt(a, "%.*s:%s", (int)n, item, ip);
}

static bool check_hosts(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	if (n->kind == NODE_MAP) {
		struct node *list = node_new(l->a, NODE_SEQ, n->at);
		if (!check_pairs(l, n, k, path))
			return false;
		for (size_t i = 0; i < n->map.len; i++) {
			struct node_entry *e = &n->map.entries[i];
			const char *text = arena_fmt(l->a, "%s=%s", e->key, e->value->text);
			if (*e->value->text)
				node_push(l->a, list, node_string(l->a, text, e->at));
		}
		if (list->seq.len)
			qsort(list->seq.items, list->seq.len, sizeof(*list->seq.items), by_text);
		n->kind = NODE_SEQ;
		n->seq = list->seq;
	} else if (n->kind != NODE_SEQ) {
		return check_must_be(l, n, path, "mapping");
	} else if (!check_strings(l, n, k, path)) {
		return false;
	}
	for (size_t i = 0; i < n->seq.len; i++)
		n->seq.items[i]->text = host_text(l->a, n->seq.items[i]->text);
	return true;
}

/* ---- mappings ---- */

static bool is_extra(const char *key)
{
	return key[0] == 'x' && key[1] == '-';
}

static const char *unknown_hint(
	struct loader *l, const struct node_entry *e, const struct schema_key *table)
{
	const struct schema_key *k = schema_find(table, e->key);
	if (l->errors->len >= l->limits.problems)
		return NULL; /* nobody reads it */
	if (k && (k->flags & F_SPEC))
		return "docker stack deploy does not know it";
	if (k)
		return arena_fmt(l->a, "it came with version 3.%d", SINCE_OF(k->flags));
	const char *near = schema_nearest(table, e->key);
	return near ? arena_fmt(l->a, "did you mean \"%s\"?", near) : NULL;
}

static void unknown_key(struct loader *l, const struct node_entry *e,
	const struct schema_key *table, const struct path *up, const struct path *path)
{
	loader_error(l, e->at, path, unknown_hint(l, e, table),
		"%s Additional property %s is not allowed", dots(l, up), e->key);
}

static void check_entry(struct loader *l, struct node_entry *e, const struct schema_key *table,
	unsigned flags, const struct path *up)
{
	struct path path = {.up = up, .key = e->key};
	const struct schema_key *k = schema_find(table, e->key);
	bool compat = l->in->compat;
	if (k && compat && (k->flags & F_SPEC))
		k = NULL;
	if (k && compat && SINCE_OF(k->flags) > l->minor) {
		check_value(l, e->value, k, &path); /* docker casts before it looks at the keys */
		k = NULL;
	}
	int extra_since = up ? 7 : 4;
	bool extra = (flags & F_EXTRA) && l->minor >= extra_since;
	if (!k && is_extra(e->key) && (extra || !compat))
		return;
	if (!k && (flags & F_OPEN)) {
		loader_warn(l, e->at, &path, NULL, "%s is not known and not sent", dots(l, &path));
		return;
	}
	if (!k) {
		unknown_key(l, e, table, up, &path);
		e->value = node_new(l->a, NODE_NULL, e->value->at);
		return;
	}
	if ((k->flags & F_FORBIDDEN) && compat)
		return; /* all are reported as one, as docker does */
	if (k->flags & (F_FORBIDDEN | F_REFUSED) && k->kind != K_EXTENDS) {
		loader_error(l, e->at, &path, NULL,
			"Compose file contains unsupported options: %s: %s", e->key, k->text);
		return;
	}
	if ((k->flags & F_DROPPED) || ((k->flags & F_SENT) && compat))
		loader_warn(l, e->at, &path, NULL, "%s: %s", dots(l, &path), k->text);
	if (e->value->tag == NODE_RESET ||
		(e->value->kind == NODE_NULL && (k->flags & F_NULL) && k->kind != K_NAMED))
		return;
	if (!check_value(l, e->value, k, &path))
		e->value = node_new(l->a, NODE_NULL, e->value->at);
}

bool check_map(struct loader *l, struct node *n, const struct schema_key *table, unsigned flags,
	const struct path *path)
{
	if (n->kind != NODE_MAP)
		return check_must_be(l, n, path, flags & F_NULL ? "mapping or null" : "mapping");
	for (size_t i = 0; i < n->map.len; i++)
		check_entry(l, &n->map.entries[i], table, flags, path);
	return true;
}

static bool valid_name(const char *name)
{
	size_t n =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	return n > 0 && name[n] == '\0';
}

static bool check_named(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	if (n->kind != NODE_MAP)
		return check_must_be(l, n, path, "mapping");
	for (size_t i = 0; i < n->map.len; i++) {
		struct node_entry *e = &n->map.entries[i];
		struct path here = {.up = path, .key = e->key};
		bool free_name = l->in->compat && strcmp(k->name, "networks") == 0;
		if (!free_name && !valid_name(e->key)) {
			loader_error(l, e->at, &here,
				"a name is made of letters, digits, '.', '_' and '-'",
				"%s Additional property %s is not allowed", dots(l, path), e->key);
			continue;
		}
		if (e->value->tag == NODE_RESET)
			continue;
		if (e->value->kind == NODE_NULL && (k->flags & F_NULL)) {
			e->value = node_new(l->a, NODE_MAP, e->value->at);
			continue;
		}
		if (!check_map(l, e->value, k->sub, k->flags, &here))
			e->value = node_new(l->a, NODE_MAP, e->value->at);
	}
	return true;
}

static bool check_items(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	bool ok = true;
	if (n->kind != NODE_SEQ)
		return check_must_be(l, n, path, "list");
	for (size_t i = 0; i < n->seq.len; i++)
		ok &= check_map(l, n->seq.items[i], k->sub, k->flags,
			&(struct path){.up = path, .index = i});
	return ok;
}

static bool check_scalar(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	bool number = n->kind == NODE_INT || n->kind == NODE_FLOAT;
	if (k->kind == K_STRING)
		return n->kind == NODE_STRING
			       ? refuse_time(l, n, path)
			       : check_must_be(l, n, path,
					 k->flags & F_NULL ? "string or null" : "string");
	if (k->kind == K_TEXT && number && l->in->compat && (k->flags & F_UNSUPPORTED))
		return refuse_number(l, n, path);
	if (k->kind == K_TEXT)
		return n->kind == NODE_STRING || number ||
		       check_must_be(l, n, path, "number or string");
	if (k->kind == K_BOOL || k->kind == K_TRISTATE)
		return check_bool(l, n, k, path);
	if (k->kind == K_INT)
		return check_int(l, n, k, path);
	if (k->kind == K_NUMBER)
		return check_number(l, n, k, path);
	if (k->kind == K_DURATION)
		return check_duration(l, n, path);
	if (k->kind == K_BYTES)
		return check_bytes(l, n, path);
	return check_cpus(l, n, path);
}

bool check_value(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	switch (k->kind) {
	case K_ANY:
		return true;
	case K_STRING:
	case K_TEXT:
	case K_BOOL:
	case K_TRISTATE:
	case K_INT:
	case K_NUMBER:
	case K_DURATION:
	case K_BYTES:
	case K_CPUS:
		return check_scalar(l, n, k, path);
	case K_STRINGS:
		return check_strings(l, n, k, path);
	case K_COMMAND:
		return check_command(l, n, k, path);
	case K_ONE_OR_MORE:
	case K_TEST:
		return check_wrapped(l, n, k, path);
	case K_HOSTS:
		return check_hosts(l, n, k, path);
	case K_PAIRS:
	case K_ENV:
	case K_OPTIONS:
		return check_pairs(l, n, k, path);
	case K_MAP:
		return check_map(l, n, k->sub, k->flags, path);
	case K_NAMED:
		return check_named(l, n, k, path);
	case K_ITEMS:
		return check_items(l, n, k, path);
	case K_PORTS:
		return (n->kind != NODE_SEQ || check_unique(l, n, path)) &&
		       check_ports(l, n, k, path);
	case K_VOLUMES:
		return check_volumes(l, n, k, path);
	case K_FILES:
		return check_files(l, n, k, path);
	case K_NETWORKS:
	case K_DEPENDS:
		return (n->kind != NODE_SEQ || check_strings(l, n, k, path)) &&
		       check_names(l, n, k, path);
	case K_ULIMITS:
		return check_ulimits(l, n, k, path);
	case K_EXTERNAL:
		return cast(l, n, k, path) && check_external(l, n, k, path);
	case K_ENV_FILE:
		return (n->kind != NODE_SEQ || check_unique(l, n, path)) &&
		       check_env_file(l, n, k, path);
	case K_BUILD:
		return check_build(l, n, k, path);
	case K_EXTENDS:
		return check_extends(l, n, k, path);
	case K_INCLUDE:
		return check_include(l, n, k, path);
	}
	return false;
}
