/* app: makes every part, hands each what it needs, starts, drains, ends. No logic of its own: what a part
 * does stands in its folder. Made by main; one a process.
 *
 * Start: the clients' doors open at once, so that System.Ready can say what is missing; then
 * PostgreSQL is awaited and migrated; then jobs are claimed and the Swarm is observed.
 * Drain: no new clients, GOAWAY, jobs end or are handed back, then everything closes in the opposite order. */
#pragma once
#include "app/config.h"
#include "base/status.h"

struct app;
struct loop;

/* `config` outlives the app. */
struct status app_create(struct loop *l, const struct config *config, struct app **ret_app) __attribute__((warn_unused_result));
/* Opens the doors, then goes on by itself. Failure: an address in use, a key file that others may read … */
struct status app_start(struct app *app) __attribute__((warn_unused_result));
/* done(data, st) once, when it is drained, or when it cannot go on (a migration that fails for good: st says why). */
void app_on_end(struct app *app, void (*done)(void *data, const struct status *st), void *data);
/* Looks at the certificate's files now. */
void app_reload(struct app *app);
void app_drain(struct app *app);
void app_destroy(struct app *app); /* after on_end */
