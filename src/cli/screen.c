#include "cli/screen.h"
#include <sys/ioctl.h>
#include <unistd.h>
#include "cli/progress.h"
#include "cli/text.h"
#include "loop/loop.h"

#define FRAME_MS 100

void screen_size(const struct cli *c, unsigned *ret_columns, unsigned *ret_rows)
{
	struct winsize w = {0};
	*ret_columns = c->host->columns;
	*ret_rows = c->host->rows;
	if (*ret_columns == 0 && ioctl(fileno(c->host->out), TIOCGWINSZ, &w) == 0) {
		*ret_columns = w.ws_col;
		*ret_rows = w.ws_row;
	}
	if (*ret_columns == 0)
		*ret_columns = 80;
	if (*ret_rows == 0)
		*ret_rows = 24;
}

/* Each line's rest is wiped, so that a shorter one leaves nothing of what it is drawn over. */
static void add_wiped(struct buf *b, struct str picture)
{
	while (picture.len) {
		buf_add_str(b, str_cut(&picture, '\n'));
		buf_adds(b, "\x1b[K\n");
	}
}

static void add_line(struct screen *s, struct buf *b, struct str line, unsigned columns, const char *look)
{
	buf_adds(b, look);
	text_cut(b, line, columns, s->c->utf8);
	buf_fmt(b, "%s\x1b[K\n", *look ? "\x1b[0m" : "");
	s->lines++;
}

void screen_show(struct screen *s, struct buf *text, const char *foot)
{
	struct cli *c = s->c;
	struct buf b = {0};
	struct str rest = buf_str(text);
	unsigned columns, rows;
	screen_size(c, &columns, &rows);
	if (s->lines > 0)
		buf_fmt(&b, "\r\x1b[%uA", s->lines);
	s->lines = 0;
	while (rest.len && s->lines + 3 < rows) /* the foot, and the line that the cursor is left on */
		add_line(s, &b, str_cut(&rest, '\n'), columns - 1, s->lines == 0 && c->color ? "\x1b[1m" : "");
	add_line(s, &b, str_of(foot), columns - 1, c->color ? "\x1b[2m" : "");
	buf_adds(&b, "\x1b[J");
	cli_write(c, &b);
}

void screen_draw(struct screen *s, const struct progress *p, uint64_t elapsed_ms, const char *trouble, bool now)
{
	struct cli *c = s->c;
	struct buf picture = {0}, b = {0};
	uint64_t ms = loop_now_ms(c->loop);
	if (!now && s->drawn_ms && ms - s->drawn_ms < FRAME_MS)
		return;
	struct progress_look look = {.color = c->color, .utf8 = c->utf8, .elapsed_ms = elapsed_ms,
		.frame = s->frame++, .trouble = trouble};
	screen_size(c, &look.columns, &look.rows);
	look.columns--; /* a full line would wrap before its rest is wiped */
	if (s->lines > 0)
		buf_fmt(&b, "\r\x1b[%uA", s->lines);
	s->lines = progress_draw(p, &look, &picture);
	s->drawn_ms = ms;
	add_wiped(&b, buf_str(&picture));
	buf_adds(&b, "\x1b[J");
	buf_finish(&picture);
	cli_write(c, &b);
}
