#include "db/tokens.h"
#include "db/call.h"

/* From `api_tokens t left join projects p`. */
#define COLUMNS \
	"t.id, t.name, t.prefix, t.project_id, p.name, t.role, skep_us(t.created_at)," \
	" skep_us(t.expires_at), skep_us(t.last_used_at)"
#define FROM " from api_tokens t left join projects p on p.id = t.project_id "

/* last_used_at: at most one write a minute, and never a wait for another's. */
#define GOOD(which)                                                                              \
	"with good as ("                                                                         \
	"  select * from api_tokens"                                                             \
	"  where " which " and revoked_at is null and expires_at > now()),"                      \
	" stale as ("                                                                            \
	"  select t.id from api_tokens t where t.id = (select id from good)"                     \
	"  and (t.last_used_at is null or t.last_used_at < now() - interval '1 minute')"         \
	"  for update skip locked),"                                                             \
	" touched as ("                                                                          \
	"  update api_tokens t set last_used_at = now() from stale where t.id = stale.id)"       \
	" select " COLUMNS " from good t left join projects p on p.id = t.project_id"

enum { IN_PROJECT, EVERYWHERE, GET, AUTHENTICATE, IDENTIFY, LIST_PROJECT, LIST_ALL, FIND, AUDIT, REVOKE };
static const struct pg_stmt sql[] = {
	[IN_PROJECT] = {"token_create",
		"insert into api_tokens (project_id, id, name, role, prefix, token_hash,"
		"  created_by, expires_at)"
		" values (skep_lock_project($8, $9), $1, $2, $3, $4, $5, $6,"
		"  now() + $7::bigint * interval '1 second')"},
	[EVERYWHERE] = {"token_create_everywhere",
		"insert into api_tokens (id, name, role, prefix, token_hash, created_by,"
		"  expires_at)"
		" select $1, $2, $3, $4, $5, $6, now() + $7::bigint * interval '1 second'"
		" where $8::uuid is null or skep_raise(7,"
		"  'a token for every project takes an administrator: name a project')"},
	[GET] = {"token_get", "select " COLUMNS FROM "where t.id = $1"},
	[AUTHENTICATE] = {"token_authenticate", GOOD("token_hash = $1")},
	[IDENTIFY] = {"token_identify", GOOD("id = skep_uuid($1)")},
	/* $1 project, $2 scope */
	[LIST_PROJECT] = {"token_list_project",
		"select " COLUMNS FROM "where t.project_id = skep_project($1, $2)"
		" and t.revoked_at is null and ($3::uuid is null or t.id < $3)"
		" order by t.id desc limit $4"},
	[LIST_ALL] = {"token_list_all",
		"select " COLUMNS FROM "where t.revoked_at is null"
		" and ($1::uuid is null or t.id < $1) order by t.id desc limit $2"},
	/* $1 id, $2 scope */
	[FIND] = {"token_find",
		"select skep_raise(5, format('token \"%s\" does not exist', $1::text))"
		" where not exists (select from api_tokens"
		"  where id = skep_uuid($1) and ($2::uuid is null or project_id = $2))"},
	[AUDIT] = {"token_audit",
		"insert into audit_log (id, actor, method, request_id, project_id, target, detail)"
		" select $1, $2, $3, $4, t.project_id, 'token/' || t.name,"
		"  jsonb_build_object('id', t.id, 'role', t.role)"
		" from api_tokens t where t.id = skep_uuid($5)"},
	/* A second time changes nothing. */
	[REVOKE] = {"token_revoke",
		"update api_tokens set revoked_at = now()"
		" where id = skep_uuid($1) and revoked_at is null"},
};

static const char *const role_names[] = {NULL, "viewer", "deployer", "owner", "admin", NULL};

static void read_row(struct db_call *c, const struct pg_results *r, size_t stmt, int row,
	struct db_token *t)
{
	struct cursor at = {c, r, stmt, row, 0};
	t->id = next_uuid(&at);
	t->name = next_text(&at);
	t->prefix = next_text(&at);
	t->project_id = next_text(&at);
	t->project = next_text(&at);
	t->role = next_enum(&at, role_names);
	t->created_us = next_i64(&at);
	t->expires_us = next_i64(&at);
	t->last_used_us = next_i64(&at);
}

static void deliver(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	struct db_token t;
	if (!r) {
		c->done.token(c->data, st, NULL);
		return;
	}
	read_row(c, r, call_last(r), 0, &t);
	c->done.token(c->data, st, &t);
}

static void deliver_authenticated(struct db_call *c, const struct status *st,
	const struct pg_results *r)
{
	if (r && pg_rows(r, 0) == 0) {
		struct status unknown = status_err(ST_UNAUTHENTICATED,
			"the token is unknown, expired or revoked");
		c->done.token(c->data, &unknown, NULL);
		return;
	}
	deliver(c, st, r);
}

static void deliver_list(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	bool more = false;
	size_t n = r ? call_page_rows(c, r, 0, &more) : 0;
	struct db_token *tokens = arena_array(c->arena, struct db_token, n);
	for (size_t i = 0; i < n; i++)
		read_row(c, r, 0, (int)i, &tokens[i]);
	c->done.tokens(c->data, st, tokens, n, more);
}

/* No request id here: the answer holds a secret that is stored nowhere. */
static struct db_call *create(struct db *db, const struct db_scope *s,
	const struct db_token_create *t, db_token_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char *id = call_uuid(c);
	bool everywhere = !t->project[0];
	c->done.token = done;
	c->subject = arena_strdup(c->arena, t->name);
	call_add(c, &sql[everywhere ? EVERYWHERE : IN_PROJECT]);
	call_bind_id(c, id);
	call_bind(c, t->name);
	call_bind(c, t->role >= 1 && t->role <= 4 ? role_names[t->role] : "");
	call_bind(c, t->prefix);
	pg_bind_bytes(c->batch, t->hash);
	call_bind(c, s->actor);
	pg_bind_i64(c->batch, t->ttl_s);
	if (!everywhere)
		call_bind(c, t->project);
	call_bind_scope(c, s);
	call_add(c, &sql[AUDIT]);
	call_bind_audit(c, s);
	call_bind(c, id);
	call_add(c, &sql[GET]);
	call_bind_id(c, id);
	return call_run(c, deliver);
}

static struct db_call *authenticate(struct db *db, struct str hash, db_token_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.token = done;
	call_add(c, &sql[AUTHENTICATE]);
	pg_bind_bytes(c->batch, hash);
	return call_run(c, deliver_authenticated);
}

static struct db_call *identify(struct db *db, const char *id, db_token_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.token = done;
	call_add(c, &sql[IDENTIFY]);
	call_bind(c, id);
	return call_run(c, deliver_authenticated);
}

static struct db_call *list(struct db *db, const struct db_scope *s, const char *project,
	const struct db_page *page, db_tokens_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.tokens = done;
	if (project[0] || s->project_id[0]) {
		call_add(c, &sql[LIST_PROJECT]);
		call_bind(c, project);
		call_bind_scope(c, s);
	} else {
		call_add(c, &sql[LIST_ALL]);
	}
	call_bind_page(c, page);
	return call_run(c, deliver_list);
}

static struct db_call *revoke(struct db *db, const struct db_scope *s, const char *id, db_done done,
	void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_once(c, s, "", NULL);
	call_add(c, &sql[FIND]);
	call_bind(c, id);
	call_bind_scope(c, s);
	call_add(c, &sql[REVOKE]);
	call_bind(c, id);
	call_add(c, &sql[AUDIT]);
	call_bind_audit(c, s);
	call_bind(c, id);
	return call_run(c, call_deliver_plain);
}

const struct db_token_ops db_pg_tokens = {create, authenticate, identify, list, revoke};
