/* load: texts → project, and what a client must know before it sends them. */
#include "compose/loader.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool within_size(struct loader *l)
{
	for (size_t i = 0; i < l->in->texts_len; i++) {
		l->bytes += l->in->texts[i].text.len;
		if (l->bytes <= l->limits.bytes)
			continue;
		struct str text = l->in->texts[i].text;
		size_t over = text.len - (l->bytes - l->limits.bytes);
		struct compose_mark at = {.line = 1, .column = 1, .file = (uint16_t)i};
		for (size_t k = 0; k < over; k++) {
			at.column = text.ptr[k] == '\n' ? 1 : at.column + 1;
			at.line += text.ptr[k] == '\n';
		}
		loader_error(l, at, NULL, NULL,
			"the texts are %zu bytes or longer; %zu are allowed", l->bytes,
			l->limits.bytes);
		return false;
	}
	if (l->in->texts_len == 0 || l->in->texts_len > 100)
		loader_error(l, (struct compose_mark){0}, NULL, "give 1 to 100 texts",
			"No files specified");
	return l->errors->len == 0;
}

static int by_place(const void *x, const void *y)
{
	const struct compose_problem *a = x, *b = y;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->column != b->column ? (a->column < b->column ? -1 : 1) : 0;
}

/* In order of the texts: passes find things in their own order. */
static void sort_problems(const struct loader *l, struct compose_problems *list)
{
	struct compose_problem *sorted = arena_array(l->a, struct compose_problem, list->len + 1);
	size_t n = 0;
	for (size_t f = 0; f <= l->sources_len && n < list->len; f++) {
		size_t start = n;
		const char *name = f ? l->sources[f - 1].name : "";
		for (size_t i = 0; i < list->len; i++) {
			if (list->items[i].file && strcmp(list->items[i].file, name) == 0) {
				sorted[n++] = list->items[i];
				list->items[i].file = NULL; /* taken: two texts may have one name */
			}
		}
		qsort(sorted + start, n - start, sizeof(*sorted), by_place);
	}
	list->items = sorted;
}

/* Each is a request to the Engine, and a row. */
static bool within_objects(struct loader *l, const struct node *root)
{
	static const char *const sections[] = {
		"services", "networks", "volumes", "secrets", "configs"};
	bool ok = true;
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		const struct node *n = node_get(root, sections[i]);
		struct path path = {.key = sections[i]};
		if (!node_is(n, NODE_MAP) || n->map.len <= l->limits.objects)
			continue;
		loader_error(l, n->at, &path, "split it into several stacks",
			"%zu %s; %zu are allowed", n->map.len, sections[i], l->limits.objects);
		ok = false;
	}
	return ok;
}

/* The stack's name when the caller gave none: that of the last text that says `name:`. */
static const char *find_name(struct loader *l, struct node *const *roots, bool report)
{
	const struct node *n = NULL;
	struct path path = {.key = "name"};
	const char *name, *wrong;
	for (size_t i = l->in->texts_len; i > 0 && !n; i--) {
		n = roots[i - 1] ? node_get(roots[i - 1], "name") : NULL;
		n = node_is(n, NODE_STRING) ? n : NULL;
	}
	if (!n && report)
		loader_error(l, (struct compose_mark){0}, NULL, "or write name: in the text",
			"give the stack a name");
	if (!n || !interpolate_string(l, l->root, n->text, n->at, &path, &name))
		return NULL;
	wrong = compose_check_name(l->a, name);
	if (wrong && report)
		loader_error(l, n->at, &path, NULL, "%s", wrong);
	return wrong ? NULL : name;
}

/* Texts as trees; NULL where one cannot be read. */
static struct node **read_texts(struct loader *l)
{
	struct node **roots = arena_array(l->a, struct node *, l->in->texts_len + 1);
	for (size_t i = 0; i < l->in->texts_len; i++) {
		roots[i] = yaml_load(l, (uint16_t)i);
		l->incomplete |= !roots[i];
	}
	return roots;
}

static void gather_texts(struct loader *l, struct node **roots)
{
	for (size_t i = 0; i < l->in->texts_len; i++) {
		if (!roots[i])
			continue;
		gather_text(l, roots[i]);
		if (l->in->compat)
			env_files_apply(l, roots[i]);
	}
	check_versions_agree(l, roots, l->in->texts_len);
	if (l->in->compat)
		check_ignored(l, roots, l->in->texts_len);
}

static struct compose_project *load_all(struct loader *l)
{
	if (!within_size(l))
		return NULL;
	struct node **roots = read_texts(l);
	if (!l->name)
		l->name = find_name(l, roots, !l->incomplete);
	gather_texts(l, roots);
	if (l->incomplete || !l->name)
		return NULL; /* what is missing would declare more: no more can be said */
	struct node *merged = roots[0];
	for (size_t i = 1; i < l->in->texts_len; i++)
		merge_text(l, merged, roots[i]);
	merge_finish(merged);
	if (!l->in->compat && !within_objects(l, merged))
		return NULL;
	if (!l->in->compat) {
		profiles_apply(l, merged);
		check_ignored(l, &merged, 1);
		env_files_apply(l, merged);
	}
	struct compose_project *p = decode_project(l, merged);
	validate_project(l, p);
	return p;
}

bool compose_load(struct arena *a, const struct compose_input *in,
	struct compose_project **ret_project, struct compose_problems *errors,
	struct compose_problems *warnings)
{
	struct loader l;
	loader_init(&l, a, in, errors, warnings);
	loader_read_dotenv(&l);
	const char *name = in->name ? compose_check_name(a, in->name) : NULL;
	if (name)
		loader_error(&l, (struct compose_mark){0}, NULL, NULL, "%s", name);
	struct compose_project *p = name ? NULL : load_all(&l);
	loader_finish(&l);
	sort_problems(&l, errors);
	sort_problems(&l, warnings);
	if (errors->len || !p)
		return false;
	*ret_project = p;
	return true;
}

const char *compose_text_name(struct arena *a, const struct compose_input *in)
{
	struct loader l;
	struct compose_problems errors, warnings;
	loader_init(&l, a, in, &errors, &warnings);
	loader_read_dotenv(&l);
	const char *name = find_name(&l, read_texts(&l), false);
	loader_finish(&l);
	return name;
}

const char *compose_check_name(struct arena *a, const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	struct str s = str_of(name);
	if (str_trim(s).len == 0)
		return arena_fmt(a, "invalid stack name: \"%s\"", name ? name : "");
	for (size_t i = 0; i < s.len; i++)
		if (!strchr(letters, s.ptr[i]) && !strchr("_-", s.ptr[i]))
			return arena_fmt(a,
				"invalid stack name: \"%s\": letters, digits, '_' and '-' only, "
				"as the Engine's services are called <stack>_<service>",
				name);
	if (!strchr(letters, s.ptr[0]) || s.len > 61)
		return arena_fmt(a,
			"invalid stack name: \"%s\": it begins with a letter or digit and has 61 "
			"characters at most",
			name);
	return NULL;
}

char *compose_problem_text(struct arena *a, const struct compose_problem *p)
{
	const char *hint = *p->hint ? arena_fmt(a, " (%s)", p->hint) : "";
	if (!*p->file)
		return arena_fmt(a, "%s%s", p->message, hint);
	if (p->line == 0)
		return arena_fmt(a, "%s: %s%s", p->file, p->message, hint);
	return arena_fmt(a, "%s:%u:%u: %s%s", p->file, p->line, p->column, p->message, hint);
}
