#include "pg/batch.h"
#include <math.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"

/* Ours on the server is "<name>.<version>", and PostgreSQL cuts names at 63 bytes. */
#define NAME_MAX_LEN  50
#define PARAMS_MAX    65535
#define VALUE_MAX_LEN ((size_t)1 << 30)

struct pg_batch *pg_batch_create(struct pg *pg)
{
	struct pg_batch *b = mem_new(struct pg_batch);
	b->pg = pg;
	b->arena = b->results.arena = arena_create_small();
	b->mistake = status_ok();
	list_init(&b->all);
	list_init(&b->node);
	return b;
}

void batch_free(struct pg_batch *b)
{
	batch_clear_results(b);
	free(b->results.list);
	free(b->items);
	free(b->values);
	free(b->lengths);
	free(b->formats);
	arena_destroy(b->arena);
	free(b);
}

void pg_batch_destroy(struct pg_batch *b)
{
	if (b)
		batch_free(b);
}

/* pg_run reports it: building is free of error checks. */
static void mistake(struct pg_batch *b, const struct status *st)
{
	if (status_is_ok(&b->mistake))
		b->mistake = *st;
}

static void mistake_not_alone(struct pg_batch *b)
{
	struct status st = status_err(ST_INTERNAL, "a script must be alone in its batch");
	mistake(b, &st);
}

void pg_add(struct pg_batch *b, const struct pg_stmt *s)
{
	if (b->script)
		mistake_not_alone(b);
	if (strlen(s->name) > NAME_MAX_LEN) {
		struct status st = status_err(ST_INTERNAL,
			"the statement name \"%s\" is longer than %d bytes", s->name, NAME_MAX_LEN);
		mistake(b, &st);
	}
	if (b->nitems == b->items_cap) {
		b->items_cap = b->items_cap ? b->items_cap * 2 : 4;
		b->items = mem_realloc_array(b->items, sizeof *b->items, b->items_cap);
	}
	b->items[b->nitems++] = (struct pg_item){.stmt = s, .first_param = b->nparams};
}

void pg_add_script(struct pg_batch *b, const char *sql)
{
	if (b->script || b->nitems)
		mistake_not_alone(b);
	else
		b->script = arena_strdup(b->arena, sql);
}

/* ---- parameters ---- */

/* value lives in the arena; len counts for binary ones only. */
static void bind(struct pg_batch *b, const char *value, size_t len, int format)
{
	struct status st = status_ok();
	if (b->nitems == 0)
		st = status_err(ST_INTERNAL, "a parameter is bound before any statement");
	else if (b->items[b->nitems - 1].nparams == PARAMS_MAX)
		st = status_err(
			ST_INTERNAL, "more than %d parameters in one statement", PARAMS_MAX);
	else if (len > VALUE_MAX_LEN)
		st = status_err(ST_INVALID_ARGUMENT,
			"a value of %zu bytes is too large for PostgreSQL", len);
	if (!status_is_ok(&st)) {
		mistake(b, &st);
		return;
	}
	if (b->nparams == b->params_cap) {
		size_t cap = b->params_cap = b->params_cap ? b->params_cap * 2 : 16;
		b->values = mem_realloc_array(b->values, sizeof *b->values, cap);
		b->lengths = mem_realloc_array(b->lengths, sizeof *b->lengths, cap);
		b->formats = mem_realloc_array(b->formats, sizeof *b->formats, cap);
	}
	b->values[b->nparams] = value;
	b->lengths[b->nparams] = (int)len;
	b->formats[b->nparams++] = format;
	b->items[b->nitems - 1].nparams++;
}

void pg_bind_null(struct pg_batch *b)
{
	bind(b, NULL, 0, 0);
}

void pg_bind_text(struct pg_batch *b, const char *text)
{
	bind(b, arena_strdup(b->arena, text), 0, 0);
}

void pg_bind_str(struct pg_batch *b, struct str text)
{
	if (text.len > 0 && memchr(text.ptr, 0, text.len)) {
		struct status st = status_err(ST_INVALID_ARGUMENT,
			"a text holds a NUL byte, which PostgreSQL cannot store");
		mistake(b, &st);
	}
	bind(b, str_dup(b->arena, text), text.len, 0);
}

void pg_bind_i64(struct pg_batch *b, int64_t v)
{
	bind(b, arena_fmt(b->arena, "%lld", (long long)v), 0, 0);
}

void pg_bind_f64(struct pg_batch *b, double v)
{
	const char *text;
	if (isnan(v))
		text = "NaN";
	else if (isinf(v))
		text = v > 0 ? "Infinity" : "-Infinity";
	else
		text = arena_fmt(b->arena, "%.17g", v);
	bind(b, text, 0, 0);
}

void pg_bind_bool(struct pg_batch *b, bool v)
{
	bind(b, v ? "t" : "f", 0, 0);
}

void pg_bind_bytes(struct pg_batch *b, struct str bytes)
{
	bind(b, str_dup(b->arena, bytes), bytes.len, 1);
}

void pg_bind_text_array(struct pg_batch *b, const char *const *texts, size_t n)
{
	struct buf lit = {0};
	buf_addc(&lit, '{');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_addc(&lit, ',');
		if (texts[i] == NULL) {
			buf_adds(&lit, "NULL");
			continue;
		}
		buf_addc(&lit, '"');
		for (const char *p = texts[i]; *p; p++) {
			if (*p == '"' || *p == '\\')
				buf_addc(&lit, '\\');
			buf_addc(&lit, *p);
		}
		buf_addc(&lit, '"');
	}
	buf_addc(&lit, '}');
	bind(b, str_dup(b->arena, buf_str(&lit)), lit.len, 0);
	buf_finish(&lit);
}
