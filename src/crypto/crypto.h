/* crypto: hash, compare, seal, open; the only place that knows OpenSSL. Callers: auth (token hashes), db
 * (sealed columns), stacks (content hashes in the names of secrets and configs), api (fingerprints of
 * requests), app (loads the key file). Nothing waits; only keyring_load touches the disk. Failures of OpenSSL
 * itself abort. */
#pragma once
#include "base/status.h"
#include "base/str.h"

#define SHA256_LEN 32
void crypto_sha256(struct str bytes, unsigned char ret_digest[SHA256_LEN]);
bool crypto_equal(const void *a, const void *b, size_t len); /* constant time */

/* keyring: the key file (`<key id> <64 hex digits>` a line; the first seals, all open; empty lines
 * and lines that begin with # are skipped). A file that others may read is refused
 * (PERMISSION_DENIED), so is one with a line that is no key (INVALID_ARGUMENT, with the line's
 * number, never its text). Where there is no file the keyring is empty: it opens nothing and must
 * not seal, until keyring_make. *ret_keyring is the caller's. */
struct keyring;
struct status keyring_load(const char *path, struct keyring **ret_keyring)
	__attribute__((warn_unused_result));
/* Fills an empty one: makes the file with one random key and mode 0600. When two daemons do so at
 * once, both end with the same key. */
struct status keyring_make(struct keyring *k) __attribute__((warn_unused_result));
/* Fills an empty one from the file, if another daemon has made it since; else it stays empty. */
struct status keyring_reload(struct keyring *k) __attribute__((warn_unused_result));
void keyring_destroy(struct keyring *k); /* wipes the keys; NULL is fine */
bool keyring_is_empty(const struct keyring *k);
const char *keyring_first_id(const struct keyring *k); /* the key that seals, or ""; borrowed */
#define KEYRING_MAX 256                                /* keys */
/* Into ret_ids (KEYRING_MAX), the first one seals; their number. Borrowed. */
size_t keyring_ids(const struct keyring *k, const char **ret_ids);
const char *keyring_path(const struct keyring *k);     /* borrowed */

/* AES-256-GCM: version byte 1, key id length and key id, 12-byte random nonce, ciphertext, 16-byte
 * tag. `aad` binds the text to its place ("deployments/<id>/texts"): bytes moved to another row do
 * not open; the bytes before the nonce are bound too. Appends to ret_sealed. At most 2^32 texts a
 * key and 1 GiB a text. */
void crypto_seal(struct keyring *k, struct str aad, struct str plain, struct buf *ret_sealed);

/* Appends to ret_plain, nothing on failure: FAILED_PRECONDITION names a key that the key file does
 * not hold, DATA_LOSS says that the bytes are not what was sealed for this place. */
struct status crypto_open(const struct keyring *k, struct str aad, struct str sealed,
	struct buf *ret_plain) __attribute__((warn_unused_result));
