#include "db/call.h"
#include <stdlib.h>
#include "base/mem.h"
#include "crypto/crypto.h"

/* All of them begin: $1 scope, $2 requester, $3 request id. */
static const struct pg_stmt request_forget = {"request_forget",
	/* One that is older than a day does not count. */
	"delete from request_ids where scope = $1 and actor = $2 and request_id = $3"
	" and created_at < now() - interval '24 hours'"};
static const struct pg_stmt request_remember = {"request_remember",
	/* Waits for one that inserts the same id just now, then violates request_ids_pkey. */
	"insert into request_ids (scope, actor, request_id, method, fingerprint, result_id)"
	" values ($1, $2, $3, $4, $5, skep_uuid($6))"};
#define OTHER_REQUEST \
	" when q.method <> $4 or q.fingerprint <> $5 then skep_raise(9, format(" \
	"  'request id \"%s\" was used for another request within the last 24 hours:" \
		" take a new one', $3::text))"
static const struct pg_stmt request_recall = {"request_recall",
	"select case" OTHER_REQUEST " end from request_ids q"
	" where q.scope = $1 and q.actor = $2 and q.request_id = $3 and q.created_at >= now() - interval '24 hours'"};
static const struct pg_stmt request_check = {"request_check",
	"select case"
	" when q.request_id is null"
	"  then skep_raise(14, 'the first answer has just expired: send it again')"
	OTHER_REQUEST
	" end from (select) one"
	" left join request_ids q on q.scope = $1 and q.actor = $2 and q.request_id = $3"};
static const struct pg_stmt no_key = {"no_key",
	"select skep_raise(14, 'there is no key file yet: skepd still looks whether the database needs"
	" an old one')"};
const struct pg_stmt db_fence = {"fence", "select skep_fence(skep_uuid($1), $2)"};

/* What a violated constraint means to the caller: before "subject" after. */
static const struct {
	const char *constraint;
	enum st_code code;
	const char *before, *after;
} violations[] = {
	{"projects_name_key", ST_ALREADY_EXISTS, "project ",
		" exists already: choose another name"},
	{"projects_name_form", ST_INVALID_ARGUMENT, "project name ",
		" must be at most 40 lower-case letters, digits and hyphens, start"
		" and end with a letter or digit, and not look like an id"},
	{"orchestration_stacks_name_form", ST_INVALID_ARGUMENT, "stack name ",
		" must be at most 40 lower-case letters, digits, hyphens and underscores, start"
		" and end with a letter or digit, and not look like an id"},
	{"orchestration_stacks_namespace_form", ST_INVALID_ARGUMENT, "the namespace of stack ",
		" must be lower-case letters, digits, hyphens and underscores, and start"
		" and end with a letter or digit"},
	{"orchestration_stacks_namespace_key", ST_ALREADY_EXISTS, "the namespace of stack ",
		" is taken: give it another one"},
	{"network_assignments_name_key", ST_ALREADY_EXISTS, "a network name of stack ",
		" is taken by another stack"},
	{"schedules_name_key", ST_ALREADY_EXISTS, "schedule ",
		" exists already: choose another name, or update it"},
	{"schedules_name_form", ST_INVALID_ARGUMENT, "schedule name ",
		" must be at most 40 lower-case letters, digits, hyphens and underscores, start"
		" and end with a letter or digit, and not look like an id"},
	{"api_tokens_admin_everywhere", ST_INVALID_ARGUMENT, "token ",
		" is of one project: its role can be viewer, deployer or owner"},
};

/* The failure in the words of this layer. */
static struct status explain(const struct db_call *c, const struct status *st,
	const struct pg_results *r)
{
	const char *constraint = pg_constraint(r);
	for (size_t i = 0; constraint[0] && i < sizeof violations / sizeof violations[0]; i++)
		if (strcmp(violations[i].constraint, constraint) == 0)
			return status_err(violations[i].code, "%s\"%s\"%s", violations[i].before,
				c->subject ? c->subject : "", violations[i].after);
	/* ABORTED means "not yours any more" to a worker; a deadlock is only worth another try. */
	if (strncmp(pg_sqlstate(r), "40", 2) == 0)
		return status_err(ST_UNAVAILABLE,
			"the database was busy with the same rows, try again: %s", st->message);
	/* It is the server that was too slow, not the caller's own limit. */
	enum st_code code = st->code == ST_DEADLINE_EXCEEDED ? ST_UNAVAILABLE : st->code;
	if (pg_was_sent(r) && c->request.id)
		return status_err(code,
			"%s (it may have been done: send it again with the same request id)",
			st->message);
	return code == st->code ? *st : status_make(code, st->origin, "%s", st->message);
}

static void on_results(void *data, const struct status *st, const struct pg_results *r)
{
	struct db_call *c = data;
	c->batch = NULL;
	if (status_is_ok(st)) {
		c->deliver(c, st, r);
	} else {
		if (c->recover && c->recover(c, r))
			return;
		struct status why = explain(c, st, r);
		c->deliver(c, &why, NULL);
	}
	arena_destroy(c->arena);
	free(c);
}

struct db_call *db_call_create(struct db *db, void *data)
{
	struct db_call *c = mem_new(struct db_call);
	c->db = db_pg_of(db);
	c->arena = arena_create_small();
	c->batch = pg_batch_create(c->db->pg);
	c->data = data;
	return c;
}

struct db_call *call_run(struct db_call *c,
	void (*deliver)(struct db_call *c, const struct status *st, const struct pg_results *r))
{
	c->deliver = deliver;
	c->batch = pg_run(c->batch, DB_DEADLINE_MS, on_results, c);
	return c;
}

void call_deliver_plain(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	(void)r;
	c->done.plain(c->data, st);
}

void call_seal(struct db_call *c, struct str aad, struct str plain, struct buf *ret_sealed)
{
	if (keyring_is_empty(c->db->keyring))
		call_add(c, &no_key);
	else
		crypto_seal(c->db->keyring, aad, plain, ret_sealed);
}

/* ---- request ids ---- */

static void bind_request(struct db_call *c)
{
	const struct call_request *q = &c->request;
	call_bind(c, q->scope);
	call_bind(c, q->requester);
	call_bind(c, q->id);
}

static void bind_request_content(struct db_call *c)
{
	call_bind(c, c->request.method);
	pg_bind_bytes(c->batch, c->request.fingerprint);
}

/* The request was answered before: read that answer instead. */
static bool replay(struct db_call *c, const struct pg_results *r)
{
	if (strcmp(pg_constraint(r), "request_ids_pkey") != 0)
		return false;
	c->recover = NULL;
	c->batch = pg_batch_create(c->db->pg);
	call_add(c, &request_check);
	bind_request(c);
	bind_request_content(c);
	if (c->request.replay) {
		call_add(c, c->request.replay);
		bind_request(c);
	}
	call_run(c, c->deliver);
	return true;
}

const char *call_requester(const struct db_scope *s)
{
	return s->token_id && s->token_id[0] ? s->token_id : s->actor;
}

static void keep_request(struct db_call *c, const struct db_scope *s, const struct pg_stmt *replay_stmt)
{
	c->request = (struct call_request){
		.scope = arena_strdup(c->arena, s->project_id),
		.requester = arena_strdup(c->arena, call_requester(s)),
		.id = arena_strdup(c->arena, s->request_id),
		.method = arena_strdup(c->arena, s->method),
		.fingerprint = {str_dup(c->arena, s->fingerprint), s->fingerprint.len},
		.replay = replay_stmt,
	};
}

void call_recall(struct db_call *c, const struct db_scope *s, const struct pg_stmt *replay_stmt)
{
	keep_request(c, s, replay_stmt);
	call_add(c, &request_recall);
	bind_request(c);
	bind_request_content(c);
	call_add(c, replay_stmt);
	bind_request(c);
}

void call_once(struct db_call *c, const struct db_scope *s, const char *result_id,
	const struct pg_stmt *replay_stmt)
{
	if (!s->request_id || !s->request_id[0])
		return;
	keep_request(c, s, replay_stmt);
	c->recover = replay;
	call_add(c, &request_forget);
	bind_request(c);
	call_add(c, &request_remember);
	bind_request(c);
	bind_request_content(c);
	call_bind(c, result_id);
}

/* ---- binding ---- */

const char *call_uuid(struct db_call *c)
{
	struct uuid id = uuid_v7(&c->db->clock, c->db->rng);
	return arena_strdup(c->arena, id.text);
}

void call_add(struct db_call *c, const struct pg_stmt *s)
{
	pg_add(c->batch, s);
}

void call_add_text(struct db_call *c, const struct pg_stmt *s, const char *text)
{
	call_add(c, s);
	call_bind(c, text);
}

void call_bind(struct db_call *c, const char *text)
{
	pg_bind_text(c->batch, text ? text : "");
}

void call_bind_lossy(struct db_call *c, const char *text)
{
	pg_bind_text(c->batch, str_lossy(c->arena, str_of(text)));
}

void call_json_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_lossy(str_of(text)));
}

void call_bind_id(struct db_call *c, const char *id)
{
	pg_bind_text(c->batch, id && id[0] ? id : NULL);
}

void call_bind_scope(struct db_call *c, const struct db_scope *s)
{
	call_bind_id(c, s->project_id);
}

unsigned call_page_size(struct db_call *c, const struct db_page *page)
{
	c->page_size = page->size < 1 ? 1 : page->size > 500 ? 500 : page->size;
	return c->page_size;
}

void call_bind_page(struct db_call *c, const struct db_page *page)
{
	struct uuid before;
	unsigned size = call_page_size(c, page);
	/* What is no id comes from no page of ours: the list starts anew. */
	call_bind_id(c, page->before && uuid_parse(page->before, &before) ? before.text : NULL);
	pg_bind_i64(c->batch, (int64_t)size + 1);
}

void call_bind_audit(struct db_call *c, const struct db_scope *s)
{
	call_bind_audit_as(c, s, call_uuid(c));
}

void call_bind_audit_as(struct db_call *c, const struct db_scope *s, const char *id)
{
	call_bind_id(c, id);
	call_bind(c, s->actor);
	call_bind(c, s->method);
	call_bind(c, s->request_id);
}

void call_fence(struct db_call *c, const char *job_id, int epoch)
{
	call_add_text(c, &db_fence, job_id);
	pg_bind_i64(c->batch, epoch);
}

/* ---- reading ---- */

const char *next_text(struct cursor *c)
{
	return pg_text(c->r, c->stmt, c->row, c->col++);
}

struct uuid next_uuid(struct cursor *c)
{
	struct uuid id = {""};
	const char *text = next_text(c);
	if (strlen(text) == UUID_LEN)
		memcpy(id.text, text, UUID_LEN + 1);
	return id;
}

int64_t next_i64(struct cursor *c)
{
	return pg_i64(c->r, c->stmt, c->row, c->col++);
}

int next_int(struct cursor *c) /* of SQL's type integer */
{
	return (int)next_i64(c);
}

bool next_bool(struct cursor *c)
{
	return pg_bool(c->r, c->stmt, c->row, c->col++);
}

struct str next_str(struct cursor *c)
{
	return pg_str(c->r, c->stmt, c->row, c->col++);
}

int next_enum(struct cursor *c, const char *const *names)
{
	const char *text = next_text(c);
	for (int i = 1; names[i]; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	return 0;
}

const char *const *next_texts(struct cursor *c, size_t *ret_n)
{
	json_t *list;
	*ret_n = 0;
	struct status st = json_parse(next_str(c), &list);
	if (!status_is_ok(&st))
		return NULL; /* null */
	size_t n = json_array_size(list);
	const char **texts = arena_array(c->call->arena, const char *, n);
	for (size_t i = 0; i < n; i++)
		texts[i] = arena_strdup(c->call->arena, json_text(json_array_get(list, i), "", ""));
	json_decref(list);
	*ret_n = n;
	return texts;
}

size_t call_page_rows(const struct db_call *c, const struct pg_results *r, size_t stmt,
	bool *ret_more)
{
	size_t n = (size_t)pg_rows(r, stmt);
	*ret_more = n > c->page_size;
	return *ret_more ? c->page_size : n;
}

struct status call_need_row(const struct db_call *c, const struct pg_results *r, const char *what)
{
	if (pg_rows(r, call_last(r)) > 0)
		return status_ok();
	return status_err(ST_NOT_FOUND, "the %s%s%s%s does not exist any more", what,
		c->request.id ? " that request \"" : "", c->request.id ? c->request.id : "",
		c->request.id ? "\" made" : "");
}
