#include "chooser.h"
#include <string.h>
#include <sys/types.h>
#include "places.h"

static void fill(struct rng *r, void *p, size_t len)
{
	struct chooser *c = container_of(r, struct chooser, base);
	for (size_t i = 0; i < len; i++) {
		c->x ^= c->x >> 12;
		c->x ^= c->x << 25;
		c->x ^= c->x >> 27;
		((unsigned char *)p)[i] =
			(unsigned char)((c->x * UINT64_C(0x2545F4914F6CDD1D)) >> 56);
	}
}

void chooser_init(struct chooser *c, struct side *s, uint64_t seed, struct buf *words)
{
	*c = (struct chooser){.base = {fill}, .x = seed | 1, .s = s, .words = words};
}

size_t below(struct chooser *c, size_t n)
{
	return (size_t)rng_below(&c->base, n);
}

bool chance(struct chooser *c, size_t of_hundred)
{
	return below(c, 100) < of_hundred;
}

const char *one_of(struct chooser *c, const char *const *list, size_t n)
{
	const char *text = list[below(c, n)];
	buf_fmt(c->words, " %s", text);
	return text;
}

const char *const nobody = "01234567-89ab-7cde-8f01-23456789abcd";
const struct db_scope everybody = {.project_id = "", .actor = "user", .method = "", .request_id = ""};

const char *some_job(struct chooser *c)
{
	size_t n = c->s->n_jobs, i = n && !chance(c, 3) ? below(c, n) : SIZE_MAX;
	if (i != SIZE_MAX && n > 6 && chance(c, 60))
		i = n - 1 - i % 6; /* rather one of the last */
	buf_fmt(c->words, " job %zd", (ssize_t)i);
	return i == SIZE_MAX ? nobody : c->s->jobs[i].text;
}

/* The projects that a scope may be of were seen first. */
static size_t scoped(struct chooser *c, struct db_scope *ret_scope)
{
	size_t of = chance(c, 18) ? 1 + below(c, 2) : 0;
	if (of == 0)
		return 0;
	ret_scope->project_id = c->s->ids[of - 1].text;
	buf_fmt(c->words, " (of project %zu)", of - 1);
	side_notes(c->s, SCOPED);
	return of;
}

struct db_scope scope_of(struct chooser *c, const char *method)
{
	struct db_scope s = {.project_id = "", .actor = "user", .method = method, .request_id = ""};
	size_t of = scoped(c, &s);
	if (chance(c, 15)) {
		static const char *const ids[REQUESTS] = {"r1", "r2", "r3", "r4", "r5", "r6"};
		size_t i = below(c, REQUESTS);
		for (const char *p = chance(c, 60) ? method : ""; *p; p++) /* mostly for the same again */
			i = (p == method ? 0 : i) + (unsigned char)*p;
		i %= REQUESTS;
		s.request_id = ids[i];
		buf_fmt(c->words, " (request %s)", s.request_id);
		s.fingerprint = chance(c, 80) ? STR("same") : STR("other");
		c->s->request = 1 + of * REQUESTS + i;
		if (c->s->used[c->s->request - 1])
			side_notes(c->s, REPEATED);
	}
	return s;
}

struct db_scope reader(struct chooser *c)
{
	struct db_scope s = everybody;
	(void)scoped(c, &s);
	return s;
}

struct db_page some_page(struct chooser *c, enum side_list list, const char *any)
{
	struct db_page page = {1 + (unsigned)below(c, 3), ""};
	size_t where = below(c, 10);
	buf_fmt(c->words, " %u rows", page.size);
	if (where >= 9) {
		page.before = ONE_OF(c, "nonsense", nobody);
	} else if (where >= 5) {
		page.before = where >= 7 ? any : c->s->last_of[list].text;
		buf_fmt(c->words, where >= 7 ? " behind another row" : " behind the page before");
		if (page.before[0])
			side_notes(c->s, BEHIND);
	}
	return page;
}

const char *daemon_id(struct chooser *c, size_t of)
{
	static const char *const ids[] = {"d0000000-0000-7000-8000-000000000001", "d0000000-0000-7000-8000-000000000002",
		"d0000000-0000-7000-8000-000000000003"};
	size_t i = below(c, of);
	buf_fmt(c->words, " daemon %zu", i);
	return ids[i];
}

const char *project(struct chooser *c)
{
	return chance(c, 96) ? ONE_OF(c, "acme", "bolt") : ONE_OF(c, "nothere", "", "cargo");
}

const char *stack(struct chooser *c)
{
	return ONE_OF(c, "web", "db", "shop");
}

const char *service(struct chooser *c)
{
	return ONE_OF(c, "front", "back", "queue");
}

struct db_job fenced_job(struct chooser *c)
{
	struct side *s = c->s;
	struct db_job j = {.stack = "web"};
	size_t first = s->n_jobs ? below(c, s->n_jobs) : 0, i = SIZE_MAX;
	bool any = chance(c, 20);
	for (size_t k = 0; k < s->n_jobs && i == SIZE_MAX; k++)
		if (any || s->running[(first + k) % s->n_jobs])
			i = (first + k) % s->n_jobs;
	buf_fmt(c->words, " job %zd", (ssize_t)i);
	memcpy(j.id.text, i == SIZE_MAX ? nobody : s->jobs[i].text, sizeof(j.id.text));
	if (i == SIZE_MAX)
		return j;
	if (s->of_release[i])
		j.deployment_id = s->releases[s->of_release[i] - 1];
	j.epoch = s->epochs[i] - (chance(c, 5) ? 1 : 0);
	if (s->of_stack[i])
		j.stack_id = s->stacks[s->of_stack[i] - 1];
	return j;
}

const char *some_release(struct chooser *c)
{
	size_t n = c->s->n_releases, i = n ? below(c, n) : 0;
	buf_fmt(c->words, " release %zu", i);
	return n ? c->s->releases[i].text : nobody;
}

const char *release_for(struct chooser *c, const struct db_job *j)
{
	const char *other = some_release(c);
	return j->deployment_id.text[0] && chance(c, 80) ? j->deployment_id.text : other;
}

struct db_stack_ref some_stack(struct chooser *c)
{
	size_t n = c->s->n_stacks;
	struct db_stack_ref r = {"", "", ""};
	if (n && chance(c, 20)) {
		size_t i = below(c, n);
		buf_fmt(c->words, " stack %zu", i);
		r.id = c->s->stacks[i].text;
	} else {
		r.project = project(c);
		r.name = stack(c);
	}
	return r;
}

const char *stack_id(struct chooser *c)
{
	size_t n = c->s->n_stacks, i = n ? below(c, n) : 0;
	buf_fmt(c->words, " stack %zu", i);
	return n ? c->s->stacks[i].text : nobody;
}

struct db_schedule_times times(struct chooser *c)
{
	int64_t at = chance(c, 70) ? 1000 + (int64_t)below(c, 100000) : INT64_C(9000000000) + (int64_t)below(c, 1000);
	buf_fmt(c->words, " at %lld", (long long)at);
	return (struct db_schedule_times){at, at + (int64_t)below(c, 60)};
}

const char *some_etag(struct chooser *c, const char *name)
{
	size_t which = below(c, 10);
	if (which < 6)
		return "";
	buf_fmt(c->words, " %s etag", which < 8 ? "the last" : "another");
	for (size_t i = 0; which < 8 && i < c->s->n_etags; i++)
		if (strcmp(c->s->etags[i].name, name) == 0)
			return c->s->etags[i].etag;
	return "0";
}
