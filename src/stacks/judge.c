#include "stacks/judge.h"

#include <string.h>
#include "base/arena.h"
#include "stacks/converge.h"
#include "stacks/drift_watch.h"
#include "stacks/picture.h"

#define BY_HAND "changed by hand"

/* Some of the tasks run: people can still use it. */
static enum service_state state_of(const struct converge *c)
{
	bool some =
		c->running > 0 && (c->verdict == CONVERGE_FAILED ||
					  (c->verdict == CONVERGE_WAIT && c->running < c->wanted));
	return some ? SERVICE_DEGRADED : converge_state(c);
}

static struct db_service judge_service(
	struct arena *a, const struct picture *p, const struct db_service *known)
{
	struct db_service now = *known;
	const struct converge_look look = picture_look(p, known->engine_name);
	const struct docker_service *seen = look.service;
	if (!seen) {
		now.state = SERVICE_MISSING;
		now.running = 0;
		now.message = "gone from the Engine: somebody removed it";
		return now;
	}
	struct converge c = {.key = known->service,
		.name = known->engine_name,
		.arena = a,
		.once = true,
		.stall_ms = UINT64_MAX / 4};
	(void)converge_judge(&c, &look);
	now.engine_id = arena_strdup(a, seen->id);
	now.image = arena_strdup(a, seen->image);
	now.running = c.running;
	now.wanted = c.wanted;
	now.state = state_of(&c);
	now.message = now.state == SERVICE_RUNNING || now.state == SERVICE_COMPLETED
			      ? ""
			      : arena_strdup(a, c.message);
	return now;
}

static bool same(const struct db_service *a, const struct db_service *b)
{
	return a->state == b->state && a->running == b->running && a->wanted == b->wanted &&
	       strcmp(a->message, b->message) == 0 && strcmp(a->engine_id, b->engine_id) == 0 &&
	       strcmp(a->image, b->image) == 0;
}

/* ---- the stack ---- */

/* Whoever was at work has left without a word about how it ended. */
static void judge_never_good(const struct db_stack *s, struct judged_stack *j)
{
	bool stale = !s->at_work &&
		     (s->status == STACK_DEPLOYING || s->status == STACK_REMOVING);
	j->status = stale ? STACK_FAILED : s->status;
	j->message = stale ? "no release of it has come to run" : s->status_message;
}

/* Whoever changed it by hand is the cause of what else is wrong. */
static void judge_drift(struct arena *a, const struct drift_seen *drift, struct judged_stack *j)
{
	j->status = STACK_DRIFTED;
	j->message = arena_strdup(a, drift->message);
	j->drifted = arena_strdup(a, drift->service);
	for (size_t i = 0; i < j->n_services; i++)
		if (strcmp(j->services[i].service, drift->service) == 0 &&
			!j->services[i].message[0])
			j->services[i].message = BY_HAND;
	if (!drift->given_up)
		return;
	j->status = STACK_DEGRADED;
	j->message = arena_fmt(a,
		"%s; it was repaired %d times within an hour and changed again: find out who does "
		"it, or set the project's drift policy to report",
		drift->message, DRIFT_REPAIRS_MAX);
}

static void judge_services(
	struct arena *a, const struct picture *p, const struct db_stack *s, struct judged_stack *j)
{
	size_t good = 0, failed = 0;
	const struct db_service *missing = NULL, *bad = NULL;
	j->services = arena_array(a, struct db_service, s->n_services + 1);
	for (size_t i = 0; i < s->n_services; i++) {
		struct db_service *now = &j->services[i];
		*now = judge_service(a, p, &s->services[i]);
		j->moving |= now->state == SERVICE_CONVERGING;
		if (now->state == SERVICE_RUNNING || now->state == SERVICE_COMPLETED)
			good++;
		else if (now->state == SERVICE_MISSING)
			missing = now;
		else
			bad = now;
		failed += now->state == SERVICE_FAILED;
	}
	if (missing) {
		j->status = STACK_DRIFTED;
		j->message = arena_fmt(a, "service %s is %s", missing->service, missing->message);
		j->drifted = missing->service;
	} else if (good < s->n_services) {
		j->status = failed == s->n_services ? STACK_FAILED : STACK_DEGRADED;
		j->message = arena_fmt(a, "service %s: %s", bad->service, bad->message);
	}
}

void judge_stack(struct arena *a, const struct picture *p, const struct db_stack *s, bool known,
	const struct drift_seen *drift, struct judged_stack *ret)
{
	struct judged_stack j = {
		.status = STACK_RUNNING, .message = "", .drifted = "", .n_services = s->n_services};
	bool left = s->unfinished[0] != '\0'; /* by a deploy: that is nobody's drift */
	judge_services(a, p, s, &j);
	if (known && drift && !left && (j.status != STACK_DRIFTED || drift->given_up))
		judge_drift(a, drift, &j);
	bool unsure = !known && s->status == STACK_DRIFTED && j.status == STACK_RUNNING;
	if (left) {
		j.status = j.status == STACK_FAILED ? STACK_FAILED : STACK_DEGRADED;
		j.message = s->unfinished;
		j.drifted = "";
	} else if (unsure) { /* it may last */
		j.status = s->status;
		j.message = s->status_message;
	}
	if (!s->active_deployment_id.text[0]) /* only what a failed first deploy left behind */
		judge_never_good(s, &j);
	for (size_t i = 0; i < s->n_services; i++) {
		if (unsure && strcmp(s->services[i].message, BY_HAND) == 0)
			j.services[i].message = s->services[i].message;
		j.differs |= !same(&j.services[i], &s->services[i]);
	}
	j.moving &= !s->at_work; /* whoever is at work tells of it */
	if (s->at_work && s->status == STACK_REMOVING) /* what is gone now is meant to be gone */
		j.differs = false;
	j.differs |= !s->at_work && (j.status != s->status || strcmp(j.message, s->status_message) != 0);
	*ret = j;
}
