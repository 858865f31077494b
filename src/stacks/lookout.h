/* lookout: looks at the Engine for everybody in this daemon who wants to know what runs there: the
 * observer and every rollout. One look serves them all, so that twenty rollouts cost what one
 * costs. One a daemon, owned by app; it also has the daemon's one stream of the Engine's events.
 *
 * A watcher wishes for lists and says when. The first look that began after its wish is its answer,
 * never one that was under way already: what the watcher wrote before it wished is in the answer. One
 * wish, one answer; whoever wants more wishes again. There is one look at a time, and an Engine that
 * takes long to answer is asked less often.
 *
 * Services and nodes make events, wherever in the Swarm they change: as long as the stream of events
 * is up, they are read again only when an event, or a watcher, says that they moved, and every 5 s.
 * Tasks of other nodes make none: they are read in every look. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"
#include "base/status.h"
#include "stacks/picture.h"

struct docker;
struct docker_event;
struct loop;
struct lookout;

#define LOOKOUT_LIST(list) (1u << (list)) /* of enum picture_list; a wish is a set of them */

struct lookout_times {
	uint64_t begun_ms, ended_ms; /* loop time */
};
/* Embedded in whoever watches. */
struct lookout_watcher {
	/* The answer. st not OK: the look failed, the lists may be as they were; times are the look's
	 * all the same. It may wish again, leave, and make others leave. */
	void (*on_look)(struct lookout_watcher *w, const struct status *st,
		const struct lookout_times *times);
	/* Every event of the Engine, wished or not. May be NULL. The same is allowed. */
	void (*on_event)(struct lookout_watcher *w, const struct docker_event *e);
	/* private */
	struct list node, due;
	struct lookout *lookout;
	unsigned lists;           /* wished; 0: nothing is */
	uint64_t from_ms, by_ms;  /* loop time */
	uint64_t looks_then;      /* lookout.looks when it was wished */
	uint64_t event;           /* the last one it was told of */
	bool urgent;
};

struct lookout *lookout_create(struct loop *l, struct docker *d);
/* The stream of events begins; looks begin with the first wish, started or not. */
void lookout_start(struct lookout *lo);
/* Nothing fires afterwards; a look under way is given up. Before the docker is destroyed. */
void lookout_stop(struct lookout *lo);
/* Everybody has left. NULL is fine. */
void lookout_destroy(struct lookout *lo);

/* on_look and on_event are set. */
void lookout_join(struct lookout *lo, struct lookout_watcher *w);
void lookout_leave(struct lookout_watcher *w); /* not joined: nothing happens */

/* A look that begins not before `from` ms from now, and by `by` ms from now. Takes the place of a wish
 * that is still open. */
void lookout_wish(struct lookout_watcher *w, unsigned lists, uint64_t from, uint64_t by);
/* Now, and every one of the lists is read, whatever was heard of it. */
void lookout_wish_anew(struct lookout_watcher *w, unsigned lists, uint64_t ms);
void lookout_withdraw(struct lookout_watcher *w);
static inline bool lookout_is_wished(const struct lookout_watcher *w)
{
	return w->lists != 0;
}

/* What was seen last; each list is valid until it is read again. */
const struct picture *lookout_picture(const struct lookout *lo);
/* Events of the Engine come. */
bool lookout_hears(const struct lookout *lo);
