/* view: what a reply looks like in each of the formats: tables by a view's columns, names one a
 * line, JSON and YAML from the generated tables. */
#pragma once
#include <stddef.h>
#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/table.h"

struct cli_view {
	const char *const *headers; /* NULL, and no row: never listed */
	void (*row)(struct cli *c, const ProtobufCMessage *m, struct table *t); /* as many cells as headers */
	const char *(*name)(struct cli *c, const ProtobufCMessage *m); /* what commands take to mean it */
};

struct cli_items {
	const struct rpc_message *type;
	ProtobufCMessage **items;
	size_t len;
};

/* Every page of a list, or so many items as --limit says. `call->request` is sent again with its `page` field set. */
int view_fetch(struct cli *c, const struct cli_call *call, uint64_t limit, struct cli_items *ret_items);
/* Prints items: a table, an array, names. */
void view_list(struct cli *c, const struct cli_view *v, const struct cli_items *items);
/* Prints one: each field that is not empty on a line, an object, its name. */
void view_one(struct cli *c, const struct cli_view *v, const struct rpc_message *type, const ProtobufCMessage *m);
/* Prints a JSON value as JSON or YAML, by the format. `j` is taken. */
void view_json(struct cli *c, json_t *j);
/* The same on one line (JSON) or as a document of its own (YAML): for streams. `j` is taken. */
void view_json_next(struct cli *c, json_t *j);
