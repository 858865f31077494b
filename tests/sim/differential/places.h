/* places: every operation of struct db, and what the sequences must have seen of it, or why none of it is asked. A new one has no
 * place until it gets its line here: until then this does not compile; and a line of which a run sees too little fails it. */
#pragma once
#include "sides.h"
#include "db/tokens.h"

/* ---- what is to be seen ---- */
#define SEEN(code) (UINT32_C(1) << (code))
#define FINE       SEEN(ST_OK)
#define ABSENT     SEEN(ST_NOT_FOUND)
#define INVALID    SEEN(ST_INVALID_ARGUMENT)
#define REFUSED    SEEN(ST_FAILED_PRECONDITION)
#define EXISTS     SEEN(ST_ALREADY_EXISTS)
#define FULL       SEEN(ST_RESOURCE_EXHAUSTED)
#define FENCED     SEEN(ST_ABORTED)
#define STRANGER   SEEN(ST_UNAUTHENTICATED)
/* Of answers that are fine. */
#define SCOPED     (UINT32_C(1) << 24) /* by a caller of one project */
#define MORE       (UINT32_C(1) << 25) /* a page behind which there is more */
#define BEHIND     (UINT32_C(1) << 26) /* one that begins behind another row, and is not empty */
#define FILTERED   (UINT32_C(1) << 27) /* something was left out by what was asked for */
#define REPEATED   (UINT32_C(1) << 28) /* a request id that was used before */
#define PAGES      (FINE | MORE | BEHIND)

/* ---- every operation: X(its table, its name, what is to be seen) or LEFT(table, name, why none is) ---- */
#define PLACES_PROJECTS(X, LEFT) \
	X(projects, create, FINE | EXISTS | INVALID) \
	X(projects, get, FINE | SCOPED | ABSENT | INVALID) \
	X(projects, list, PAGES | SCOPED) \
	X(projects, update, FINE | SCOPED | ABSENT | FENCED) \
	X(projects, remove, FINE | ABSENT | FENCED | REFUSED)
#define NO_CALLERS "who a caller is does not matter to what the simulation asks: the model has no tokens (tests/unit/db/test_tokens.c)"
#define PLACES_TOKENS(X, LEFT) \
	LEFT(tokens, create, NO_CALLERS) \
	LEFT(tokens, authenticate, NO_CALLERS) \
	LEFT(tokens, identify, NO_CALLERS) \
	LEFT(tokens, list, NO_CALLERS) \
	LEFT(tokens, revoke, NO_CALLERS)
#define NO_REGISTRIES "the model's credentials are given by a test, one for every project (tests/unit/db/test_registries.c)"
#define PLACES_REGISTRIES(X, LEFT) \
	LEFT(registries, set, NO_REGISTRIES) \
	LEFT(registries, recall, NO_REGISTRIES) \
	LEFT(registries, list, NO_REGISTRIES) \
	LEFT(registries, remove, NO_REGISTRIES) \
	LEFT(registries, load, NO_REGISTRIES)
#define PLACES_STACKS(X, LEFT) \
	X(stacks, deploy, FINE | SCOPED | REPEATED | ABSENT | INVALID | REFUSED | EXISTS | FULL) \
	X(stacks, rollback, FINE | ABSENT | REFUSED) \
	X(stacks, submit, FINE | SCOPED | ABSENT | REFUSED | FULL) \
	X(stacks, check_namespace, FINE | ABSENT | EXISTS) \
	X(stacks, get, FINE | SCOPED | ABSENT) \
	X(stacks, list, PAGES | SCOPED | FILTERED | ABSENT) \
	X(stacks, releases, PAGES | SCOPED | ABSENT) \
	X(stacks, load_release, FINE | ABSENT) \
	X(stacks, store_source, FINE | FENCED) \
	X(stacks, good_releases, FINE) \
	X(stacks, reserved, FINE | FILTERED) \
	X(stacks, store_rendered, FINE | FENCED) \
	X(stacks, set_status, FINE | FENCED) \
	X(stacks, activate, FINE | FENCED) \
	X(stacks, fail_release, FINE | FENCED) \
	X(stacks, removed, FINE | FENCED) \
	X(stacks, set_networks, FINE | FENCED | EXISTS) \
	X(stacks, watched, PAGES) \
	X(stacks, observe, FINE) \
	X(stacks, repair, FINE | REFUSED)
#define PLACES_JOBS(X, LEFT) \
	X(jobs, get, FINE | SCOPED | ABSENT) \
	X(jobs, list, PAGES | SCOPED | FILTERED | ABSENT) \
	X(jobs, events, FINE | MORE | BEHIND | SCOPED | ABSENT) \
	X(jobs, cancel, FINE | SCOPED | ABSENT | REFUSED) \
	X(jobs, retry, FINE | ABSENT | REFUSED) \
	X(jobs, retry_failed, FINE | ABSENT) \
	X(jobs, view, FINE | FILTERED) \
	X(jobs, stats, FINE | SCOPED | ABSENT) \
	X(jobs, pause, FINE | ABSENT) \
	X(jobs, resume, FINE | ABSENT) \
	X(jobs, alive, FINE) \
	X(jobs, gone, FINE) \
	X(jobs, look, FINE) \
	X(jobs, claim, FINE) \
	X(jobs, renew, FINE) \
	X(jobs, write, FINE) \
	X(jobs, tell, FINE) \
	X(jobs, housekeep, FINE) \
	X(jobs, archive, FINE)
#define PLACES_SCHEDULES(X, LEFT) \
	X(schedules, create, FINE | SCOPED | REPEATED | ABSENT | EXISTS | INVALID) \
	X(schedules, get, FINE | SCOPED | ABSENT) \
	X(schedules, list, PAGES | SCOPED | FILTERED | ABSENT) \
	X(schedules, update, FINE | SCOPED | ABSENT | FENCED) \
	X(schedules, remove, FINE | ABSENT) \
	X(schedules, due, FINE) \
	X(schedules, fire, FINE | REFUSED | FENCED) \
	X(schedules, pass, FINE | FENCED)
#define PLACES_EVENTS(X, LEFT) \
	X(events, position, FINE) \
	X(events, read, PAGES | SCOPED | FILTERED | ABSENT)
#define PLACES(X, LEFT) \
	PLACES_PROJECTS(X, LEFT) PLACES_TOKENS(X, LEFT) PLACES_REGISTRIES(X, LEFT) PLACES_STACKS(X, LEFT) PLACES_JOBS(X, LEFT) \
	PLACES_SCHEDULES(X, LEFT) PLACES_EVENTS(X, LEFT)

#define PLACE_ID(table, op, what) PLACE_##table##_##op,
enum place { PLACES(PLACE_ID, PLACE_ID) PLACE_COUNT };
_Static_assert(PLACE_COUNT < PLACES_MAX, "PLACES_MAX is too low");

/* None is forgotten: tables are of pointers to functions, and each line stands for one. */
#define PLACE_ONE(table, op, what) +1
#define ALL_OF(LINES, ops) \
	_Static_assert((0 LINES(PLACE_ONE, PLACE_ONE)) * sizeof(void (*)(void)) == sizeof(struct ops), \
		"an operation of " #ops " has no place in places.h")
ALL_OF(PLACES_PROJECTS, db_project_ops);
ALL_OF(PLACES_TOKENS, db_token_ops);
ALL_OF(PLACES_REGISTRIES, db_registry_ops);
ALL_OF(PLACES_STACKS, db_stack_ops);
ALL_OF(PLACES_JOBS, db_job_ops);
ALL_OF(PLACES_SCHEDULES, db_schedule_ops);
ALL_OF(PLACES_EVENTS, db_event_ops);
_Static_assert(sizeof(struct db) == 8 * sizeof(void (*)(void)), "a table of struct db has no place in places.h");

/* The operation, to be called: what the side answers next is of it. */
#define ASK(s, table, op) (side_asks((s), PLACE_##table##_##op), (s)->db->table->op)
void side_asks(struct side *s, enum place p);
/* Nothing is asked, and nothing noted yet. */
void side_begins(struct side *s);
/* What the answer is noted with if it is fine: SCOPED … */
void side_notes(struct side *s, uint32_t what);
/* Was all of it seen? */
bool places_were_seen(const struct side *s);
void places_tell_unseen(const struct side *s);
