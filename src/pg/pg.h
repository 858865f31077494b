/* pg: PostgreSQL by libpq's asynchronous API in pipeline mode. Called by db/ only.
 *
 * The unit of work is a batch: statements that are sent together behind one Sync, so they are one
 * transaction: all or nothing, one round trip. There is no interactive transaction: what
 * depends on data is said in SQL (conditions, CTEs, `select skep_raise(…)`). Many batches are in
 * flight on one connection at a time; the pool opens more connections while all are at work.
 * Batches that run at the same time have no order among each other.
 *
 * Connections are owned by the pool, made when needed, reconnected with back-off (50 ms doubling
 * to 5 s, jitter). While none can be had, batches wait until their deadline, then fail
 * with UNAVAILABLE and the server's or system's words. A batch whose connection was lost after
 * sending: UNAVAILABLE with pg_was_sent: it may or may not have been committed; the caller reads
 * again by id. Host names are resolved on the work queue, never by libpq (but for a service
 * file's). Sessions speak UTF-8, ISO dates and UTC, and plan a statement once, for any parameters and by
 * index: how it is found must not depend on whether a parameter is empty.
 *
 * A batch that was given up (deadline, pg_cancel) while the server works on it keeps those behind
 * it waiting for a second; then the server is asked to cancel it. Others that the request hits are
 * sent again, unnoticed.
 *
 * Callbacks fire from the loop, never from inside a function of this page, except for those of
 * pg_destroy, which is not to be called from a callback of this page. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"

struct loop;
struct pg;
struct pg_batch;

struct pg_options {
	const char *conninfo;    /* libpq's; copied */
	unsigned pool_size;      /* connections for batches, default 4 */
	unsigned pipeline_depth; /* batches in flight a connection, default 64 */
	size_t queue_limit;      /* batches waiting; beyond: RESOURCE_EXHAUSTED; default 10,000 */
	/* The first connection came up / the last one was lost, or the very first attempt failed
	 * (later ones are not told: pg_last_error knows). May be NULL. */
	void (*on_state)(void *data, bool up, const struct status *why);
	void *data;
};
struct pg *pg_create(struct loop *l, const struct pg_options *o);
/* Every batch under way completes with CANCELLED first, from inside this call. NULL is fine. */
void pg_destroy(struct pg *pg);
bool pg_is_up(const struct pg *pg);
/* Why it is not up; OK when it is. */
struct status pg_last_error(const struct pg *pg);

/* ---- building ---- */
struct pg_stmt {
	const char *name; /* unique in the program; prepared once a connection */
	const char *sql;  /* $1 … $n */
};
struct pg_batch *pg_batch_create(struct pg *pg);
void pg_add(struct pg_batch *b, const struct pg_stmt *s); /* then bind its parameters in order */
void pg_bind_text(struct pg_batch *b, const char *text);  /* copied; NULL binds null */
void pg_bind_str(struct pg_batch *b, struct str text); /* holds no NUL byte, or INVALID_ARGUMENT */
void pg_bind_i64(struct pg_batch *b, int64_t v);
void pg_bind_f64(struct pg_batch *b, double v);
void pg_bind_bool(struct pg_batch *b, bool v);
void pg_bind_bytes(struct pg_batch *b, struct str bytes); /* bytea */
void pg_bind_null(struct pg_batch *b);
/* text[] literal from n strings */
void pg_bind_text_array(struct pg_batch *b, const char *const *texts, size_t n);
/* Several statements without parameters, in text (migrations); alone in its batch. One transaction,
 * unless the text itself says begin and commit; one result a statement. */
void pg_add_script(struct pg_batch *b, const char *sql);

/* ---- results: valid during the callback only ---- */
struct pg_results;
typedef void (*pg_done)(void *data, const struct status *st, const struct pg_results *r);
/* Runs the batch and frees it after `done` (may be NULL). Returns a ticket for pg_cancel; it is
 * dead once done has been called. Mistakes made in building come out here. An empty batch is OK at
 * once. deadline_ms = 0: none. */
struct pg_batch *pg_run(struct pg_batch *b, uint64_t deadline_ms, pg_done done, void *data);
/* Gives up waiting: done gets CANCELLED. The server may still run it. */
void pg_cancel(struct pg_batch *b);
void pg_batch_destroy(struct pg_batch *b); /* one that was never run */

/* What is not there (a wrong index, any result of a failed batch) reads as null, "" or 0. */
size_t pg_result_count(const struct pg_results *r);           /* statements */
int pg_rows(const struct pg_results *r, size_t stmt);         /* rows returned */
int64_t pg_affected(const struct pg_results *r, size_t stmt); /* rows changed */
bool pg_is_null(const struct pg_results *r, size_t stmt, int row, int col);
const char *pg_text(const struct pg_results *r, size_t stmt, int row, int col); /* "" for null */
struct str pg_str(const struct pg_results *r, size_t stmt, int row, int col);
int64_t pg_i64(const struct pg_results *r, size_t stmt, int row, int col);
bool pg_bool(const struct pg_results *r, size_t stmt, int row, int col);
double pg_f64(const struct pg_results *r, size_t stmt, int row, int col);
struct str pg_bytes(const struct pg_results *r, size_t stmt, int row, int col); /* bytea, decoded */
/* After a failure: "23505" and the constraint's name, or "". */
const char *pg_sqlstate(const struct pg_results *r);
const char *pg_constraint(const struct pg_results *r);
/* The server has it, but did not answer (lost, cancelled, too late): the outcome is unknown. */
bool pg_was_sent(const struct pg_results *r);

/* SQLSTATE → code: 23505 ALREADY_EXISTS; 23503, 23514, 23P01 FAILED_PRECONDITION; 23502, 22*
 * INVALID_ARGUMENT; 40001, 40P01, 55P03 ABORTED; 42501 PERMISSION_DENIED; 53* RESOURCE_EXHAUSTED;
 * 57P0*, 08*, 25006 UNAVAILABLE; 57014 DEADLINE_EXCEEDED; "SKxxx" of skep_raise: xxx is the code's
 * number; all else INTERNAL. Words: "<message>: <detail> (hint: <hint>)", with the statement's name
 * in front when INTERNAL. */

/* ---- LISTEN: on a connection of its own, again after each reconnect ---- */
/* on_notify(data, NULL, NULL) after every (re)connect: something may have been missed. There is no
 * end to it but pg_destroy. */
void pg_listen(struct pg *pg, const char *channel,
	void (*on_notify)(void *data, const char *channel, const char *payload), void *data);
