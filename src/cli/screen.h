/* screen: draws a picture over the last one, in place: no scrolling, no clearing of what stood there
 * before. On a terminal only. */
#pragma once
#include "cli/cli.h"

struct buf;
struct progress;

struct screen {
	struct cli *c;
	unsigned lines; /* of the last picture */
	unsigned frame;
	uint64_t drawn_ms; /* loop time */
};

void screen_size(const struct cli *c, unsigned *ret_columns, unsigned *ret_rows);
/* The text, without colours, cut to what fits; the first line stands out. Ends it at the bottom with `foot`. */
void screen_show(struct screen *s, struct buf *text, const char *foot);
/* At most ten times a second, unless `now`. */
void screen_draw(struct screen *s, const struct progress *p, uint64_t elapsed_ms, const char *trouble, bool now);
