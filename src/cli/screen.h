/* screen: draws a picture over the last one, in place: no scrolling, no clearing of what stood there
 * before. On a terminal only. */
#pragma once
#include "cli/cli.h"

struct progress;

struct screen {
	struct cli *c;
	unsigned lines; /* of the last picture */
	unsigned frame;
	uint64_t drawn_ms; /* loop time */
};

/* At most ten times a second, unless `now`. */
void screen_draw(struct screen *s, const struct progress *p, uint64_t elapsed_ms, const char *trouble, bool now);
