/* items: cuts a JSON list that comes in pieces into its elements, so that a list of thousands needs
 * the memory of one. Private to docker/. It knows strings and brackets only: whether an element is
 * JSON its parser says.
 *
 *	for each piece: items_feed(&i, piece, on_item, data);  at the end: items_end(&i)
 */
#pragma once
#include <stdbool.h>
#include "base/status.h"
#include "base/str.h"

#define ITEM_MAX (4u << 20) /* bytes of one element */

struct items {
	struct buf item; /* the present element, as far as it is there */
	unsigned depth;  /* 1: inside the list, between its elements */
	bool begun, ended, in_text, escaped;
};
/* on_item: each whole element, in order; valid during it. Its error ends the feeding. INTERNAL: this
 * is no list, or an element is too large. */
struct status items_feed(struct items *i, struct str piece,
	struct status (*on_item)(void *data, struct str item), void *data)
	__attribute__((warn_unused_result));
/* UNAVAILABLE: the list has not ended; INTERNAL: nothing came. */
struct status items_end(const struct items *i) __attribute__((warn_unused_result));
void items_finish(struct items *i);
