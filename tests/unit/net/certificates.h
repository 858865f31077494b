/* An authority of the test's own, and certificates that it signs, as PEM files in a folder. */
#pragma once
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

struct authority {
	EVP_PKEY *key;
	X509 *certificate;
	long serial;
};

static inline void add_extension(X509 *c, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	X509_add_ext(c, e, -1);
	X509_EXTENSION_free(e);
}

/* names: "DNS:localhost,IP:127.0.0.1"; NULL: an authority. */
static inline X509 *sign_certificate(struct authority *by, EVP_PKEY *key, const char *common_name, const char *names)
{
	X509 *c = X509_new();
	X509_NAME *subject = X509_get_subject_name(c);
	X509 *issuer = by->certificate ? by->certificate : c;
	X509_set_version(c, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c), ++by->serial);
	X509_gmtime_adj(X509_getm_notBefore(c), -3600);
	X509_gmtime_adj(X509_getm_notAfter(c), 3600);
	X509_set_pubkey(c, key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(c, X509_get_subject_name(issuer));
	add_extension(c, issuer, NID_basic_constraints, names ? "CA:FALSE" : "critical,CA:TRUE");
	if (names)
		add_extension(c, issuer, NID_subject_alt_name, names);
	assert_true(X509_sign(c, by->key, EVP_sha256()) > 0);
	return c;
}

static inline void authority_init(struct authority *a, const char *name)
{
	a->serial = 0;
	a->certificate = NULL;
	a->key = EVP_EC_gen("P-256");
	a->certificate = sign_certificate(a, a->key, name, NULL);
}

static inline void authority_finish(struct authority *a)
{
	X509_free(a->certificate);
	EVP_PKEY_free(a->key);
}

static inline void write_pem(const char *path, X509 *certificate, EVP_PKEY *key)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	if (certificate)
		assert_int_equal(PEM_write_X509(f, certificate), 1);
	if (key)
		assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
}

/* Certificate and key in one file. */
static inline void make_pair(struct authority *by, const char *path, const char *common_name, const char *names)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *c = sign_certificate(by, key, common_name, names);
	write_pem(path, c, key);
	X509_free(c);
	EVP_PKEY_free(key);
}
