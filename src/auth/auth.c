#include "auth/auth.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "base/arena.h"
#include "base/mem.h"
#include "db/tokens.h"

#define SECRET_PREFIX "skep_"

static const char *const role_names[] = {"", "viewer", "deployer", "owner", "admin"};

const char *auth_role_name(enum auth_role r)
{
	return r >= AUTH_VIEWER && r <= AUTH_ADMIN ? role_names[r] : "";
}

/* ---- secrets ---- */

void auth_secret_make(struct rng *rng, struct auth_secret *ret_secret)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char random[33] = {0}; /* one more, zero: the last digit's missing bits */
	char *to = ret_secret->text;
	rng->fill(rng, random, 32);
	memcpy(to, SECRET_PREFIX, sizeof SECRET_PREFIX - 1);
	to += sizeof SECRET_PREFIX - 1;
	/* base64url (RFC 4648 §5) without padding, and without a copy of the secret on the heap */
	for (size_t bit = 0; bit < 256; bit += 6) {
		unsigned two = (unsigned)random[bit / 8] << 8 | random[bit / 8 + 1];
		*to++ = digits[two >> (10 - bit % 8) & 63];
	}
	*to = '\0';
	explicit_bzero(random, sizeof random);
	memcpy(ret_secret->prefix, ret_secret->text, AUTH_PREFIX_LEN);
	ret_secret->prefix[AUTH_PREFIX_LEN] = '\0';
	crypto_sha256(str_of(ret_secret->text), ret_secret->hash);
}

void auth_secret_wipe(struct auth_secret *s)
{
	explicit_bzero(s, sizeof *s);
}

struct status auth_bearer_hash(struct str authorization, unsigned char ret_hash[SHA256_LEN])
{
	struct str rest = str_trim(authorization);
	if (rest.len == 0)
		return status_err(ST_UNAUTHENTICATED,
			"a token is needed: send \"authorization: Bearer skep_…\"");
	struct str scheme = str_cut(&rest, ' ');
	struct str secret = str_trim(rest);
	if (scheme.len != strlen("bearer") || strncasecmp(scheme.ptr, "bearer", scheme.len) != 0)
		return status_err(ST_UNAUTHENTICATED,
			"authorization must be \"Bearer \" and a token");
	if (secret.len != AUTH_SECRET_LEN || !str_starts(secret, SECRET_PREFIX))
		return status_err(ST_UNAUTHENTICATED,
			"that is no token: one is \"" SECRET_PREFIX "\" and 43 characters");
	crypto_sha256(secret, ret_hash);
	return status_ok();
}

/* ---- callers ---- */

struct lookup {
	auth_done done;
	void *data;
};

static void on_token(void *data, const struct status *st, const struct db_token *t)
{
	struct lookup l = *(struct lookup *)data;
	struct auth_caller c = {0};
	free(data);
	if (!status_is_ok(st)) {
		l.done(l.data, st, NULL);
		return;
	}
	c.role = (enum auth_role)t->role;
	c.expires_us = t->expires_us;
	c.token_id = t->id;
	(void)snprintf(c.name, sizeof c.name, "token:%s", t->name);
	(void)snprintf(c.project_id.text, sizeof c.project_id.text, "%s", t->project_id);
	(void)snprintf(c.project, sizeof c.project, "%s", t->project);
	l.done(l.data, st, &c);
}

struct db_call *auth_authenticate(struct db *db, const unsigned char hash[SHA256_LEN],
	auth_done done, void *data)
{
	struct lookup *l = mem_new(struct lookup);
	*l = (struct lookup){done, data};
	return db->tokens->authenticate(db, str_make((const char *)hash, SHA256_LEN), on_token, l);
}

struct db_call *auth_identify(struct db *db, const struct uuid *token_id, auth_done done, void *data)
{
	struct lookup *l = mem_new(struct lookup);
	*l = (struct lookup){done, data};
	return db->tokens->identify(db, token_id->text, on_token, l);
}

struct status auth_may_grant(const struct auth_caller *c, enum auth_role role, const char *project)
{
	if (!auth_role_name(role)[0])
		return status_err(ST_INVALID_ARGUMENT,
			"a token's role is viewer, deployer, owner or admin");
	if (role > c->role)
		return status_err(ST_PERMISSION_DENIED, "%s has the role %s and cannot give out %s",
			c->name,
			auth_role_name(c->role), auth_role_name(role));
	if (!project[0] && c->project_id.text[0])
		return status_err(ST_PERMISSION_DENIED,
			"a token for every project takes an administrator: name project"
			" \"%s\"", c->project);
	if (role == AUTH_ADMIN && project[0])
		return status_err(ST_INVALID_ARGUMENT,
			"an administrator's token is for every project: name none, or give the role"
			" owner");
	return status_ok();
}
