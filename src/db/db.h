/* db: all SQL. One file an aggregate; each gives a table of operations, gathered in
 * struct db, so that tests and the simulation can hand in their own.
 *
 * Every operation: starts now, ends exactly once by its `done`, later, from the loop;
 * results are borrowed and die with the callback; it returns a call that db_cancel
 * gives up (done is then called with CANCELLED). Each has a deadline of its own (5 s); when
 * PostgreSQL does not answer within it, that is UNAVAILABLE.
 * Everything that belongs to a project is read and written through a scope: another project's
 * rows are NOT_FOUND. Every mutation of a caller writes its audit_log row in the same transaction.
 * Sealed columns are sealed and opened here: callers see plain text. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/rng.h"
#include "base/status.h"
#include "base/str.h"

struct clock;
struct keyring;
struct pg;
struct db_call;

struct db {
	const struct db_project_ops *projects;
	const struct db_token_ops *tokens;
	const struct db_registry_ops *registries;
	const struct db_stack_ops *stacks;
	const struct db_job_ops *jobs;
	const struct db_schedule_ops *schedules;
	const struct db_event_ops *events;
	void (*cancel)(struct db *db, struct db_call *call); /* the call is not yet done */
};
static inline void db_cancel(struct db *db, struct db_call *call)
{
	db->cancel(db, call);
}

/* The PostgreSQL implementation. pg, keyring, clock, rng are borrowed and outlive it. */
struct db *db_pg_create(struct pg *pg, struct keyring *keyring, const struct clock *clock,
	struct rng *rng);
/* calls still under way end with CANCELLED when pg is destroyed */
void db_pg_destroy(struct db *db);

/* What a project may submit; 0 = no limit. Beyond it: RESOURCE_EXHAUSTED, with when to try again. */
struct db_job_limits {
	unsigned backlog;           /* of jobs that wait */
	unsigned per_minute, burst; /* submissions, evenly; so many at once */
};
/* For submissions from here on; none before. */
void db_pg_limit_jobs(struct db *db, struct db_job_limits limits);

/* Who asks, for which project. Copied by the operation. */
struct db_scope {
	const char *project_id; /* "" = every project (admin) */
	const char *actor;      /* for audit: "unix:root", "token:ci" */
	const char *method;     /* for audit and idempotency: "/skep.v1.Stacks/Deploy" */
	/* Idempotency of a mutation: the same id from the same caller within 24 h gives the first
	 * answer; with another method or fingerprint it is FAILED_PRECONDITION. "" = none. */
	const char *request_id;
	const char *token_id;   /* the caller, as request ids know him: names of tokens repeat. NULL or "" = the actor */
	struct str fingerprint; /* SHA-256 of the request without its request_id */
};

/* A page of a list in the order of ids, newest first. */
struct db_page {
	unsigned size;      /* 1–500 */
	const char *before; /* id of the last row of the page before; "" = from the start */
};

typedef void (*db_done)(void *data, const struct status *st);
