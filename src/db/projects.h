/* projects: the tenants. A project is named by id or by name wherever `project` stands. */
#pragma once
#include "db/db.h"

#define DB_ETAG_MAX 16

enum drift_policy { DRIFT_REPORT = 1, DRIFT_REPAIR };

struct db_project {
	struct uuid id;
	const char *name, *description;
	int64_t created_us, updated_us;
	int stacks;
	enum drift_policy drift_policy;
	int weight, max_running; /* see jobs/fair.h */
	char etag[DB_ETAG_MAX + 1]; /* another one after each change of it */
};
/* What is to change. */
struct db_project_change {
	const char *description; /* NULL = as it is */
	enum drift_policy drift_policy; /* 0 = as it is */
	int weight;      /* 0 = as it is */
	int max_running; /* 0 = as it is, -1 = no number of its own */
	const char *etag; /* ABORTED when it has another one now; "" or NULL = whatever it has */
};
typedef void (*db_project_done)(void *data, const struct status *st, const struct db_project *p);
typedef void (*db_projects_done)(
	void *data, const struct status *st, const struct db_project *p, size_t n, bool more);

struct db_project_ops {
	struct db_call *(*create)(struct db *db, const struct db_scope *s, const char *name,
		const char *description, db_project_done done, void *data);
	struct db_call *(*get)(struct db *db, const struct db_scope *s, const char *project,
		db_project_done done, void *data);
	struct db_call *(*list)(struct db *db, const struct db_scope *s, const struct db_page *page,
		db_projects_done done, void *data);
	struct db_call *(*update)(struct db *db, const struct db_scope *s, const char *project,
		const struct db_project_change *change, db_project_done done, void *data);
	/* FAILED_PRECONDITION names the stacks (at most 10) that are still there; etag: as in a
	 * change. */
	struct db_call *(*remove)(struct db *db, const struct db_scope *s, const char *project,
		const char *etag, db_done done, void *data);
};
