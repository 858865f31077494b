/* interpolate: ${…} in values, never in keys. Two dialects: the Compose specification's
 * (nested defaults, :+) and docker's, whose quirks users of `docker stack deploy` may lean on:
 * its pattern is $$ | $name[op…] | ${name[op…]}, where op is one of :- - :? ? and all up to
 * the next brace belongs to it, and the first of ":-", "-", ":?", "?" that occurs anywhere decides.
 */
#include "compose/loader.h"
#include <stdlib.h>
#include <string.h>

enum {
	MAX_EXPANDED = 8 * 1024 * 1024, /* bytes made by substitution in one load */
	MAX_NESTING = 16,               /* ${A:-${B:-…}} */
};

struct result {
	struct loader *l;
	const struct env_scope *scope;
	struct buf out;
	const char *error; /* what is wrong; NULL = fine */
	bool missing;      /* the error is a required variable, not the template's form */
};

static bool name_start(char c)
{
	return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t name_len(struct str s)
{
	size_t n = 0;
	while (n < s.len && (name_start(s.ptr[n]) || (n && s.ptr[n] >= '0' && s.ptr[n] <= '9')))
		n++;
	return n;
}

static const char *lookup(struct result *r, struct str name)
{
	return loader_lookup(r->l, r->scope, name);
}

static void emit(struct result *r, struct str s)
{
	r->l->expanded += s.len;
	if (r->l->expanded > MAX_EXPANDED)
		r->error = "variables make the text longer than 8 MiB";
	else
		buf_add_str(&r->out, s);
}

static void missing(struct result *r, struct str name, struct str why)
{
	r->missing = true;
	r->error = arena_fmt(r->l->a, "required variable " STR_FMT " is missing a value: " STR_FMT,
		STR_ARG(name), STR_ARG(why));
}

/* ---- docker's dialect ---- */

/* Splits at the first `sep`, wherever it stands. */
static bool split(struct str s, const char *sep, struct str *ret_before, struct str *ret_after)
{
	const char *at = memmem(s.ptr, s.len, sep, strlen(sep));
	if (!at)
		return false;
	*ret_before = str_make(s.ptr, (size_t)(at - s.ptr));
	size_t skip = ret_before->len + strlen(sep);
	*ret_after = str_make(s.ptr + skip, s.len - skip);
	return true;
}

static void docker_variable(struct result *r, struct str body)
{
	struct str name, rest;
	r->error = NULL; /* a later variable that is fine forgives an earlier one */
	if (split(body, ":-", &name, &rest)) {
		const char *v = lookup(r, name);
		emit(r, v && *v ? str_of(v) : rest);
	} else if (split(body, "-", &name, &rest)) {
		const char *v = lookup(r, name);
		emit(r, v ? str_of(v) : rest);
	} else if (split(body, ":?", &name, &rest)) {
		const char *v = lookup(r, name);
		if (v && *v)
			emit(r, str_of(v));
		else
			missing(r, name, rest);
	} else if (split(body, "?", &name, &rest)) {
		const char *v = lookup(r, name);
		if (v)
			emit(r, str_of(v));
		else
			missing(r, name, rest);
	} else {
		emit(r, str_of(lookup(r, body)));
	}
}

/* The length of name[op…]; 0 when there is no name. */
static size_t docker_body(struct str s)
{
	size_t n = name_len(s);
	if (n == 0)
		return 0;
	size_t op = n + (n < s.len && s.ptr[n] == ':' ? 1 : 0);
	if (op < s.len && (s.ptr[op] == '-' || s.ptr[op] == '?')) {
		const char *brace = memchr(s.ptr + op, '}', s.len - op);
		return brace ? (size_t)(brace - s.ptr) : s.len;
	}
	return n;
}

/* What follows a '$': returns how much of it was taken. *ret_body is empty for "$$" and for what
 * has no form. */
static size_t docker_take(struct str rest, struct str *ret_body, bool *ret_escaped)
{
	*ret_body = str_make(rest.ptr, 0);
	*ret_escaped = rest.len && rest.ptr[0] == '$';
	if (*ret_escaped)
		return 1;
	bool braced = rest.len && rest.ptr[0] == '{';
	struct str inner = str_make(rest.ptr + (braced ? 1 : 0), rest.len - (braced ? 1 : 0));
	size_t n = docker_body(inner);
	if (n == 0 || (braced && (n == inner.len || inner.ptr[n] != '}')))
		return 0;
	*ret_body = str_make(inner.ptr, n);
	return n + (braced ? 2 : 0);
}

static void docker_expand(struct result *r, struct str s)
{
	while (s.len) {
		const char *dollar = memchr(s.ptr, '$', s.len);
		size_t plain = dollar ? (size_t)(dollar - s.ptr) : s.len;
		buf_add(&r->out, s.ptr, plain);
		if (!dollar)
			return;
		s = str_make(dollar + 1, s.len - plain - 1);
		struct str body;
		bool escaped;
		size_t taken = docker_take(s, &body, &escaped);
		if (escaped)
			buf_addc(&r->out, '$');
		else if (body.len)
			docker_variable(r, body);
		else
			r->error = "";
		s = str_make(s.ptr + taken, s.len - taken);
	}
}

/* ---- the Compose specification's dialect ---- */

/* The offset of the brace that closes a "${" whose inside begins at s; s.len when there is none. */
static size_t closing(struct str s)
{
	size_t depth = 1;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '$' && i + 1 < s.len && s.ptr[i + 1] == '$') {
			i++;
		} else if (s.ptr[i] == '$' && i + 1 < s.len && s.ptr[i + 1] == '{') {
			depth++;
			i++;
		} else if (s.ptr[i] == '}' && --depth == 0) {
			return i;
		}
	}
	return s.len;
}

static void spec_expand(struct result *r, struct str s, size_t nesting);

/* ${name}, ${name:-x}, ${name-x}, ${name:?x}, ${name?x}, ${name:+x}, ${name+x} */
static void spec_braced(struct result *r, struct str inner, size_t nesting)
{
	size_t n = name_len(inner);
	struct str name = str_make(inner.ptr, n);
	struct str op = str_make(inner.ptr + n, inner.len - n);
	if (n == 0) {
		r->error = "";
		return;
	}
	const char *value = lookup(r, name);
	if (op.len == 0) {
		emit(r, str_of(value));
		return;
	}
	bool colon = op.ptr[0] == ':';
	char kind = op.len > (colon ? 1u : 0u) ? op.ptr[colon ? 1 : 0] : '\0';
	size_t skip = colon ? 2 : 1;
	struct str word =
		op.len >= skip ? str_make(op.ptr + skip, op.len - skip) : str_make(op.ptr, 0);
	bool present = value && (!colon || *value);
	if (kind == '-' && present)
		emit(r, str_of(value));
	else if (kind == '-' || (kind == '+' && present))
		spec_expand(r, word, nesting + 1);
	else if (kind == '?' && present)
		emit(r, str_of(value));
	else if (kind == '?')
		missing(r, name, word);
	else if (kind != '+')
		r->error = "";
}

static void spec_expand(struct result *r, struct str s, size_t nesting)
{
	if (nesting > MAX_NESTING)
		r->error = "variables are nested too deep";
	while (s.len && !r->error) {
		const char *dollar = memchr(s.ptr, '$', s.len);
		size_t plain = dollar ? (size_t)(dollar - s.ptr) : s.len;
		buf_add(&r->out, s.ptr, plain);
		if (!dollar)
			return;
		s = str_make(dollar + 1, s.len - plain - 1);
		size_t taken = name_len(s);
		if (s.len && s.ptr[0] == '$') {
			buf_addc(&r->out, '$');
			taken = 1;
		} else if (s.len && s.ptr[0] == '{') {
			struct str inner = str_make(s.ptr + 1, s.len - 1);
			size_t end = closing(inner);
			if (end == inner.len)
				r->error = "";
			else
				spec_braced(r, str_make(inner.ptr, end), nesting);
			taken = end + 2;
		} else if (taken) {
			emit(r, str_of(lookup(r, str_make(s.ptr, taken))));
		} else {
			r->error = "";
		}
		if (!r->error)
			s = str_make(s.ptr + taken, s.len - taken);
	}
}

/* ---- strings and trees ---- */

static void report(
	struct result *r, const char *text, struct compose_mark at, const struct path *path)
{
	struct loader *l = r->l;
	if (r->missing && !l->in->compat)
		loader_error(l, at, path, "give the variable, or a default: ${NAME:-default}", "%s",
			r->error);
	else if (*r->error && !r->missing)
		loader_error(l, at, path, NULL, "%s", r->error);
	else
		loader_error(l, at, path, "a variable is $NAME or ${NAME}",
			"invalid interpolation format for %s: \"%s\"; you may need to escape any $ "
			"with another $",
			path_text(l->a, path, PATH_BLANK), *r->error ? r->error : text);
}

bool interpolate_string(struct loader *l, const struct env_scope *scope, const char *text,
	struct compose_mark at, const struct path *path, const char **ret_text)
{
	*ret_text = text;
	if (!strchr(text, '$'))
		return true;
	struct result r = {.l = l, .scope = scope};
	if (l->in->compat)
		docker_expand(&r, str_of(text));
	else
		spec_expand(&r, str_of(text), 0);
	bool ok = !r.error;
	if (!ok && !l->lenient)
		report(&r, text, at, path);
	else if (ok && !str_is(buf_str(&r.out), text))
		*ret_text = str_dup(l->a, buf_str(&r.out));
	buf_finish(&r.out);
	return ok;
}

static void walk(struct loader *l, struct node *n, const struct path *path)
{
	if (n->kind == NODE_STRING) {
		const char *text = n->text;
		interpolate_string(l, loader_scope_at(l, n->at), text, n->at, path, &n->text);
		n->substituted = n->text != text;
	} else if (n->kind == NODE_SEQ) {
		for (size_t i = 0; i < n->seq.len; i++)
			walk(l, n->seq.items[i], &(struct path){.up = path, .index = i});
	} else if (n->kind == NODE_MAP) {
		for (size_t i = 0; i < n->map.len; i++)
			walk(l, n->map.entries[i].value,
				&(struct path){.up = path, .key = n->map.entries[i].key});
	}
}

void interpolate_text(struct loader *l, struct node *root)
{
	for (size_t i = 0; node_is(root, NODE_MAP) && i < root->map.len; i++) {
		const struct node_entry *e = &root->map.entries[i];
		struct path path = {.key = e->key};
		const char *unused;
		if (strcmp(e->key, "version") != 0)
			walk(l, e->value, &path);
		else if (l->in->compat && e->value->kind == NODE_STRING)
			/* docker read it before, but does not let a mistake in it pass */
			interpolate_string(
				l, l->root, e->value->text, e->value->at, &path, &unused);
	}
}

void interpolate_names(struct arena *a, const char *text, bool compat,
	void (*fn)(void *data, const char *name, bool with_default), void *data)
{
	struct str s = str_of(text);
	for (size_t i = 0; i + 1 < s.len; i++) {
		if (s.ptr[i] != '$')
			continue;
		if (s.ptr[i + 1] == '$') {
			i++;
			continue;
		}
		size_t skip = s.ptr[i + 1] == '{' ? 2 : 1;
		struct str rest = str_make(s.ptr + i + skip, s.len - i - skip);
		size_t n = name_len(rest);
		if (n == 0)
			continue;
		size_t op = n + (n < rest.len && rest.ptr[n] == ':' ? 1 : 0);
		bool brings = op < rest.len && (rest.ptr[op] == '-' || rest.ptr[op] == '+') &&
			      (skip == 2 || compat);
		fn(data, arena_strndup(a, rest.ptr, n), brings);
		i += skip + n - 1; /* a default is scanned on: it may name more */
	}
}
