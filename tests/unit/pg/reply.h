/* reply: what a batch ended with, copied out of its callback. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "loop/loop.h"
#include "pg/pg.h"

#define REPLY_STMTS 4
#define REPLY_COLS  4

struct reply {
	int calls;
	struct status st;
	char sqlstate[8], constraint[64];
	bool sent;
	size_t count;
	int rows[REPLY_STMTS];
	int64_t affected[REPLY_STMTS];
	char cell[REPLY_STMTS][REPLY_COLS][256]; /* of the first row */
};

static inline void on_reply(void *data, const struct status *st, const struct pg_results *r)
{
	struct reply *to = data;
	to->calls++;
	to->st = *st;
	(void)snprintf(to->sqlstate, sizeof to->sqlstate, "%s", pg_sqlstate(r));
	(void)snprintf(to->constraint, sizeof to->constraint, "%s", pg_constraint(r));
	to->sent = pg_was_sent(r);
	to->count = pg_result_count(r);
	for (size_t i = 0; i < to->count && i < REPLY_STMTS; i++) {
		to->rows[i] = pg_rows(r, i);
		to->affected[i] = pg_affected(r, i);
		for (int col = 0; col < REPLY_COLS; col++)
			(void)snprintf(to->cell[i][col], sizeof to->cell[i][col], "%s",
				pg_text(r, i, 0, col));
	}
}

static inline void reply_wait(struct loop *l, struct reply *r)
{
	while (r->calls == 0)
		loop_turn(l);
}

static inline void assert_status(const struct status *st, enum st_code code, const char *words)
{
	if (st->code != code || strstr(st->message, words) == NULL)
		fail_msg("%s: \"%s\", but expected %s: \"%s\"", st_code_name(st->code), st->message,
			st_code_name(code), words);
}

static inline void assert_ok(const struct status *st)
{
	assert_status(st, ST_OK, "");
}

/* One statement or script, to its end. */
static inline struct reply run_text(struct loop *l, struct pg *pg, const char *sql)
{
	struct reply r = {0};
	struct pg_batch *b = pg_batch_create(pg);
	pg_add_script(b, sql);
	pg_run(b, 20000, on_reply, &r);
	assert_int_equal(r.calls, 0);
	reply_wait(l, &r);
	return r;
}

static inline void run_ok(struct loop *l, struct pg *pg, const char *sql)
{
	struct reply r = run_text(l, pg, sql);
	assert_ok(&r.st);
}
