#include "db/registries.h"
#include <string.h>
#include "crypto/crypto.h"
#include "db/call.h"

#define COLUMNS \
	"r.id, r.project_id, r.host, r.username, skep_us(r.created_at), skep_us(r.updated_at)"

enum { LOCK, CLEAR, PUT, NEED_ROOM, REPLAY, GET, LIST, FIND, AUDIT, DELETE, LOAD, MATCH };
static const struct pg_stmt sql[] = {
	/* $1 project, $2 scope */
	[LOCK] = {"registry_lock", "select skep_lock_project($1, $2)"},
	/* $3 host. A row of its own each time: the password is sealed to its id. */
	[CLEAR] = {"registry_clear",
		"delete from registries where project_id = skep_project($1, $2) and host = $3"},
	/* $4 id, $5 username, $6 password */
	[PUT] = {"registry_put",
		"insert into registries (project_id, host, id, username, password)"
		" values (skep_project($1, $2), $3, $4, $5, $6)"},
	[NEED_ROOM] = {"registry_need_room",
		"select skep_raise(8, format('the project has credentials for %s registries, and"
		" takes no more: remove some', count(*) - 1)) from registries"
		" where project_id = skep_project($1, $2) having count(*) > $3"},
	[REPLAY] = {"registry_replay",
		"select " COLUMNS " from registries r where r.id = " REPLAYED_ID},
	[GET] = {"registry_get", "select " COLUMNS " from registries r where r.id = $1"},
	[LIST] = {"registry_list",
		"select " COLUMNS " from registries r where r.project_id = skep_project($1, $2)"
		" and ($3::uuid is null or r.id < $3) order by r.id desc limit $4"},
	/* $3 host */
	[FIND] = {"registry_find",
		"select skep_raise(5, format('the project has no credentials for registry \"%s\"',"
		" $3::text)) where not exists (select from registries"
		"  where project_id = skep_project($1, $2) and host = $3)"},
	/* $3 host, $4 etag */
	[MATCH] = {"registry_match",
		"select skep_raise(10, format('the credentials for registry \"%s\" have been changed"
		" since: list them again', $3::text)) where not exists (select from registries"
		"  where project_id = skep_project($1, $2) and host = $3 and id::text = $4)"},
	/* $5 project, $6 scope, $7 host */
	[AUDIT] = {"registry_audit",
		"insert into audit_log (id, actor, method, request_id, project_id, target, detail)"
		" select $1, $2, $3, $4, r.project_id, 'registry/' || r.host,"
		"  jsonb_build_object('username', r.username)"
		" from registries r where r.project_id = skep_project($5, $6) and r.host = $7"},
	[DELETE] = {"registry_delete",
		"delete from registries where project_id = skep_project($1, $2) and host = $3"},
	/* $1 project's id */
	[LOAD] = {"registry_load",
		"select " COLUMNS ", r.password from registries r where r.project_id = $1"
		" order by r.host"},
};

static struct str aad_of(struct db_call *c, const char *id)
{
	return str_of(arena_fmt(c->arena, "registries/%s/password", id));
}

/* ---- reading ---- */

static void read_row(struct cursor *at, struct db_registry *r)
{
	r->id = next_uuid(at);
	r->project_id = next_uuid(at);
	r->host = next_text(at);
	r->username = next_text(at);
	r->created_us = next_i64(at);
	r->updated_us = next_i64(at);
	r->password = "";
}

static void deliver(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	struct db_registry row;
	struct status gone = r ? call_need_row(c, r, "registry") : *st;
	if (!status_is_ok(&gone)) {
		c->done.registry(c->data, &gone, NULL);
		return;
	}
	struct cursor at = {c, r, call_last(r), 0, 0};
	read_row(&at, &row);
	c->done.registry(c->data, st, &row);
}

static void deliver_list(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	bool more = false;
	size_t n = r ? call_page_rows(c, r, 0, &more) : 0;
	struct db_registry *list = arena_array(c->arena, struct db_registry, n);
	for (size_t i = 0; i < n; i++) {
		struct cursor at = {c, r, 0, (int)i, 0};
		read_row(&at, &list[i]);
	}
	c->done.registries(c->data, st, list, n, more);
}

/* A password does not stay in freed memory. */
static void wipe(void *password)
{
	explicit_bzero(password, strlen(password));
}

static struct status open_password(struct db_call *c, struct cursor *at, struct db_registry *r)
{
	struct buf b = {0};
	struct status st = crypto_open(c->db->keyring, aad_of(c, r->id.text),
		pg_bytes(at->r, at->stmt, at->row, at->col), &b);
	if (status_is_ok(&st)) {
		char *password = arena_strndup(c->arena, buf_str(&b).ptr, b.len);
		arena_on_free(c->arena, wipe, password);
		r->password = password;
		explicit_bzero(b.ptr, b.len);
	}
	buf_finish(&b);
	return status_wrap(&st, "the password for registry %s", r->host);
}

static void deliver_loaded(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	size_t n = r ? (size_t)pg_rows(r, 0) : 0;
	struct db_registry *list = arena_array(c->arena, struct db_registry, n);
	struct status result = *st;
	for (size_t i = 0; i < n && status_is_ok(&result); i++) {
		struct cursor at = {c, r, 0, (int)i, 0};
		read_row(&at, &list[i]);
		result = open_password(c, &at, &list[i]);
	}
	c->done.registries(c->data, &result, list, status_is_ok(&result) ? n : 0, false);
}

/* ---- the operations ---- */

static void add(struct db_call *c, const struct pg_stmt *s, const char *project,
	const struct db_scope *scope)
{
	call_add_text(c, s, project);
	call_bind_scope(c, scope);
}

static void add_audit(struct db_call *c, const struct db_scope *s, const char *project,
	const char *host)
{
	call_add(c, &sql[AUDIT]);
	call_bind_audit(c, s);
	call_bind(c, project);
	call_bind_scope(c, s);
	call_bind(c, host);
}

/* A row never changes: its id is its version. */
static void add_match(struct db_call *c, const struct db_scope *s, const char *project,
	const char *host, const char *etag)
{
	if (!etag || !etag[0])
		return;
	add(c, &sql[MATCH], project, s);
	call_bind(c, host);
	call_bind(c, etag);
}

static void deliver_recalled(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	if (r && pg_rows(r, 0) == 0)
		c->done.registry(c->data, st, NULL);
	else
		deliver(c, st, r);
}

static struct db_call *recall(struct db *db, const struct db_scope *s, db_registry_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.registry = done;
	call_recall(c, s, &sql[REPLAY]);
	return call_run(c, deliver_recalled);
}

static struct db_call *set(struct db *db, const struct db_scope *s,
	const struct db_registry_set *r, db_registry_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char *id = call_uuid(c);
	struct buf sealed = {0};
	c->done.registry = done;
	c->subject = arena_strdup(c->arena, r->host);
	call_once(c, s, id, &sql[REPLAY]);
	add(c, &sql[LOCK], r->project, s);
	add_match(c, s, r->project, r->host, r->etag);
	add(c, &sql[CLEAR], r->project, s);
	call_bind(c, r->host);
	call_seal(c, aad_of(c, id), str_of(r->password), &sealed);
	add(c, &sql[PUT], r->project, s);
	call_bind(c, r->host);
	call_bind_id(c, id);
	call_bind(c, r->username);
	pg_bind_bytes(c->batch, buf_str(&sealed));
	buf_finish(&sealed);
	add(c, &sql[NEED_ROOM], r->project, s);
	pg_bind_i64(c->batch, DB_REGISTRIES_MAX);
	add_audit(c, s, r->project, r->host);
	call_add(c, &sql[GET]);
	call_bind_id(c, id);
	return call_run(c, deliver);
}

static struct db_call *list(struct db *db, const struct db_scope *s, const char *project,
	const struct db_page *page, db_registries_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.registries = done;
	add(c, &sql[LIST], project, s);
	call_bind_page(c, page);
	return call_run(c, deliver_list);
}

static struct db_call *remove_(struct db *db, const struct db_scope *s, const char *project,
	const char *host, const char *etag, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_once(c, s, "", NULL);
	add(c, &sql[LOCK], project, s);
	add(c, &sql[FIND], project, s);
	call_bind(c, host);
	add_match(c, s, project, host, etag);
	add_audit(c, s, project, host);
	add(c, &sql[DELETE], project, s);
	call_bind(c, host);
	return call_run(c, call_deliver_plain);
}

static struct db_call *load(struct db *db, const char *project_id, db_registries_done done,
	void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.registries = done;
	call_add(c, &sql[LOAD]);
	call_bind_id(c, project_id);
	return call_run(c, deliver_loaded);
}

const struct db_registry_ops db_pg_registries = {set, recall, list, remove_, load};
