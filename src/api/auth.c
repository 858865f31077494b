/* skep.v1.Auth, and the rpc server's question who holds a token. */
#include "skep/v1/methods.h"

#include <stdio.h>
#include <string.h>
#include "api/api.h"
#include "api/convert.h"
#include "auth/auth.h"
#include "base/arena.h"
#include "rpc/server.h"

#define TTL_DEFAULT_S (90LL * 24 * 3600)

/* ---- who holds this token? ---- */

static void on_caller(void *data, const struct status *st, const struct auth_caller *c)
{
	struct rpc_token *token = data;
	struct rpc_caller caller = {.role = RPC_ROLE_NONE};
	if (status_is_ok(st)) {
		caller.role = (enum rpc_role)c->role;
		/* A token's name may be longer than a caller's: cut at a character, not inside one. */
		size_t fits = strlen(c->name) < RPC_NAME_MAX ? strlen(c->name) : RPC_NAME_MAX;
		memcpy(caller.name, c->name, str_utf8_valid_upto(str_make(c->name, fits)));
		memcpy(caller.project_id, c->project_id.text, sizeof(c->project_id.text));
		memcpy(caller.token_id, c->token_id.text, sizeof(c->token_id.text));
	}
	rpc_token_answer(token, st, &caller, status_is_ok(st) ? c->expires_us : 0);
}

void api_authenticate(void *context, struct rpc_token *token, struct str bearer)
{
	const struct api *api = context;
	unsigned char hash[SHA256_LEN];
	struct buf value = {0};
	buf_fmt(&value, "Bearer " STR_FMT, STR_ARG(bearer));
	struct status st = auth_bearer_hash(buf_str(&value), hash);
	explicit_bzero(value.ptr, value.len);
	buf_finish(&value);
	if (status_is_ok(&st))
		(void)auth_authenticate(api->db, hash, on_caller, token);
	else
		rpc_token_answer(token, &st, NULL, 0);
}

void api_identify(void *context, struct rpc_token *token, struct str token_id)
{
	const struct api *api = context;
	struct uuid id;
	char text[sizeof(id.text)] = "";
	if (token_id.len < sizeof(text))
		memcpy(text, token_id.ptr, token_id.len);
	if (uuid_parse(text, &id)) {
		(void)auth_identify(api->db, &id, on_caller, token);
		return;
	}
	struct status st = status_err(ST_UNAUTHENTICATED, "the client certificate names urn:skep:token:" STR_FMT ", and that is no "
		"token's id", STR_ARG(token_id));
	rpc_token_answer(token, &st, NULL, 0);
}

static struct auth_caller caller_of(const struct rpc_call *call)
{
	const struct rpc_caller *c = rpc_call_caller(call);
	struct auth_caller a = {.role = (enum auth_role)c->role};
	(void)snprintf(a.name, sizeof(a.name), "%s", c->name);
	(void)uuid_parse(c->project_id, &a.project_id);
	return a;
}

/* ---- WhoAmI ---- */

static void reply_caller(struct rpc_call *call, const char *project)
{
	const struct rpc_caller *c = rpc_call_caller(call);
	struct arena *a = rpc_call_arena(call);
	Skep__V1__Caller reply = SKEP__V1__CALLER__INIT;
	reply.name = api_text(a, c->name);
	reply.role = (Skep__V1__Role)c->role;
	reply.project_id = api_text(a, c->project_id);
	reply.project = api_text(a, project);
	rpc_call_reply(call, &reply.base);
}

static void on_own_project(void *data, const struct status *st, const struct db_project *p)
{
	struct rpc_call *call = data;
	if (status_is_ok(st))
		reply_caller(call, p->name);
	else
		api_fail(call, st);
}

void api_auth_who_am_i(struct rpc_call *call, const ProtobufCMessage *request)
{
	struct db *db = api_of(call)->db;
	const char *project = rpc_call_caller(call)->project_id;
	struct db_scope scope = api_scope(call);
	(void)request;
	if (project[0])
		db->projects->get(db, &scope, project, on_own_project, call);
	else
		reply_caller(call, "");
}

/* ---- tokens ---- */

struct making {
	struct rpc_call *call;
	const Skep__V1__CreateTokenRequest *request;
	struct auth_secret secret;
};

static void wipe_secret(void *secret)
{
	auth_secret_wipe(secret);
}

static void on_created(void *data, const struct status *st, const struct db_token *t)
{
	struct making *m = data;
	if (!status_is_ok(st)) {
		api_fail(m->call, st);
		return;
	}
	Skep__V1__CreateTokenResponse reply = SKEP__V1__CREATE_TOKEN_RESPONSE__INIT;
	reply.token = api_token(rpc_call_arena(m->call), t);
	reply.secret = m->secret.text;
	rpc_call_reply(m->call, &reply.base);
}

static void create(struct making *m, const char *project_id)
{
	const Skep__V1__CreateTokenRequest *q = m->request;
	struct db *db = api_of(m->call)->db;
	struct auth_caller caller = caller_of(m->call);
	struct status st = auth_may_grant(&caller, (enum auth_role)q->role, project_id);
	if (!status_is_ok(&st)) {
		rpc_call_finish(m->call, &st);
		return;
	}
	auth_secret_make(rng_system(), &m->secret);
	arena_on_free(rpc_call_arena(m->call), wipe_secret, &m->secret);
	struct db_token_create t = {.project = project_id, .name = q->name, .prefix = m->secret.prefix, .role = (int)q->role,
		.hash = str_make((const char *)m->secret.hash, SHA256_LEN), .ttl_s = q->ttl_seconds ? q->ttl_seconds : TTL_DEFAULT_S};
	struct db_scope scope = api_scope(m->call);
	db->tokens->create(db, &scope, &t, on_created, m);
}

static void on_project(void *data, const struct status *st, const struct db_project *p)
{
	struct making *m = data;
	if (status_is_ok(st))
		create(m, p->id.text);
	else
		api_fail(m->call, st);
}

void api_auth_create_token(struct rpc_call *call, const ProtobufCMessage *request)
{
	struct making *m = arena_new(rpc_call_arena(call), struct making);
	m->call = call;
	m->request = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	if (m->request->project[0])
		db->projects->get(db, &scope, m->request->project, on_project, m);
	else
		create(m, rpc_call_caller(call)->project_id);
}

static void on_tokens(void *data, const struct status *st, const struct db_token *t, size_t n, bool more)
{
	struct rpc_call *call = data;
	struct arena *a = rpc_call_arena(call);
	if (!status_is_ok(st)) {
		api_fail(call, st);
		return;
	}
	Skep__V1__ListTokensResponse reply = SKEP__V1__LIST_TOKENS_RESPONSE__INIT;
	reply.tokens = arena_array(a, Skep__V1__Token *, n + 1);
	for (size_t i = 0; i < n; i++)
		reply.tokens[reply.n_tokens++] = api_token(a, &t[i]);
	if (more)
		reply.next_page_token = api_text(a, t[n - 1].id.text);
	rpc_call_reply(call, &reply.base);
}

void api_auth_list_tokens(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__ListTokensRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	struct db_page page = api_page(q->page);
	db->tokens->list(db, &scope, q->project, &page, on_tokens, call);
}

void api_auth_revoke_token(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__RevokeTokenRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	db->tokens->revoke(db, &scope, q->id, api_reply_empty, call);
}
