#include "places.h"
#include <stdio.h>

#define SEEN_OF(table, op, seen) {#table "." #op, (seen), NULL},
#define LEFT_OF(table, op, why) {#table "." #op, 0, (why)},
static const struct {
	const char *name;
	uint32_t wanted;
	const char *left_out; /* why */
} places[PLACE_COUNT] = {PLACES(SEEN_OF, LEFT_OF)};

static const struct {
	uint32_t bit;
	const char *name;
} notes[] = {{SCOPED, "a caller of one project"}, {MORE, "a page with more behind it"}, {BEHIND, "a page behind another"},
	{FILTERED, "something left out by a filter"}, {REPEATED, "a request id that was used before"}};

void side_asks(struct side *s, enum place p)
{
	s->asked = p;
}

void side_begins(struct side *s)
{
	s->asked = PLACE_COUNT;
	s->notes = 0;
	s->request = 0;
}

void side_notes(struct side *s, uint32_t what)
{
	s->notes |= what;
}

static void tell_unseen(const char *name, uint32_t missing)
{
	for (int code = 0; code < 24; code++)
		if (missing & SEEN(code))
			printf("never seen: %s answers %s\n", name, st_code_name((enum st_code)code));
	for (size_t i = 0; i < sizeof(notes) / sizeof(*notes); i++)
		if (missing & notes[i].bit)
			printf("never seen: %s with %s\n", name, notes[i].name);
}

bool places_were_seen(const struct side *s)
{
	uint32_t missing = 0;
	for (size_t i = 0; i < PLACE_COUNT; i++)
		missing |= places[i].wanted & ~s->seen[i];
	return missing == 0;
}

void places_tell_unseen(const struct side *s)
{
	for (size_t i = 0; i < PLACE_COUNT; i++)
		tell_unseen(places[i].name, places[i].wanted & ~s->seen[i]);
}
