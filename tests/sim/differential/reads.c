/* What is read, of which project and in pages; and what there is beside stacks and jobs: projects, daemons. */
#include <stdlib.h>
#include <string.h>
#include "chooser.h"
#include "places.h"

/* ---- projects ---- */

void op_new_project(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "create");
	ASK(c->s, projects, create)(c->s->db, &scope, ONE_OF(c, "cargo", "cargo", "dune", "ember", "acme", "No", "a_b"),
		chance(c, 50) ? "" : "words", said_project, c->s);
}

static const char *any_project(struct chooser *c)
{
	return ONE_OF(c, "acme", "acme", "bolt", "cargo", "dune", "ember", "nothere", "");
}

void op_remove_project(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "remove");
	const char *name = ONE_OF(c, "cargo", "cargo", "cargo", "dune", "ember", "nothere");
	ASK(c->s, projects, remove)(c->s->db, &scope, name, some_etag(c, name), said, c->s);
}

void op_read_projects(struct chooser *c)
{
	const struct db_scope scope = reader(c);
	const char *name = any_project(c);
	const struct db_page page = some_page(c, LIST_PROJECTS, c->s->ids[below(c, 2)].text);
	if (chance(c, 50))
		ASK(c->s, projects, get)(c->s->db, &scope, name, said_project, c->s);
	else
		ASK(c->s, projects, list)(c->s->db, &scope, &page, said_projects, c->s);
}

/* ---- stacks, releases ---- */

void op_list_stacks(struct chooser *c)
{
	struct side *s = c->s;
	const struct db_scope scope = reader(c);
	const char *of = chance(c, 50) ? "" : project(c), *id = stack_id(c);
	const struct db_stack_ref ref = some_stack(c);
	size_t which = below(c, 3);
	const struct db_page page = which == 0 ? some_page(c, LIST_STACKS, id)
		: which == 1 ? some_page(c, LIST_RELEASES, some_release(c)) : some_page(c, LIST_WATCHED, id);
	if (which == 0) {
		if (of[0])
			side_notes(s, FILTERED);
		ASK(s, stacks, list)(s->db, &scope, of, &page, said_stacks, s);
	} else if (which == 1) {
		ASK(s, stacks, releases)(s->db, &scope, &ref, &page, said_releases, s);
	} else { /* which takes ids alone */
		struct uuid after;
		ASK(s, stacks, watched)(s->db, uuid_parse(page.before, &after) ? page.before : "", page.size, said_stacks, s);
	}
}

void op_read_release(struct chooser *c)
{
	struct side *s = c->s;
	const struct db_scope scope = reader(c);
	const char *id = some_release(c), *of = stack_id(c);
	/* The project is that of number 0 or 1: they were seen first. */
	const char *project_id = s->ids[below(c, 2)].text;
	const struct db_stack_ref ref = some_stack(c);
	switch (below(c, 3)) {
	case 0:
		ASK(s, stacks, load_release)(s->db, project_id, id, said_release, s);
		break;
	case 1:
		ASK(s, stacks, good_releases)(s->db, project_id, of, 1 + (unsigned)below(c, 3), said_objects, s);
		break;
	default:
		ASK(s, stacks, get)(s->db, &scope, &ref, said_stack, s);
		break;
	}
}

void op_reserved(struct chooser *c)
{
	static const char *const names[] = {"acme-web_front", "bolt-db_back", "mine_a_x", "mine_x", "other", "acme-shop_", "acme-web"};
	const char *asked[sizeof(names) / sizeof(*names)];
	const char *of = c->s->ids[below(c, 2)].text;
	size_t n = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (chance(c, 60))
			asked[n++] = names[i];
	side_notes(c->s, FILTERED);
	ASK(c->s, stacks, reserved)(c->s->db, of, ONE_OF(c, "acme-web", "bolt-db", "mine", "none"), asked, n, said_reserved, c->s);
}

/* ---- jobs ---- */

/* When an id was made, to the millisecond. */
static int64_t made_us(const char *id)
{
	char hex[13];
	memcpy(hex, id, 8);
	memcpy(hex + 8, id + 9, 4);
	hex[12] = 0;
	return (int64_t)strtoll(hex, NULL, 16) * 1000;
}

void op_list_jobs(struct chooser *c)
{
	const struct db_scope scope = reader(c);
	const struct db_page page = some_page(c, LIST_JOBS, some_job(c));
	struct db_job_filter f = {.project = chance(c, 50) ? "" : project(c),
		.stack = chance(c, 50) ? "" : chance(c, 80) ? stack(c) : stack_id(c),
		.states = chance(c, 50) ? 0 : (unsigned)below(c, 64) & 62u,
		.kinds = chance(c, 50) ? 0 : (unsigned)below(c, 4096) & 4094u};
	if (chance(c, 25))
		f.from_us = made_us(some_job(c));
	if (chance(c, 25))
		f.until_us = made_us(some_job(c));
	if (f.project[0] || f.stack[0] || f.states || f.kinds || f.from_us || f.until_us)
		side_notes(c->s, FILTERED);
	ASK(c->s, jobs, list)(c->s->db, &scope, &f, &page, said_jobs, c->s);
}

void op_read_job(struct chooser *c)
{
	struct side *s = c->s;
	const struct db_scope scope = reader(c);
	const char *id = some_job(c);
	struct uuid ids[JOBS_MAX];
	size_t n = 0;
	int64_t after = chance(c, 50) ? 0 : 1 + (int64_t)below(c, 4);
	switch (below(c, 3)) {
	case 0:
		ASK(s, jobs, get)(s->db, &scope, id, said_job, s);
		break;
	case 1:
		s->limit = 1 + (unsigned)below(c, 4);
		buf_fmt(c->words, " %u events behind %d", s->limit, (int)after);
		if (after)
			side_notes(s, BEHIND);
		ASK(s, jobs, events)(s->db, &scope, id, after, s->limit, said_events, s);
		break;
	default:
		(void)uuid_parse(nobody, &ids[n++]);
		for (size_t i = 0; i < s->n_jobs; i++)
			if (chance(c, 30))
				ids[n++] = s->jobs[i];
		side_notes(s, FILTERED);
		ASK(s, jobs, view)(s->db, ids, n, said_view, s);
		break;
	}
}

/* ---- daemons ---- */

void op_daemon(struct chooser *c)
{
	static const unsigned long_ago[] = {15, 15, 4000};
	struct side *s = c->s;
	struct db_daemon d = {.host = ONE_OF(c, "one", "two"), .version = "1.0", .slots = 1 + (unsigned)below(c, 8)};
	const char *id = daemon_id(c, 3);
	size_t which = below(c, 10);
	(void)uuid_parse(id, &d.id);
	if (which < 3) {
		buf_fmt(c->words, " silent for %u s", long_ago[which]);
		s->silence(s, long_ago[which]);
	}
	if (which < 9)
		ASK(s, jobs, alive)(s->db, &d, said, s);
	else
		ASK(s, jobs, gone)(s->db, id, said, s);
}
