/* decode: what decode.c (fields by the schema's offsets) and decode_service.c share. The tree was
 * checked and merged: a node of the wrong kind was reported already, and counts as absent. */
#pragma once
#include "compose/forms.h"
#include "compose/loader.h"
#include "compose/schema.h"

/* Fills the fields of `base` that the table's offsets name. */
void decode_fields(
	struct loader *l, const struct node *n, const struct schema_key *table, void *base);
void decode_service(
	struct loader *l, const struct node *n, const struct path *path, struct compose_service *s);
struct compose_strings decode_strings(struct loader *l, const struct node *n);
/* An integer of a mapping; `otherwise` when absent. */
int64_t decode_int(const struct node *map, const char *key, int64_t otherwise);
