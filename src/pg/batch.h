/* batch: the inside of struct pg_batch. Built by batch.c, placed by pool.c, sent and answered by
 * pipeline.c. It is freed when its `done` was called and the server owes it nothing any more: one
 * that was given up (cancel, deadline) after sending stays in its pipeline as the place
 * into which the late results fall. */
#pragma once
#include <libpq-fe.h>
#include "loop/op.h"
#include "pg/pg.h"

struct arena;
struct pipeline;
struct prepared;

struct pg_item {
	const struct pg_stmt *stmt;
	size_t first_param, nparams;
	/* This sending: */
	struct prepared *prepared;
	unsigned version; /* of `prepared` */
	bool prepares;    /* its Parse is in this batch, and not answered yet */
};

struct pg_results {
	struct arena *arena; /* decoded columns */
	PGresult **list;
	size_t n, cap;
	PGresult *error; /* the first; NULL = none */
	bool sent;       /* and the outcome is not known */
};

enum pg_place {
	PG_BUILDING,
	PG_WAITING, /* in pg->waiting */
	PG_SENT,    /* in a pipeline's list */
	PG_ENDED,
};

struct pg_batch {
	struct pg *pg;
	struct op op;
	struct list all;  /* pg->batches, until done is called */
	struct list node; /* by place */
	enum pg_place place;
	struct pipeline *pipeline; /* PG_SENT */
	bool given_up;             /* cancelled or too late */
	bool delivered;            /* done was called */
	bool cancelled;            /* the server was asked to stop it */
	unsigned retries;
	pg_done done;
	void *data;

	struct arena *arena;
	struct status mistake; /* the first one made in building it */
	const char *script;
	struct pg_item *items;
	size_t nitems, items_cap;
	size_t at;              /* the item whose Parse is answered next */
	struct pg_item *failed; /* NULL: none, or not one alone (the commit) */
	const char **values;
	int *lengths, *formats;
	size_t nparams, params_cap;

	struct pg_results results;
};

/* The server owes it nothing any more: it ends with st, or is freed if it was given up before. */
void batch_end(struct pg_batch *b, const struct status *st);
/* The next answer of the server; takes it over. */
void batch_add_result(struct pg_batch *b, PGresult *res);
/* Forgets the answers. */
void batch_clear_results(struct pg_batch *b);
void batch_free(struct pg_batch *b);
