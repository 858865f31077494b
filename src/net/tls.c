#include "net/tls.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include "base/mem.h"

/* Of TLS 1.2; those of 1.3 are all good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define PIECE   ((size_t)1 << 30) /* OpenSSL counts with int */

struct tls_context {
	SSL_CTX *ssl;
	BIO_METHOD *bio;
	bool is_server;
	unsigned refs;
};

struct tls {
	SSL *ssl;
	struct tls_context *context;
	struct str in; /* what OpenSSL has not read yet, while tls_read runs */
	struct buf *out;
	struct status failed;
};

/* ---- words ---- */

/* The oldest error of OpenSSL's queue, which is emptied. */
static const char *reason(void)
{
	unsigned long e = ERR_get_error();
	const char *words = e ? ERR_reason_error_string(e) : NULL;
	if (e && ERR_SYSTEM_ERROR(e))
		words = "cannot be read";
	ERR_clear_error();
	return words ? words : "unknown error";
}

static struct status bad_file(const char *what, const char *path)
{
	const char *why = reason();
	return status_err(ST_INVALID_ARGUMENT, "%s %s: %s", what, path, why);
}

static struct status broken(struct tls *t, const char *what)
{
	long verify = SSL_get_verify_result(t->ssl);
	const char *why = verify == X509_V_OK ? reason() : X509_verify_cert_error_string(verify);
	ERR_clear_error();
	t->failed = status_err(ST_UNAVAILABLE, "%s: %s", what, why);
	return t->failed;
}

/* ---- OpenSSL's reads and writes: straight from the caller's bytes, straight into his buffer, so that an idle
 * connection holds none (memory BIOs keep what they grew to) ---- */

static int bio_read(BIO *b, char *data, int len)
{
	struct tls *t = BIO_get_data(b);
	size_t n = t->in.len < (size_t)len ? t->in.len : (size_t)len;
	BIO_clear_retry_flags(b);
	if (n == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	memcpy(data, t->in.ptr, n);
	t->in = str_make(t->in.ptr + n, t->in.len - n);
	return (int)n;
}

static int bio_write(BIO *b, const char *data, int len)
{
	struct tls *t = BIO_get_data(b);
	buf_add(t->out, data, (size_t)len);
	return len;
}

static long bio_ctrl(BIO *b, int what, long number, void *data)
{
	(void)b;
	(void)number;
	(void)data;
	return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_bio(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "skep");
	if (!m || !BIO_meth_set_read(m, bio_read) || !BIO_meth_set_write(m, bio_write) ||
		!BIO_meth_set_ctrl(m, bio_ctrl))
		mem_abort("OpenSSL has no memory");
	return m;
}

/* ---- contexts ---- */

/* The wires that rpc tells by their first bytes all the same; the first that the client has, too, is named. */
static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len, const unsigned char *offered,
	unsigned offered_len, void *data)
{
	static const unsigned char ours[] = "\2h2\6skep/1\10http/1.1";
	unsigned char *chosen;
	(void)ssl;
	(void)data;
	if (SSL_select_next_proto(&chosen, ret_len, ours, sizeof(ours) - 1, offered, offered_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static struct tls_context *context_create(bool is_server)
{
	struct tls_context *c = mem_new(struct tls_context);
	c->refs = 1;
	c->is_server = is_server;
	c->bio = make_bio();
	c->ssl = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	if (!c->ssl || !SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION) ||
		!SSL_CTX_set_cipher_list(c->ssl, CIPHERS))
		mem_abort("OpenSSL cannot be set up");
	SSL_CTX_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
		SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* The chain is what stands in the file: the authority of client certificates is no part of it. */
	SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF); /* tickets: nothing is kept here */
	return c;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
	c->refs++;
	return c;
}

void tls_context_unref(struct tls_context *c)
{
	if (!c || --c->refs > 0)
		return;
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->bio);
	free(c);
}

static bool is_given(const char *path)
{
	return path && *path;
}

/* A key with a passphrase must not ask the terminal for it. */
static int no_passphrase(char *text, int size, int writing, void *data)
{
	(void)text;
	(void)size;
	(void)writing;
	(void)data;
	return -1;
}

static struct status load_pair(struct tls_context *c, const char *certificate, const char *key)
{
	SSL_CTX_set_default_passwd_cb(c->ssl, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(c->ssl, certificate) != 1)
		return bad_file("certificate", certificate);
	ERR_clear_error();
	if (SSL_CTX_use_PrivateKey_file(c->ssl, key, SSL_FILETYPE_PEM) != 1)
		return bad_file("key", key);
	return status_ok();
}

static struct status load_client_ca(struct tls_context *c, const struct tls_server_files *f)
{
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(f->client_ca);
	if (!names || SSL_CTX_load_verify_locations(c->ssl, f->client_ca, NULL) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return bad_file("authority of client certificates", f->client_ca);
	}
	SSL_CTX_set_client_CA_list(c->ssl, names);
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER | (f->require_client ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	return status_ok();
}

static struct status keep_context(struct tls_context *c, const struct status *st, struct tls_context **ret_context)
{
	if (status_is_ok(st))
		*ret_context = c;
	else
		tls_context_unref(c);
	return *st;
}

struct status tls_context_server(const struct tls_server_files *f, struct tls_context **ret_context)
{
	static const unsigned char name[] = "skep"; /* or a client with a certificate could not resume */
	struct tls_context *c = context_create(true);
	ERR_clear_error();
	SSL_CTX_set_alpn_select_cb(c->ssl, choose_protocol, NULL);
	(void)SSL_CTX_set_session_id_context(c->ssl, name, sizeof(name) - 1);
	struct status st = load_pair(c, f->certificate, f->key);
	if (status_is_ok(&st) && is_given(f->client_ca))
		st = load_client_ca(c, f);
	return keep_context(c, &st, ret_context);
}

struct status tls_context_client(const struct tls_client_files *f, struct tls_context **ret_context)
{
	static const unsigned char offered[] = "\6skep/1";
	struct tls_context *c = context_create(false);
	struct status st = status_ok();
	ERR_clear_error();
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_alpn_protos(c->ssl, offered, sizeof(offered) - 1);
	if (!is_given(f->ca))
		(void)SSL_CTX_set_default_verify_paths(c->ssl);
	else if (SSL_CTX_load_verify_locations(c->ssl, f->ca, NULL) != 1)
		st = bad_file("authority", f->ca);
	if (status_is_ok(&st) && is_given(f->certificate))
		st = load_pair(c, f->certificate, is_given(f->key) ? f->key : f->certificate);
	return keep_context(c, &st, ret_context);
}

/* ---- a connection ---- */

static bool is_ip(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];
	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static void expect_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
	if (is_ip(host)) {
		(void)X509_VERIFY_PARAM_set1_ip_asc(p, host);
		return;
	}
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (!X509_VERIFY_PARAM_set1_host(p, host, 0) || !SSL_set_tlsext_host_name(ssl, host))
		mem_abort("OpenSSL has no memory");
}

struct tls *tls_create(struct tls_context *c, const char *host, struct buf *out)
{
	struct tls *t = mem_new(struct tls);
	BIO *bio = BIO_new(c->bio);
	t->context = tls_context_ref(c);
	t->out = out;
	t->failed = status_ok();
	t->ssl = SSL_new(c->ssl);
	if (!t->ssl || !bio)
		mem_abort("OpenSSL has no memory");
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	if (c->is_server) {
		SSL_set_accept_state(t->ssl);
	} else {
		expect_host(t->ssl, host);
		SSL_set_connect_state(t->ssl);
		(void)SSL_do_handshake(t->ssl); /* the first flight; what may fail comes with the answer */
		ERR_clear_error();
	}
	return t;
}

void tls_destroy(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	tls_context_unref(t->context);
	free(t);
}

bool tls_is_up(const struct tls *t)
{
	return SSL_is_init_finished(t->ssl) && status_is_ok(&t->failed);
}

struct status tls_read(struct tls *t, struct str bytes, char *plain, size_t *ret_len, bool *ret_end)
{
	size_t room = bytes.len + TLS_RECORD_MAX, n;
	*ret_len = 0;
	*ret_end = false;
	if (!status_is_ok(&t->failed))
		return t->failed;
	bool was_up = tls_is_up(t);
	t->in = bytes;
	ERR_clear_error();
	/* What is decrypted is never longer than what came, and at most a record had come before. */
	while (SSL_read_ex(t->ssl, plain + *ret_len, room - *ret_len, &n) == 1)
		*ret_len += n;
	int why = SSL_get_error(t->ssl, 0);
	t->in = str_make("", 0);
	*ret_end = why == SSL_ERROR_ZERO_RETURN;
	if (*ret_end || why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return status_ok();
	return broken(t, was_up ? "TLS" : "TLS handshake");
}

struct status tls_write(struct tls *t, struct str plain)
{
	if (!status_is_ok(&t->failed))
		return t->failed;
	ERR_clear_error();
	while (plain.len > 0) {
		size_t n = plain.len < PIECE ? plain.len : PIECE;
		if (SSL_write_ex(t->ssl, plain.ptr, n, &n) != 1)
			return broken(t, "TLS");
		plain = str_make(plain.ptr + n, plain.len - n);
	}
	return status_ok();
}

void tls_end(struct tls *t)
{
	if (!tls_is_up(t))
		return;
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

/* ---- what was agreed, and who is there ---- */

struct str tls_protocol(const struct tls *t)
{
	const unsigned char *name = NULL;
	unsigned len = 0;
	SSL_get0_alpn_selected(t->ssl, &name, &len);
	return str_make(len ? (const char *)name : "", len);
}

bool tls_was_resumed(const struct tls *t)
{
	return SSL_session_reused(t->ssl) == 1;
}

/* A NUL inside, or anything beyond ASCII, is nobody's name. */
static bool is_text(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
			return false;
	return true;
}

static bool take_uri(const GENERAL_NAMES *names, const char *prefix, char *ret_rest, size_t size)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_URI)
			continue;
		const ASN1_STRING *text = name->d.uniformResourceIdentifier;
		struct str uri = str_make((const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
		size_t skip = strlen(prefix);
		if (!is_text(uri) || !str_starts(uri, prefix) || uri.len - skip >= size)
			continue;
		memcpy(ret_rest, uri.ptr + skip, uri.len - skip);
		ret_rest[uri.len - skip] = '\0';
		return true;
	}
	return false;
}

bool tls_peer_uri(const struct tls *t, const char *prefix, char *ret_rest, size_t size)
{
	X509 *peer = tls_is_up(t) && SSL_get_verify_result(t->ssl) == X509_V_OK ? SSL_get1_peer_certificate(t->ssl) : NULL;
	GENERAL_NAMES *names = peer ? X509_get_ext_d2i(peer, NID_subject_alt_name, NULL, NULL) : NULL;
	bool found = names && take_uri(names, prefix, ret_rest, size);
	GENERAL_NAMES_free(names);
	X509_free(peer);
	return found;
}
