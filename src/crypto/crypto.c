#include "crypto/crypto.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include "base/mem.h"
#include "base/rng.h"
#include "crypto/keyring.h"

#define SEAL_VERSION 1
#define NONCE_LEN    12
#define TAG_LEN      16
#define TEXT_MAX     ((size_t)1 << 30) /* EVP counts in int */

static_assert(KEY_ID_MAX <= 255, "the length of a key id is one byte");

void crypto_sha256(struct str bytes, unsigned char ret_digest[SHA256_LEN])
{
	if (EVP_Digest(bytes.ptr, bytes.len, ret_digest, NULL, EVP_sha256(), NULL) != 1)
		mem_abort("SHA-256 failed");
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

static const unsigned char *bytes_of(struct str s)
{
	return (const unsigned char *)(s.ptr ? s.ptr : "");
}

/* A context that has seen key, nonce, the bytes before the nonce, and the aad; NULL = no. */
static EVP_CIPHER_CTX *start(bool seal, const struct key *key, const unsigned char *nonce,
	struct str head, struct str aad)
{
	int n;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	if (!c)
		mem_abort("out of memory");
	if (aad.len <= TEXT_MAX &&
		EVP_CipherInit_ex2(c, EVP_aes_256_gcm(), key->bytes, nonce, seal, NULL) == 1 &&
		EVP_CipherUpdate(c, NULL, &n, bytes_of(head), (int)head.len) == 1 &&
		EVP_CipherUpdate(c, NULL, &n, bytes_of(aad), (int)aad.len) == 1)
		return c;
	EVP_CIPHER_CTX_free(c);
	return NULL;
}

void crypto_seal(struct keyring *k, struct str aad, struct str plain, struct buf *ret_sealed)
{
	const struct key *key = &k->keys[0];
	size_t id_len = strlen(key->id);
	unsigned char nonce[NONCE_LEN];
	struct rng *r = rng_system();
	if (plain.len > TEXT_MAX)
		mem_abort("crypto_seal: text over 1 GiB");
	if (keyring_is_empty(k))
		mem_abort("crypto_seal: there is no key");
	r->fill(r, nonce, sizeof(nonce));

	buf_reserve(ret_sealed, 2 + id_len + NONCE_LEN + plain.len + TAG_LEN);
	size_t head_at = ret_sealed->len;
	buf_addc(ret_sealed, SEAL_VERSION);
	buf_addc(ret_sealed, (char)id_len);
	buf_add(ret_sealed, key->id, id_len);
	struct str head = {ret_sealed->ptr + head_at, ret_sealed->len - head_at};
	buf_add(ret_sealed, nonce, sizeof(nonce));

	unsigned char *out = (unsigned char *)ret_sealed->ptr + ret_sealed->len;
	int n = 0, last = 0;
	EVP_CIPHER_CTX *c = start(true, key, nonce, head, aad);
	if (!c ||
		(plain.len && EVP_CipherUpdate(c, out, &n, bytes_of(plain), (int)plain.len) != 1) ||
		EVP_CipherFinal_ex(c, out + n, &last) != 1 ||
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, out + plain.len) != 1)
		mem_abort("AES-256-GCM failed");
	EVP_CIPHER_CTX_free(c);
	ret_sealed->len += plain.len + TAG_LEN;
	ret_sealed->ptr[ret_sealed->len] = '\0';
}

static const struct key *key_named(const struct keyring *k, struct str id)
{
	for (size_t i = 0; i < k->len; i++) {
		if (str_is(id, k->keys[i].id))
			return &k->keys[i];
	}
	return NULL;
}

static bool open_with(const struct key *key, struct str aad, struct str head, struct str body,
	struct buf *ret_plain)
{
	const unsigned char *nonce = bytes_of(body);
	const unsigned char *cipher = nonce + NONCE_LEN;
	size_t len = body.len - NONCE_LEN - TAG_LEN;
	unsigned char tag[TAG_LEN];
	memcpy(tag, cipher + len, sizeof(tag)); /* the setter takes no const */

	buf_reserve(ret_plain, len);
	unsigned char *out = (unsigned char *)ret_plain->ptr + ret_plain->len;
	int n = 0, last = 0;
	EVP_CIPHER_CTX *c = start(false, key, nonce, head, aad);
	bool ok = c && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1 &&
		  (len == 0 || EVP_CipherUpdate(c, out, &n, cipher, (int)len) == 1) &&
		  EVP_CipherFinal_ex(c, out + n, &last) == 1;
	EVP_CIPHER_CTX_free(c);
	if (ok)
		ret_plain->len += len;
	else
		OPENSSL_cleanse(out, len); /* was never vouched for */
	ret_plain->ptr[ret_plain->len] = '\0';
	return ok;
}

struct status crypto_open(
	const struct keyring *k, struct str aad, struct str sealed, struct buf *ret_plain)
{
	const unsigned char *p = bytes_of(sealed);
	if (sealed.len < 2 || p[0] != SEAL_VERSION)
		return status_err(ST_DATA_LOSS, "not a sealed text of version %d", SEAL_VERSION);
	struct str id = {(const char *)p + 2, p[1]};
	size_t head_len = 2 + id.len;
	if (sealed.len < head_len + NONCE_LEN + TAG_LEN)
		return status_err(
			ST_DATA_LOSS, "the sealed text is cut off at %zu bytes", sealed.len);
	struct str head = {sealed.ptr, head_len};
	struct str body = {sealed.ptr + head_len, sealed.len - head_len};
	if (body.len - NONCE_LEN - TAG_LEN > TEXT_MAX)
		return status_err(ST_DATA_LOSS, "the sealed text is over 1 GiB");
	const struct key *key = key_named(k, id);
	if (!key)
		return status_err(ST_FAILED_PRECONDITION,
			"sealed with the key \"" STR_FMT
			"\", which %s does not hold: add that key's line",
			STR_ARG(id), k->path);
	if (!open_with(key, aad, head, body, ret_plain))
		return status_err(ST_DATA_LOSS,
			"the sealed text does not open with the key \"" STR_FMT
			"\": it was changed, or sealed for another place",
			STR_ARG(id));
	return status_ok();
}
