#include "jobs/fair.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "jobs/kinds.h"

/* So that no project has to wait out more turns than this for what one job cost. */
#define DEBT_MAX 50

/* A project that has something to start, or points to pay back. */
struct lane {
	struct uuid project_id;
	int points;
	unsigned weight, room; /* room: how many more of it may run */
	size_t first, n;       /* its queues */
};
struct fair {
	struct lane *lanes; /* in the order of ids */
	size_t n;
	struct uuid at; /* whose turn it is; "" = the first */
	bool in_turn;   /* it has its points already and was stopped by a lack of places */
};

/* One call of fair_pick. */
struct pick {
	struct fair *f;
	const struct fair_places *places;
	const struct db_queue *queues;
	struct db_pick *picks; /* one a queue, for now */
	unsigned here[JOB_KINDS], free, free_for_long;
	unsigned slow, slow_for_long; /* the same, of those that are not quick */
};

struct fair *fair_create(void)
{
	return mem_zalloc(sizeof(struct fair));
}

void fair_destroy(struct fair *f)
{
	if (!f)
		return;
	free(f->lanes);
	free(f);
}

static struct lane *lane_of(const struct fair *f, const struct uuid *project_id)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->lanes[i].project_id.text, project_id->text) == 0)
			return &f->lanes[i];
	return NULL;
}

/* How many more jobs of the project may run, in all daemons. */
static unsigned room_of(const struct fair_places *p, const struct db_queue *q)
{
	unsigned cap = q->max_running ? q->max_running : p->max_running;
	if (!cap)
		return UINT32_MAX;
	return cap > q->project_running ? cap - q->project_running : 0;
}

/* Old lanes and the queues are both in the order of ids: one walk. Points of those that have nothing
 * to start are lost, debts are not. */
static void make_lanes(struct fair *f, const struct fair_places *p, const struct db_queue *q,
	size_t n)
{
	struct lane *lanes = mem_realloc_array(NULL, sizeof(*lanes), f->n + n + 1);
	size_t len = 0, old = 0, i = 0;
	while (i < n || old < f->n) {
		int order = i == n ? 1 : old == f->n ? -1 :
			strcmp(q[i].project_id.text, f->lanes[old].project_id.text);
		struct lane *l = &lanes[len];
		*l = (struct lane){.first = i};
		if (order > 0) {
			*l = (struct lane){f->lanes[old].project_id, f->lanes[old].points, 1, 0, i, 0};
			len += l->points < 0;
			old++;
			continue;
		}
		l->project_id = q[i].project_id;
		l->weight = q[i].weight ? q[i].weight : 1;
		l->room = room_of(p, &q[i]);
		if (order == 0)
			l->points = f->lanes[old++].points;
		while (i < n && strcmp(q[i].project_id.text, l->project_id.text) == 0)
			i++;
		l->n = i - l->first;
		len++;
	}
	free(f->lanes);
	f->lanes = lanes;
	f->n = len;
}

/* It has a job to start, were there places here. */
static bool wants(const struct pick *p, const struct lane *l, size_t at)
{
	const struct db_queue *q = &p->queues[at];
	const struct job_rule *rule = job_rule_of(q->kind);
	unsigned picked = p->picks[at].n;
	if (picked >= q->waiting || l->room == 0)
		return false;
	if (rule->in_project && q->kind_running + picked >= rule->in_project)
		return false;
	return !rule->here || p->here[q->kind] < rule->here;
}

static bool can_start(const struct pick *p, const struct lane *l, size_t at)
{
	enum job_kind kind = p->queues[at].kind;
	bool is_short = job_rule_of(kind)->is_short;
	if (p->free == 0 || (!is_short && p->free_for_long == 0))
		return false;
	if (!p->places->quick[kind] && (p->slow == 0 || (!is_short && p->slow_for_long == 0)))
		return false;
	return wants(p, l, at);
}

static bool wants_anything(const struct pick *p, const struct lane *l)
{
	for (size_t i = l->first; i < l->first + l->n; i++)
		if (wants(p, l, i))
			return true;
	return false;
}

static bool goes_first(const struct db_queue *a, const struct db_queue *b)
{
	unsigned x = job_rule_of(a->kind)->priority, y = job_rule_of(b->kind)->priority;
	return x != y ? x > y : a->oldest_us < b->oldest_us;
}

/* The queue that the lane's next job comes from; SIZE_MAX: none. */
static size_t next_of(const struct pick *p, const struct lane *l)
{
	size_t best = SIZE_MAX;
	for (size_t i = l->first; i < l->first + l->n; i++)
		if (can_start(p, l, i) && (best == SIZE_MAX || goes_first(&p->queues[i], &p->queues[best])))
			best = i;
	return best;
}

static void take(struct pick *p, struct lane *l, size_t at)
{
	const struct job_rule *rule = job_rule_of(p->queues[at].kind);
	p->picks[at].n++;
	enum job_kind kind = p->queues[at].kind;
	bool quick = p->places->quick[kind];
	p->here[kind]++;
	p->free--;
	p->free_for_long -= !rule->is_short;
	p->slow -= !quick;
	p->slow_for_long -= !quick && !rule->is_short;
	if (l->room != UINT32_MAX)
		l->room--;
	l->points -= (int)rule->cost;
}

/* True: its turn is not over, it would go on, were there places (of which some are kept for short jobs). */
static bool take_turn(struct pick *p, struct lane *l)
{
	size_t at = next_of(p, l);
	if (!p->f->in_turn && (at != SIZE_MAX || l->points < 0))
		l->points += (int)l->weight;
	p->f->in_turn = false;
	while (at != SIZE_MAX && l->points >= (int)job_rule_of(p->queues[at].kind)->cost) {
		take(p, l, at);
		at = next_of(p, l);
	}
	if (at != SIZE_MAX || l->points <= 0)
		return false;
	if (wants_anything(p, l))
		return true;
	l->points = 0; /* nothing is left, or it is at a cap */
	return false;
}

static bool anything_left(const struct pick *p)
{
	for (size_t i = 0; p->free > 0 && i < p->f->n; i++)
		if (next_of(p, &p->f->lanes[i]) != SIZE_MAX)
			return true;
	return false;
}

static void take_turns(struct pick *p)
{
	struct fair *f = p->f;
	size_t at = 0;
	while (at < f->n && strcmp(f->lanes[at].project_id.text, f->at.text) < 0)
		at++;
	if (at == f->n || strcmp(f->lanes[at].project_id.text, f->at.text) != 0)
		f->in_turn = false;
	at = f->n ? at % f->n : 0;
	size_t stopped = SIZE_MAX; /* the first one whose turn is not over: it goes on next time */
	bool left = anything_left(p);
	if (!left)
		return;
	while (left) {
		unsigned free_before = p->free;
		if (take_turn(p, &f->lanes[at]) && stopped == SIZE_MAX)
			stopped = at;
		at = (at + 1) % f->n;
		if (p->free != free_before)
			left = anything_left(p);
	}
	if (stopped != SIZE_MAX)
		at = stopped;
	f->in_turn = stopped != SIZE_MAX;
	f->at = f->lanes[at].project_id;
}

static unsigned less(unsigned n, unsigned by)
{
	return n > by ? n - by : 0;
}

static void count_free(struct pick *p, unsigned taken)
{
	const struct fair_places *places = p->places;
	unsigned for_long = places->total - (places->reserved < places->total ? places->reserved : places->total - 1);
	unsigned used = taken, by_long = taken, by_slow = taken, by_slow_and_long = taken;
	for (size_t k = 0; k < JOB_KINDS; k++) {
		unsigned n = p->here[k] = places->here[k];
		bool is_long = n && !job_rule_of((enum job_kind)k)->is_short;
		used += n;
		by_long += is_long ? n : 0;
		by_slow += places->quick[k] ? 0 : n;
		by_slow_and_long += is_long && !places->quick[k] ? n : 0;
	}
	p->free = less(places->total + places->ahead, used);
	p->free_for_long = less(for_long + places->ahead, by_long);
	p->slow = less(places->total, by_slow);
	p->slow_for_long = less(for_long, by_slow_and_long);
}

size_t fair_pick(struct fair *f, const struct fair_places *places, unsigned taken,
	const struct db_queue *queues, size_t n, struct db_pick *ret_picks)
{
	struct pick p = {.f = f, .places = places, .queues = queues, .picks = ret_picks};
	count_free(&p, taken);
	for (size_t i = 0; i < n; i++)
		ret_picks[i] = (struct db_pick){queues[i].project_id, queues[i].kind, 0};
	make_lanes(f, places, queues, n);
	take_turns(&p);
	size_t len = 0;
	for (size_t i = 0; i < n; i++)
		if (ret_picks[i].n > 0)
			ret_picks[len++] = ret_picks[i];
	return len;
}

void fair_charge(struct fair *f, const struct uuid *project_id, unsigned points)
{
	struct lane *l = lane_of(f, project_id);
	if (!l)
		return;
	l->points -= points < DEBT_MAX ? (int)points : DEBT_MAX;
	if (l->points < -DEBT_MAX)
		l->points = -DEBT_MAX;
}

enum job_wait fair_wait(
	const struct db_job_stats *s, const struct db_waiting *w, unsigned max_running)
{
	unsigned cap = w->max_running ? w->max_running : max_running;
	unsigned kind_cap = job_rule_of(w->job.kind)->in_project;
	if (w->pause[0])
		return WAIT_PAUSED;
	if (w->blocker.text[0])
		return WAIT_STACK;
	if (w->later)
		return WAIT_LATER;
	if (cap && w->project_running >= cap)
		return WAIT_PROJECT_CAP;
	if (kind_cap && w->kind_running >= kind_cap)
		return WAIT_KIND_CAP;
	return s->running >= s->slots ? WAIT_PLACES : WAIT_TURN;
}
