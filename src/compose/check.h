/* check: what check.c (types, plain kinds) and check_forms.c (kinds with short forms) share. */
#pragma once
#include "compose/forms.h"
#include "compose/loader.h"
#include "compose/schema.h"

/* Each returns true, or false when it reported something. The node takes its long form in place. */
bool check_value(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path);
bool check_map(struct loader *l, struct node *n, const struct schema_key *table, unsigned flags,
	const struct path *path);
bool check_ports(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path);
bool check_volumes(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path);
bool check_files(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path);
/* networks and depends_on: a list of names, or names with mappings */
bool check_names(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path);
bool check_ulimits(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path);
bool check_external(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path);
bool check_env_file(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path);
bool check_build(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path);
bool check_extends(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path);
bool check_include(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path);

/* "services.web.tty must be a boolean"; false. */
bool check_must_be(
	struct loader *l, const struct node *n, const struct path *path, const char *what);
/* What docker finds when it decodes: its words in compat mode, else the reason alone; false. */
bool check_decoding(
	struct loader *l, const struct node *n, const struct path *path, const char *reason);
/* The service that a path leads into. */
const char *check_service_name(const struct path *path);
