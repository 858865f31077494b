/* tokens: bearer tokens, stored as SHA-256. */
#pragma once
#include "db/db.h"

struct db_token {
	struct uuid id;
	const char *name, *prefix, *project_id /* "" = every project */, *project;
	int role; /* skep.v1.Role's number: 1 viewer … 4 admin */
	int64_t created_us, expires_us, last_used_us /* 0 = never */;
};
typedef void (*db_token_done)(void *data, const struct status *st, const struct db_token *t);
typedef void (*db_tokens_done)(void *data, const struct status *st, const struct db_token *t,
	size_t n, bool more);

struct db_token_create {
	const char *project; /* id or name; "" = every project */
	const char *name, *prefix;
	int role;
	struct str hash; /* 32 bytes */
	int64_t ttl_s;
};
struct db_token_ops {
	struct db_call *(*create)(struct db *db, const struct db_scope *s,
		const struct db_token_create *t, db_token_done done, void *data);
	/* UNAUTHENTICATED when unknown, expired or revoked. Updates last_used_at at most once a
	 * minute. No scope: it is how one comes to be. */
	struct db_call *(*authenticate)(struct db *db, struct str hash, db_token_done done,
		void *data);
	/* The same by its id. */
	struct db_call *(*identify)(struct db *db, const char *id, db_token_done done, void *data);
	/* Tokens of one project (id or name), or of those the scope sees when "". Revoked ones are
	 * left out. */
	struct db_call *(*list)(struct db *db, const struct db_scope *s, const char *project,
		const struct db_page *page, db_tokens_done done, void *data);
	struct db_call *(*revoke)(struct db *db, const struct db_scope *s, const char *id,
		db_done done, void *data);
};
