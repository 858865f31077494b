#include "cli/progress.h"
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/mem.h"
#include "cli/message.h"
#include "cli/table.h"
#include "cli/text.h"
#include "skep/v1/common.pb-c.h"
#include "skep/v1/stacks.pb-c.h"

/* Cleans it and cuts it to `size` with its NUL. True when it changed. */
static bool set_text(char *at, size_t size, const char *text)
{
	struct buf b = {0};
	text_clean(&b, str_of(text), false);
	struct str s = buf_str(&b);
	if (s.len >= size)
		s.len = str_utf8_valid_upto(str_make(s.ptr, size - 1));
	bool changed = strlen(at) != s.len || memcmp(at, s.ptr, s.len) != 0;
	memcpy(at, s.ptr, s.len);
	at[s.len] = '\0';
	buf_finish(&b);
	return changed;
}
#define SET_TEXT(at, text) set_text((at), sizeof(at), (text))

void progress_init(struct progress *p, const char *title)
{
	*p = (struct progress){.scratch = arena_create(), .has_bar = true};
	(void)SET_TEXT(p->title, title);
}

void progress_finish(struct progress *p)
{
	arena_destroy(p->scratch);
	free(p->services);
	*p = (struct progress){0};
}

static bool set_number(int32_t *at, int32_t n)
{
	bool changed = *at != n;
	*at = n;
	return changed;
}

/* ---- services ---- */

static struct progress_service *find_service(struct progress *p, const char *name, bool *ret_new)
{
	struct progress_service wanted = {0};
	(void)SET_TEXT(wanted.name, name);
	*ret_new = false;
	for (size_t i = 0; i < p->n_services; i++)
		if (strcmp(p->services[i].name, wanted.name) == 0)
			return &p->services[i];
	if (p->n_services == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 16;
		p->services = mem_realloc_array(p->services, sizeof(*p->services), p->cap);
	}
	*ret_new = true;
	p->services[p->n_services] = wanted;
	return &p->services[p->n_services++];
}

static void add_time(const struct progress *p, struct buf *b)
{
	uint64_t ms = p->last_us > p->first_us ? (uint64_t)(p->last_us - p->first_us) / 1000 : 0;
	const char *span = text_span(p->scratch, ms);
	text_pad(b, strlen(span) < 6 ? 6 - strlen(span) : 0);
	buf_fmt(b, "%s  ", span);
}

static bool is_counted(const struct progress_service *s)
{
	return s->wanted > 0 || s->running > 0;
}

static void add_service_line(const struct progress *p, const struct progress_service *s, struct buf *b)
{
	if (p->has_bar)
		add_time(p, b);
	buf_fmt(b, "%s: %s", s->name, s->state);
	if (is_counted(s))
		buf_fmt(b, " %d/%d", s->running, s->wanted);
	if (*s->message)
		buf_fmt(b, ": %s", s->message);
	buf_addc(b, '\n');
}

static void take_service(struct progress *p, const Skep__V1__Event *e, struct buf *b)
{
	bool is_new;
	struct progress_service *s = find_service(p, e->service, &is_new);
	bool changed = SET_TEXT(s->state, e->state);
	changed |= set_number(&s->running, e->running);
	changed |= set_number(&s->wanted, e->wanted);
	changed |= SET_TEXT(s->message, e->message);
	if (changed || is_new)
		add_service_line(p, s, b);
}

/* ---- events ---- */

static void take_step(struct progress *p, const Skep__V1__Event *e, struct buf *b)
{
	bool undo = strcmp(e->kind, "job.undo") == 0;
	char *step = arena_strdup(p->scratch, e->step);
	for (char *at = step; *at; at++)
		*at = *at == '_' ? ' ' : *at; /* steps have the names of functions */
	bool changed = SET_TEXT(p->step, step) | (undo != p->undoing);
	p->undoing = undo;
	if (!changed)
		return;
	add_time(p, b);
	if (undo)
		buf_fmt(b, "taking back %s\n", p->step);
	else
		buf_fmt(b, "%s (%d%%)\n", p->step, p->percent);
}

static void take_message(struct progress *p, const Skep__V1__Event *e, struct buf *b)
{
	if (!*e->message || !SET_TEXT(p->message, e->message))
		return;
	add_time(p, b);
	buf_fmt(b, "%s\n", p->message);
}

static void take_state(struct progress *p, const Skep__V1__Event *e, struct buf *b)
{
	static const struct {
		const char *kind, *words;
	} kinds[] = {{"job.created", "queued"}, {"job.started", "started"},
		{"job.resumed", "resumed after an interruption"}, {"job.requeued", "will be tried again"},
		{"job.cancel_requested", "asked to stop"}, {"job.retried", "to be run once more"}};
	const char *words = NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(e->kind, kinds[i].kind) == 0)
			words = kinds[i].words;
	p->ended = strcmp(e->kind, "job.ended") == 0;
	if (!SET_TEXT(p->state, e->state) && !words)
		return;
	p->undoing = p->undoing && strcmp(e->kind, "job.started") != 0;
	if (p->ended || (!words && !*p->state))
		return; /* the outcome has a line of its own */
	add_time(p, b);
	buf_fmt(b, "%s%s", words ? words : p->state, *e->message ? ": " : "");
	text_clean(b, str_of(e->message), false);
	buf_addc(b, '\n');
}

void progress_event(struct progress *p, const Skep__V1__Event *e, struct buf *ret_line)
{
	int64_t at = message_time_us(e->time);
	arena_reset(p->scratch);
	if (at) {
		p->first_us = p->first_us ? p->first_us : at;
		p->last_us = at;
	}
	if (e->percent > 0)
		p->percent = e->percent > 100 ? 100 : e->percent;
	if (*e->service)
		take_service(p, e, ret_line);
	else if (strcmp(e->kind, "job.step") == 0 || strcmp(e->kind, "job.undo") == 0)
		take_step(p, e, ret_line);
	else if (strcmp(e->kind, "job.message") == 0 || strcmp(e->kind, "job.progress") == 0)
		take_message(p, e, ret_line);
	else
		take_state(p, e, ret_line);
}

/* ---- a stack ---- */

static void take_stack_service(struct progress *p, const Skep__V1__Service *v, struct buf *b)
{
	bool is_new;
	struct progress_service *s = find_service(p, v->name, &is_new);
	const char *state = enum_word(p->scratch, &skep__v1__service_state__descriptor, (int)v->state);
	bool changed = SET_TEXT(s->state, state);
	changed |= set_number(&s->running, v->running);
	changed |= set_number(&s->wanted, v->wanted);
	changed |= SET_TEXT(s->message, v->message);
	if (changed || is_new)
		add_service_line(p, s, b);
}

/* Takes out the services that the stack has no more. */
static void drop_services(struct progress *p, const Skep__V1__Stack *stack, struct buf *b)
{
	size_t kept = 0;
	for (size_t i = 0; i < p->n_services; i++) {
		struct progress_service *s = &p->services[i];
		bool found = false;
		for (size_t k = 0; k < stack->n_services && !found; k++) {
			struct progress_service other = {0};
			(void)SET_TEXT(other.name, stack->services[k]->name);
			found = strcmp(other.name, s->name) == 0;
		}
		if (found)
			p->services[kept++] = *s;
		else
			buf_fmt(b, "%s: removed\n", s->name);
	}
	p->n_services = kept;
}

void progress_stack(struct progress *p, const Skep__V1__Stack *s, struct buf *ret_lines)
{
	arena_reset(p->scratch);
	const char *status = enum_word(p->scratch, &skep__v1__stack_status__descriptor, (int)s->status);
	bool changed = SET_TEXT(p->state, status);
	p->has_bar = false;
	if (SET_TEXT(p->message, s->message) || changed)
		buf_fmt(ret_lines, "%s: %s%s%s\n", p->title, p->state, *p->message ? ": " : "", p->message);
	drop_services(p, s, ret_lines);
	for (size_t i = 0; i < s->n_services; i++)
		take_stack_service(p, s->services[i], ret_lines);
}

/* ---- the picture ---- */

#define BAR_SERVICE  12
#define BAR_JOB      20
#define NAME_COLUMNS 24

static void add_bar(struct buf *b, unsigned width, int64_t part, int64_t whole, bool utf8)
{
	unsigned full = whole <= 0 ? 0 : part >= whole ? width : (unsigned)(part * width / whole);
	for (unsigned i = 0; i < width; i++)
		buf_adds(b, i < full ? (utf8 ? "\xe2\x96\x88" : "#") : (utf8 ? "\xe2\x96\x91" : "."));
}

static const char *spinner(const struct progress_look *look)
{
	static const char *const dots[] = {"\xe2\xa0\x8b", "\xe2\xa0\x99", "\xe2\xa0\xb9", "\xe2\xa0\xb8", "\xe2\xa0\xbc",
		"\xe2\xa0\xb4", "\xe2\xa0\xa6", "\xe2\xa0\xa7", "\xe2\xa0\x87", "\xe2\xa0\x8f"};
	static const char *const lines[] = {"|", "/", "-", "\\"};
	return look->utf8 ? dots[look->frame % 10] : lines[look->frame % 4];
}

/* One line: text until the columns are full; colour where `tone` begins and ends, which takes no columns. */
struct line {
	const struct progress_look *look;
	struct buf *b;
	size_t left;
};

static void put(struct line *l, enum tone tone, const char *text)
{
	bool toned = l->look->color && tone != TONE_PLAIN && *text;
	size_t width = text_width(str_of(text));
	if (l->left == 0)
		return;
	if (toned)
		buf_adds(l->b, tone_begin(tone));
	text_cut(l->b, str_of(text), l->left, l->look->utf8);
	if (toned)
		buf_adds(l->b, TONE_END);
	l->left = width < l->left ? l->left - width : 0;
}

static void put_padded(struct line *l, enum tone tone, const char *text, size_t columns)
{
	size_t width = text_width(str_of(text));
	put(l, tone, text);
	if (width < columns && columns - width <= l->left) {
		text_pad(l->b, columns - width);
		l->left -= columns - width;
	}
}

static const char *mark_of(const struct progress_look *look, enum tone tone, bool settled)
{
	if (tone == TONE_GOOD)
		return look->utf8 ? "\xe2\x9c\x94" : "+";
	if (tone == TONE_BAD)
		return look->utf8 ? "\xe2\x9c\x98" : "x";
	return settled ? "-" : spinner(look);
}

static void draw_header(const struct progress *p, const struct progress_look *look, struct line *l)
{
	struct buf bar = {0};
	enum tone tone = tone_of(p->state);
	bool done = p->ended || !p->has_bar;
	put(l, TONE_PLAIN, done ? mark_of(look, tone, true) : spinner(look));
	put(l, TONE_PLAIN, " ");
	put(l, TONE_PLAIN, p->title);
	put(l, TONE_PLAIN, "  ");
	if (p->has_bar && !p->ended) {
		add_bar(&bar, BAR_JOB, p->percent, 100, look->utf8);
		buf_fmt(&bar, " %3d%%  ", p->percent);
		put(l, TONE_PLAIN, buf_str(&bar).ptr);
		put(l, TONE_BUSY, p->undoing ? "taking back " : "");
		put(l, TONE_PLAIN, *p->step ? p->step : p->state);
	} else {
		put(l, tone, p->state);
	}
	put(l, TONE_PLAIN, "  ");
	put(l, TONE_DIM, text_span(p->scratch, look->elapsed_ms));
	if (look->trouble) {
		put(l, TONE_PLAIN, "  ");
		put(l, TONE_BAD, look->trouble);
	} else if (*p->message) {
		put(l, TONE_PLAIN, "  ");
		put(l, TONE_PLAIN, p->message);
	}
	buf_finish(&bar);
}

static void draw_service(const struct progress *p, const struct progress_service *s,
	const struct progress_look *look, size_t name_width, struct line *l)
{
	struct buf text = {0};
	enum tone tone = tone_of(s->state);
	bool settled = p->ended || !p->has_bar || tone == TONE_GOOD || tone == TONE_BAD;
	put(l, TONE_PLAIN, "  ");
	put(l, tone, mark_of(look, tone, settled));
	put(l, TONE_PLAIN, " ");
	text_cut(&text, str_of(s->name), name_width, look->utf8);
	put_padded(l, TONE_PLAIN, buf_str(&text).ptr, name_width);
	text.len = 0;
	put(l, TONE_PLAIN, "  ");
	add_bar(&text, BAR_SERVICE, s->running, s->wanted, look->utf8);
	put(l, TONE_DIM, buf_str(&text).ptr);
	text.len = 0;
	buf_fmt(&text, " %d/%d  ", s->running, s->wanted);
	put_padded(l, TONE_PLAIN, buf_str(&text).ptr, 7);
	put_padded(l, tone, s->state, 10);
	if (*s->message) {
		put(l, TONE_PLAIN, "  ");
		put(l, TONE_PLAIN, s->message);
	}
	buf_finish(&text);
}

/* What still moves or failed is worth a line before what runs. */
static bool is_dull(const struct progress_service *s)
{
	return tone_of(s->state) == TONE_GOOD;
}

static unsigned draw_services(
	const struct progress *p, const struct progress_look *look, unsigned room, struct buf *b)
{
	size_t width = 0;
	unsigned drawn = 0, dull = 0, dull_room;
	for (size_t i = 0; i < p->n_services; i++) {
		size_t w = text_width(str_of(p->services[i].name));
		width = w > width ? w : width;
		dull += is_dull(&p->services[i]);
	}
	width = width > NAME_COLUMNS ? NAME_COLUMNS : width;
	bool all = p->n_services <= room;
	unsigned lively = (unsigned)p->n_services - dull;
	room = all ? room : room - 1; /* the last line says how many are not shown */
	dull_room = room > lively ? room - lively : 0;
	for (size_t i = 0; i < p->n_services && drawn < room; i++) {
		const struct progress_service *s = &p->services[i];
		if (is_dull(s) && dull_room == 0)
			continue;
		dull_room -= is_dull(s);
		struct line l = {look, b, look->columns};
		draw_service(p, s, look, width, &l);
		buf_addc(b, '\n');
		drawn++;
	}
	if (!all) {
		struct line l = {look, b, look->columns};
		put(&l, TONE_DIM, arena_fmt(p->scratch, "    and %zu more", p->n_services - drawn));
		buf_addc(b, '\n');
	}
	return all ? drawn : drawn + 1;
}

unsigned progress_draw(const struct progress *p, const struct progress_look *look, struct buf *b)
{
	struct line l = {look, b, look->columns};
	arena_reset(p->scratch);
	draw_header(p, look, &l);
	buf_addc(b, '\n');
	unsigned room = look->rows > 3 ? look->rows - 2 : 1; /* the cursor's own line stays free */
	return 1 + draw_services(p, look, room, b);
}
