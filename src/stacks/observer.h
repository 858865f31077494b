/* observer: keeps a picture of what runs in the Engine, and writes each stack's and service's
 * status from it. One a daemon, owned by app. Level-triggered: whatever wakes it (an Engine event,
 * its own clock), it looks at everything that carries a Skep label and writes what differs; so a
 * missed event costs a moment, never the truth.
 *
 * It wants a look (lookout.h) 100 ms after an Engine event or a nudge (of many, once a second), every
 * second while something moves that no job works on (for 10 s after the last change: what hangs is
 * not looked at faster), every 1.7 s otherwise (tasks on other nodes make no events here), every 10 s when no stack is
 * deployed.
 *
 * Drift (somebody changed by hand what a release says) is the status `drifted`, and an event
 * stack.drift: see drift_watch.h. */
#pragma once
#include "db/stacks.h"
#include "docker/docker.h"

struct lookout;
struct loop;
struct observer;
struct picture;

struct observer_options {
	struct loop *loop;
	struct lookout *lookout;
	struct docker *docker; /* for what drift is asked about */
	struct db *db;
	/* The Engine answers (again) / does not, and why. May be NULL. */
	void (*on_engine)(void *data, bool up, const struct status *why);
	void *data;
};
struct observer *observer_create(const struct observer_options *o);
void observer_start(struct observer *ob);
/* No look begins afterwards. done fires once, later: its last operations have ended; free with
 * observer_destroy. */
void observer_stop(struct observer *ob, void (*done)(void *data), void *data);
void observer_destroy(struct observer *ob);
/* Something changed in the database (a stack came, went, was activated): look soon. */
void observer_nudge(struct observer *ob);

/* What was seen last (stacks/picture.h); valid until the loop's next turn. */
const struct picture *observer_picture(const struct observer *ob);
