/* tls: one side of a TLS connection, without I/O: the peer's bytes in, plain bytes out, and bytes
 * for the peer appended to a buffer of the caller's. Used by transport. OpenSSL is seen by tls.c
 * alone; no other part knows it.
 *
 * A tls_context is what connections share: certificate, key, authorities, rules. It never changes:
 * new files mean a new context (tls_files.h), and connections that stand keep theirs. TLS 1.2 and 1.3
 * (RFC 5246, 8446) with forward secrecy only; no renegotiation, no compression, no early data;
 * session tickets, whose keys live and die with the context. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/status.h"
#include "base/str.h"

struct tls;
struct tls_context;

#define TLS_RECORD_MAX 16384 /* plain bytes of one record, which may wait inside for its end */

struct tls_server_files {
	const char *certificate;     /* PEM: ours, then those between it and the root */
	const char *key;             /* PEM, without a passphrase */
	const char *client_ca;       /* PEM: who signs client certificates; NULL or "": none is asked for */
	bool require_client;         /* no handshake without one; else only one that is given is checked */
};
struct tls_client_files {
	const char *ca;               /* PEM: who signs servers' certificates; NULL or "": the system's */
	const char *certificate, *key; /* our own; NULL or "": none */
};
/* INVALID_ARGUMENT names the file and what is wrong with it. */
struct status tls_context_server(const struct tls_server_files *f, struct tls_context **ret_context)
	__attribute__((warn_unused_result));
struct status tls_context_client(const struct tls_client_files *f, struct tls_context **ret_context)
	__attribute__((warn_unused_result));
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* NULL is fine */

/* `out` gets what is for the peer; it outlives the connection. host: for a client, the DNS name or IP
 * address that the server's certificate must be made out to; NULL for a server. A client's first
 * bytes are in `out` at once. Keeps the context. */
struct tls *tls_create(struct tls_context *c, const char *host, struct buf *out);
void tls_destroy(struct tls *t); /* NULL is fine */

/* Takes all of `bytes`. Plain bytes go to `plain`, which has room for bytes.len + TLS_RECORD_MAX.
 * *ret_end: the peer has said that it sends no more. A failure (UNAVAILABLE: a handshake without a
 * common ground, a certificate that is not good, bytes that are not TLS) is final; the alert for the
 * peer is in `out`. */
struct status tls_read(struct tls *t, struct str bytes, char *plain, size_t *ret_len, bool *ret_end)
	__attribute__((warn_unused_result));
/* The handshake is over, and what a peer has to show was seen and is good. */
bool tls_is_up(const struct tls *t);
/* Only when it is up. Appends all of it to `out`. */
struct status tls_write(struct tls *t, struct str plain) __attribute__((warn_unused_result));
/* Says that no more comes. */
void tls_end(struct tls *t);

/* What ALPN agreed on: "h2", "http/1.1", "skep/1", or "" (RFC 7301). */
struct str tls_protocol(const struct tls *t);
bool tls_was_resumed(const struct tls *t);
/* A URI among the names of the client's certificate that begins so, copied without the prefix into
 * ret_rest. False: there is none, or it is longer than that. */
bool tls_peer_uri(const struct tls *t, const char *prefix, char *ret_rest, size_t size);
