/* sim: several daemons in one process, on one virtual clock, against tests/model. One seed = one run:
 * who lives, who submits what and when, which call is late, lost, refused, and who is killed or
 * stopped in the middle. What must hold in every run stands in oracle.c.
 *
 * The world has a loop of its own (effects, operators, users); each daemon has one too, so that it
 * can be stopped (its timers and answers wait, then come all at once) and can die. */
#pragma once
#include "api/api.h"
#include "base/rng.h"
#include "fake_db.h"
#include "fake_docker.h"
#include "jobs/worker.h"
#include "redis/redis.h"
#include "stacks/stacks.h"

#define SIM_PLACES   4   /* daemons at a time */
#define SIM_DAEMONS  96  /* in a run */
#define SIM_PROJECTS 4
#define SIM_STACKS   12
#define SIM_REQUESTS 256
#define SIM_WATCHERS 64
#define SIM_READERS  3
#define SIM_OPEN     3 /* transactions */

/* A generator with a seed (xorshift64*). */
struct sim_rng {
	struct rng base;
	uint64_t x;
};
void sim_rng_init(struct sim_rng *r, uint64_t seed, uint64_t stream);

struct sim;
struct sim_daemon;
struct sim_claim;

/* How often, in a thousand calls, and how long. Of a run; 0 = never. */
struct sim_faults {
	unsigned refused, lost, silent, slow; /* of the database */
	unsigned engine_refused, engine_broken, engine_lost, engine_silent, engine_slow;
	unsigned crash_at_call;             /* in ten thousand: the caller dies with it under way */
	unsigned crash, stop, drain, outage, disconnect, redis, operator_; /* weights of events */
	uint64_t gap_ms;                    /* between events, about */
};

struct sim_redis {
	struct redis base;
	struct sim_daemon *daemon;
	struct {
		const char *channel;
		redis_on_message on_message;
		void *data;
	} subscriptions[4];
	size_t n;
};

struct sim_daemon {
	struct sim *sim;
	unsigned place;
	char name[8]; /* "d3": the third one that was started */
	struct uuid id;
	struct loop *loop;
	struct sim_rng rng;
	struct fake_docker docker;
	struct fake_db db;
	struct sim_redis redis;
	struct stacks stacks;
	struct job_wake *wake;
	struct job_worker *worker;
	struct lookout *lookout;
	struct observer *observer;
	struct job_pulse *pulse;
	struct job_schedules *schedules;
	struct api api;       /* as much of it as a watch needs */
	struct list watches;  /* calls */
	struct list messages; /* on their way to it */
	struct sim_claim *held;
	size_t n_held;
	unsigned here[JOB_KINDS]; /* of fair.c: what runs now */
	bool to_kill;         /* as soon as its turn is over */
	bool dead, draining, worker_drained, observer_stopped, schedules_stopped, gone;
	uint64_t stopped_until; /* 0 = it runs */
};

/* What somebody asks the API for; sent again, to any daemon, until it is answered. */
struct sim_request {
	struct sim *sim;
	struct timer timer; /* sends it (again) */
	unsigned number, sent;
	char id[16]; /* the request id */
	enum sim_what { ASK_DEPLOY, ASK_SCALE, ASK_RESTART, ASK_REMOVE, ASK_ROLLBACK, ASK_CANCEL,
		ASK_RETRY, ASK_RETRY_FAILED, ASK_PAUSE, ASK_RESUME, ASK_PROJECT, ASK_KINDS } what;
	size_t project;
	unsigned stack;
	enum job_kind kind;
	enum failure_policy policy;
	struct str source, params;
	struct uuid job;
	struct db_project_change change;
	struct sim_daemon *daemon; /* that has it; NULL = none */
	bool over;
};

struct sim_watcher {
	struct sim *sim;
	struct timer timer;
	struct uuid job;
	int64_t after;
	struct sim_daemon *daemon; /* that reads for it; NULL = none */
	bool dirty;
};

/* Who reads the stream of all events. */
struct sim_reader {
	struct sim *sim;
	struct timer timer;    /* begins, goes elsewhere */
	struct rpc_call *call; /* NULL: none is open */
	char token[48];
	int64_t *seen; /* sequences */
	size_t n_seen;
};

/* Which claim was which; a daemon's `held`: the last one of a stack that it knows it has. */
struct sim_claim {
	const char *namespace_;
	struct uuid job;
	int epoch;
	uint64_t number; /* of all claims */
};
/* Who last wrote a service, a network …: for the fence. */
struct sim_writer {
	const char *object; /* "service acme-s1_web" */
	uint64_t claim;
};

struct sim {
	uint64_t seed;
	bool tracing; /* lines go to stdout, else only into the hash */
	bool over;    /* what follows is no part of the run */
	uint64_t hash;
	struct arena *arena;
	struct loop *loop;
	struct clock clock;
	struct sim_rng faults_rng, work_rng, ids_rng;
	struct fake_script script;
	struct swarm *swarm;
	struct store *store;
	struct sim_daemon *daemons[SIM_DAEMONS];
	size_t n_daemons;
	struct sim_daemon *at[SIM_PLACES]; /* who is there now; NULL = nobody */
	uint64_t comes[SIM_PLACES];      /* when the next one does; 0 = not known */
	bool leaving;                    /* nobody comes any more */
	unsigned places;

	/* of this run */
	struct sim_faults faults;
	bool flood;    /* the work of fair.c in place of stacks */
	bool one_cost; /* and all of it costs the same */
	struct timer visitor;
	struct sim_rng schedule_rng; /* of its own: runs without schedules are what they were */
	struct timer schedule_timer;
	size_t n_schedules; /* so many are made */
	struct sim_rng stream_rng; /* of its own, too */
	struct sim_reader readers[SIM_READERS];
	size_t n_readers;
	struct timer open_timer;
	struct store_open *open[SIM_OPEN];
	unsigned passed[SIM_PROJECTS]; /* jobs of others that began while one waited */
	size_t daemons_then[SIM_PROJECTS];
	unsigned lease_ms, slots, reserved, max_running, keep_releases;
	uint64_t chaos_ms; /* faults stop then */
	bool quiet;        /* they have */
	uint64_t db_away_until, engine_away_until, redis_away_until, crashes_until;
	struct timer event;

	struct store_project *projects[SIM_PROJECTS];
	size_t n_projects;
	unsigned stacks; /* of each project */
	struct sim_request requests[SIM_REQUESTS];
	size_t n_requests;
	struct sim_watcher watchers[SIM_WATCHERS];
	size_t n_watchers;
	unsigned versions; /* of what is deployed */

	/* oracles */
	struct sim_claim *claims;
	size_t n_claims;
	struct sim_writer *writers;
	size_t n_writers;
	const char **by_hand; /* namespaces that an operator has touched */
	size_t n_by_hand;
	struct {
		int cap;
		uint64_t ms;
	} caps[SIM_PROJECTS]; /* as last seen, since when */
	unsigned scheduled; /* runs of schedules that were seen to */
	unsigned ended, compared, unfinished; /* jobs; stacks in the end */
	char *failure; /* the first thing that did not hold; NULL = all held */
	unsigned turns;
};

/* ---- world.c: a run ---- */
struct sim *sim_create(uint64_t seed, bool tracing);
/* To its end; false: sim->failure says what did not hold. */
bool sim_run(struct sim *s);
void sim_destroy(struct sim *s);

void sim_trace(struct sim *s, const char *who, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Only into the hash. */
void sim_note(struct sim *s, const char *who, const char *what, uint64_t number);
void sim_fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool sim_chance(struct sim_rng *r, unsigned of_thousand);
static inline uint64_t sim_below(struct sim_rng *r, uint64_t n)
{
	return rng_below(&r->base, n);
}
uint64_t sim_between(struct sim_rng *r, uint64_t from, uint64_t to);

/* ---- daemon.c ---- */
struct sim_daemon *sim_daemon_start(struct sim *s, unsigned place);
/* kill -9; not from inside its own turn (to_kill). */
void sim_daemon_kill(struct sim_daemon *d);
void sim_daemon_drain(struct sim_daemon *d); /* SIGTERM; `gone` some time later */
void sim_daemon_reap(struct sim_daemon *d);  /* frees what has drained */
void sim_daemon_free(struct sim_daemon *d);
static inline bool sim_daemon_serves(const struct sim_daemon *d)
{
	return d && !d->dead && !d->gone && !d->draining && !d->stopped_until && !d->to_kill;
}

/* ---- bus.c: NOTIFY, Redis, the Engine's events ---- */
enum sim_bus { BUS_PG, BUS_REDIS, BUS_ENGINE };
/* To everybody who lives; channel NULL: the connection is back. */
void sim_bus_send(struct sim *s, enum sim_bus bus, const char *channel, const char *payload);
void sim_bus_tell(struct sim_daemon *d, enum sim_bus bus, const char *channel, const char *payload);
void sim_bus_drop(struct sim_daemon *d); /* all that is on its way to it */
void sim_redis_init(struct sim_redis *r, struct sim_daemon *d);

/* ---- faults.c ---- */
void sim_faults_init(struct sim *s);
void sim_faults_stop(struct sim *s);
void sim_plan(void *data, const struct fake_call *c, struct fake_plan *ret_plan);

/* ---- work.c ---- */
void sim_work_init(struct sim *s);
void sim_work_news(struct sim_daemon *d, const char *job_id); /* NULL = look at all */
bool sim_work_is_over(const struct sim *s); /* every request is answered */
void sim_work_stop(struct sim *s);

/* ---- fair.c: many quick jobs of a few projects ---- */
void sim_flood_init(struct sim *s);
void sim_flood_started(struct sim *s, const struct store_job *j);
extern const struct job_kind_def *const sim_flood_kinds[];

/* ---- schedules.c ---- */
void sim_schedules_init(struct sim *s);
void sim_schedules_stop(struct sim *s);

/* ---- stream.c ---- */
void sim_stream_init(struct sim *s);
void sim_stream_drop(struct sim_daemon *d);
void sim_stream_quiet(struct sim *s);
void sim_stream_check(struct sim *s);
void sim_stream_finish(struct sim *s);

/* ---- oracle.c ---- */
void sim_oracle_init(struct sim *s);
void sim_oracle_call(struct sim *s, struct fake_call *c, enum fake_phase phase);
void sim_oracle_by_hand(struct sim *s, const char *service);
void sim_oracle_turn(struct sim *s, const struct sim_daemon *d); /* after each of its turns */
bool sim_oracle_all_ended(const struct sim *s);
void sim_oracle_end(struct sim *s); /* everything has settled */
