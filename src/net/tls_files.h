/* tls_files: a server's certificate and key, read again when they change, so that a renewed one is
 * served without a restart and without losing a connection. Made by app; used by listener.
 * Files that are wrong at a later look are logged and change nothing. */
#pragma once
#include "base/status.h"
#include "net/tls.h"

struct loop;
struct tls_files;

/* Copies the paths. look_ms: how often the files are looked at; 0: only by tls_files_reload. */
struct status tls_files_create(struct loop *l, const struct tls_server_files *f, uint64_t look_ms,
	struct tls_files **ret_files) __attribute__((warn_unused_result));
void tls_files_destroy(struct tls_files *f); /* NULL is fine */
/* Reads them now. A failure leaves what was. */
struct status tls_files_reload(struct tls_files *f) __attribute__((warn_unused_result));
/* What new connections get; valid until the next turn of the loop (or tls_context_ref). */
struct tls_context *tls_files_context(const struct tls_files *f);
