/* auth: who calls, and what he may do. Token secrets are 256 random bits; only their SHA-256 is
 * ever stored. Called by app (rpc's authenticate hook) and api (the Auth service). Pure but for
 * auth_authenticate. */
#pragma once
#include "base/rng.h"
#include "base/status.h"
#include "base/str.h"
#include "crypto/crypto.h"

struct db;
struct db_call;

enum auth_role { /* skep.v1.Role's numbers: a higher one may what a lower one may */
	AUTH_VIEWER = 1, /* reads of one project */
	AUTH_DEPLOYER,   /* and deploys, scales, restarts, removes */
	AUTH_OWNER,      /* and the project's tokens and settings */
	AUTH_ADMIN,      /* everything, everywhere */
};

/* A plain value: copy it freely. */
struct auth_caller {
	enum auth_role role;
	char name[416];         /* for people and the audit log: "unix:root", "token:ci" */
	struct uuid token_id;   /* names repeat; "" for who has none */
	struct uuid project_id; /* "" = every project */
	char project[48];       /* its name */
	int64_t expires_us;     /* of the token; 0 = never */
};

/* ---- token secrets: "skep_" and 43 characters of base64url ---- */
#define AUTH_SECRET_LEN 48
#define AUTH_PREFIX_LEN 10 /* shown in lists, to recognise it: "skep_" and five characters */
struct auth_secret {
	/* shown once, kept nowhere: wipe it with auth_secret_wipe */
	char text[AUTH_SECRET_LEN + 1];
	char prefix[AUTH_PREFIX_LEN + 1];
	unsigned char hash[SHA256_LEN];
};
void auth_secret_make(struct rng *rng, struct auth_secret *ret_secret);
void auth_secret_wipe(struct auth_secret *s);
/* The secret in the value of an `authorization` header or metadata ("Bearer skep_…", the scheme in
 * any case). UNAUTHENTICATED says what is wrong and never repeats the value. *ret_hash is what the
 * database is asked for. */
struct status auth_bearer_hash(struct str authorization, unsigned char ret_hash[SHA256_LEN])
	__attribute__((warn_unused_result));

/* ---- callers ---- */

typedef void (*auth_done)(void *data, const struct status *st, const struct auth_caller *caller);
/* Looks the token up. done, later and exactly once: UNAUTHENTICATED, UNAVAILABLE (no database) or
 * the caller. Returns the call for db_cancel; NULL never. */
struct db_call *auth_authenticate(struct db *db, const unsigned char hash[SHA256_LEN],
	auth_done done, void *data);

/* The same by the token's id: for who has shown otherwise that he may use it (a client certificate). */
struct db_call *auth_identify(struct db *db, const struct uuid *token_id, auth_done done, void *data);

/* May the caller give out a token with this role for this project ("" = every project)?
 * PERMISSION_DENIED or INVALID_ARGUMENT in words. Nobody gives more than he has. Whether the
 * project is one he sees is db's to say. */
struct status auth_may_grant(const struct auth_caller *c, enum auth_role role, const char *project)
	__attribute__((warn_unused_result));
const char *auth_role_name(enum auth_role r); /* "viewer" */
