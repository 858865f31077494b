/* api: the handlers of proto/skep/v1, one file a service: check what the field rules cannot, make one
 * domain call, reply. Nothing else: no SQL, no Engine, no waiting. `struct api` is the context
 * that the rpc server hands to every handler (rpc_call_context); app makes it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"

struct api_hub;
struct db;
struct loop;
struct observer;
struct rpc_token;
struct stacks;

/* Why a server that skepd needs can't be used. */
struct api_dependency {
	const char *name; /* "postgres", "redis", "docker" */
	bool up;
	struct status why; /* with what to do about it */
};
#define API_DEPENDENCIES 3

struct api {
	struct loop *loop;
	struct db *db;          /* borrowed */
	struct api_hub *hub;    /* owned by app: wakes Watch streams */
	const char *instance;   /* this daemon's id */
	int64_t started_us;
	/* After a commit: a job is ready (for the worker here, and by Redis for the others) / was asked to stop (for the
	 * worker here; the others hear of it from PostgreSQL). */
	void (*job_ready)(void *data, const char *job_id);
	void (*job_cancel)(void *data, const char *job_id);
	void (*dependencies)(void *data, struct api_dependency ret[API_DEPENDENCIES]);
	unsigned job_project_running; /* of a project that has no number of its own; 0 = no cap */
	struct stacks *stacks;     /* borrowed: the Engine, for plans */
	struct observer *observer; /* borrowed: the tasks as seen now; NULL: none are told */
	void *data;
};

/* All that skepd cannot do without is up. Redis only makes things faster. */
bool api_is_ready(const struct api_dependency seen[API_DEPENDENCIES]);

/* rpc_server_options.authenticate: context is the struct api. */
void api_authenticate(void *context, struct rpc_token *token, struct str bearer);
/* … whose id a client certificate names? */
void api_identify(void *context, struct rpc_token *token, struct str token_id);
