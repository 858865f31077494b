/* registries: who may pull from which image registry, per project. Passwords are sealed with aad
 * "registries/<id>/password". */
#pragma once
#include "db/db.h"

#define DB_REGISTRIES_MAX 100 /* of a project */

struct db_registry {
	struct uuid id, project_id;
	const char *host, *username;
	const char *password; /* load only; else "" */
	int64_t created_us, updated_us;
};
typedef void (*db_registry_done)(void *data, const struct status *st, const struct db_registry *r);
typedef void (*db_registries_done)(void *data, const struct status *st,
	const struct db_registry *r, size_t n, bool more);

struct db_registry_set {
	const char *project; /* id or name */
	const char *host, *username, *password;
	const char *etag; /* the id of what is replaced: ABORTED when that is not there now; "" or NULL:
			     whatever there is */
};
struct db_registry_ops {
	/* Makes the credentials of a host or replaces them. RESOURCE_EXHAUSTED: the project has
	 * DB_REGISTRIES_MAX. */
	struct db_call *(*set)(struct db *db, const struct db_scope *s,
		const struct db_registry_set *r, db_registry_done done, void *data);
	/* What set answered to the scope's request id; NULL: it has not been used. NOT_FOUND: what it made is
	 * not there any more. */
	struct db_call *(*recall)(struct db *db, const struct db_scope *s, db_registry_done done, void *data);
	struct db_call *(*list)(struct db *db, const struct db_scope *s, const char *project,
		const struct db_page *page, db_registries_done done, void *data);
	/* NOT_FOUND: the project has none for this host. */
	struct db_call *(*remove)(struct db *db, const struct db_scope *s, const char *project,
		const char *host, const char *etag, db_done done, void *data);
	/* For flows: all of a project, with their passwords. */
	struct db_call *(*load)(struct db *db, const char *project_id, db_registries_done done,
		void *data);
};
