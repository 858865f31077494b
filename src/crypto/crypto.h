/* crypto: OpenSSL behind four verbs. Callers: auth (token hashes), db (sealed
 * columns), compose through jobs (content hashes). Nothing here blocks for long. */
#pragma once
#include "base/status.h"
#include "base/str.h"

#define SHA256_LEN 32
void crypto_sha256(struct str bytes, unsigned char ret_digest[SHA256_LEN]);
bool crypto_equal(const void *a, const void *b, size_t len); /* constant time */

/* keyring: the key file (`<key id> <64 hex digits>` a line; the first seals, all
 * open), made at first start with mode 0600. A file that others may read is refused. */
struct keyring;
struct status keyring_load(const char *path, struct keyring **ret_keyring) __attribute__((warn_unused_result));
void keyring_destroy(struct keyring *k); /* wipes the keys; NULL is fine */

/* AES-256-GCM: version byte 1, key id length and key id, 12-byte nonce, ciphertext, tag. `aad` binds the
 * text to its place ("deployments/<id>/texts"): bytes moved to another row do not open. */
void crypto_seal(struct keyring *k, struct str aad, struct str plain, struct buf *ret_sealed);
struct status crypto_open(const struct keyring *k, struct str aad, struct str sealed, struct buf *ret_plain)
	__attribute__((warn_unused_result));
