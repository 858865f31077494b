/* fuzz_tls: bytes of a peer against a server's side of TLS. The first byte chooses: 0: as they are; 1: as handshake records, so that
 * most inputs get behind the framing; 2: a handshake with our own client, of whose bytes some are changed on the way (each three bytes:
 * where, by how much), which no such change may let come up on both sides with other words than were sent. */
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "net/tls.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
#define TURNS 8

static struct tls_context *server_side, *client_side;

/* A certificate for localhost that has signed itself, and its key, into one file. */
static void make_certificate(const char *path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	FILE *f = fopen(path, "w");
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(
		X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	if (!f || !X509_sign(x, key, EVP_sha256()) || !PEM_write_X509(f, x) ||
		!PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) || fclose(f) != 0)
		abort();
	X509_free(x);
	EVP_PKEY_free(key);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[] = "/tmp/skep-fuzz-XXXXXX";
	(void)argc;
	(void)argv;
	int fd = mkstemp(path);
	assert(fd >= 0 && close(fd) == 0);
	make_certificate(path);
	struct tls_server_files server = {.certificate = path, .key = path};
	struct tls_client_files client = {.ca = path};
	struct status st = tls_context_server(&server, &server_side);
	assert(status_is_ok(&st));
	st = tls_context_client(&client, &client_side);
	assert(status_is_ok(&st));
	(void)unlink(path);
	return 0;
}

/* What came through, as plain bytes; false: it was no TLS. */
static bool take(struct tls *t, struct str bytes, struct buf *plain)
{
	bool end = false;
	size_t len = 0;
	char *room = malloc(bytes.len + TLS_RECORD_MAX);
	struct status st = tls_read(t, bytes, room, &len, &end);
	if (status_is_ok(&st))
		buf_add(plain, room, len);
	free(room);
	return status_is_ok(&st);
}

static void feed(struct str bytes)
{
	struct buf out = {0}, plain = {0};
	struct tls *t = tls_create(server_side, NULL, &out);
	while (bytes.len > 0) { /* in halves, so that what waits for its end is seen too */
		size_t some = bytes.len > 1 ? bytes.len / 2 : 1;
		if (!take(t, str_make(bytes.ptr, some), &plain))
			break;
		bytes = str_make(bytes.ptr + some, bytes.len - some);
	}
	assert(!tls_is_up(t) && plain.len == 0); /* nobody guesses a handshake */
	tls_destroy(t);
	buf_finish(&out);
	buf_finish(&plain);
}

static void change(struct buf *b, size_t before, const uint8_t *data, size_t size)
{
	for (; size >= 3; data += 3, size -= 3) {
		size_t at = (size_t)data[0] << 8 | data[1];
		if (at >= before && at - before < b->len)
			b->ptr[at - before] = (char)(b->ptr[at - before] ^ (char)data[2]);
	}
}

static void shake(const uint8_t *data, size_t size)
{
	struct buf to_server = {0}, to_client = {0}, got = {0}, said = {0};
	struct tls *server = tls_create(server_side, NULL, &to_client);
	struct tls *client = tls_create(client_side, "localhost", &to_server);
	bool fine = true, sent = false;
	size_t before = 0;
	for (unsigned i = 0; i < TURNS && fine; i++) {
		if (tls_is_up(client) && !sent) {
			struct status st = tls_write(client, STR(WORDS));
			sent = status_is_ok(&st);
		}
		size_t len = to_server.len;
		change(&to_server, before, data, size);
		before += len;
		fine = take(server, buf_str(&to_server), &got);
		buf_drop(&to_server, len);
		len = to_client.len;
		fine = fine && take(client, str_make(to_client.ptr, len), &said);
		buf_drop(&to_client, len);
	}
	assert(got.len == 0 || str_is(buf_str(&got), WORDS));
	tls_destroy(server);
	tls_destroy(client);
	buf_finish(&to_server);
	buf_finish(&to_client);
	buf_finish(&got);
	buf_finish(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 8192)
		return 0;
	if (data[0] % 3 == 2) {
		shake(data + 1, size - 1);
	} else if (data[0] % 3 == 1) {
		const char head[] = {0x16, 3, 1, (char)((size - 1) >> 8), (char)(size - 1)};
		struct buf b = {0};
		buf_add(&b, head, sizeof(head));
		buf_add(&b, data + 1, size - 1);
		feed(buf_str(&b));
		buf_finish(&b);
	} else {
		feed(str_make((const char *)data + 1, size - 1));
	}
	return 0;
}
