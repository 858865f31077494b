/* docker: the Docker Engine's API (>= 1.41, Swarm mode), the only place that knows the Engine's
 * JSON. Callers: stacks/, monitor/, app/. They hold a `struct docker`, which is a table
 * of operations: docker_engine_create makes the real one (engine.h), tests hand in their own.
 *
 * Every call takes what it needs, a deadline in ms (0 = DOCKER_DEADLINE_MS; logs: until the stream
 * opens), a completion and its data, and returns a handle for docker_cancel. The completion
 * fires exactly once, from the loop, never before the call has returned; the handle is dead
 * then. Inputs are copied or written out before the call returns; what a completion receives
 * is valid during it only (json_t: json_incref to keep) and NULL, 0 or -1 unless the status is OK.
 * Strings are never NULL in results: what the Engine did not say is "".
 *
 * Errors carry the Engine's own words. INVALID_ARGUMENT: it refused the request. NOT_FOUND.
 * ALREADY_EXISTS: the name is taken. ABORTED: `update out of sequence`, read the version again.
 * FAILED_PRECONDITION: in use, not a manager (the message says what to run), Engine too old.
 * UNAVAILABLE: no Engine answers, or it went away in the middle: a write may have been done.
 * INTERNAL: it could not (500). DATA_LOSS: what it answered makes no sense; a write may have been done.
 * PERMISSION_DENIED, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, CANCELLED: as they say. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"

#define DOCKER_DEADLINE_MS 30000
#define DOCKER_API_MIN     41 /* minor of 1.x */
#define DOCKER_API_MAX     47

struct docker;
struct docker_call;
struct docker_events;

/* ---- what comes back ---- */
struct docker_pair {
	const char *key, *value;
};
struct docker_pairs {
	const struct docker_pair *at;
	size_t len;
};
const char *docker_pair_get(const struct docker_pairs *p, const char *key); /* NULL when absent */

struct docker_info {
	const char *api_version;    /* negotiated: "1.41" */
	const char *engine_version; /* "20.10.24" */
	const char *name;           /* host name */
	const char *os, *arch;
	const char *swarm_state; /* inactive, pending, active, error, locked */
	const char *swarm_error;
	const char *node_id, *node_addr, *cluster_id;
	bool swarm_active;      /* swarm_state is "active" */
	bool control_available; /* a manager that can write */
	int64_t nodes, managers;
	int64_t cpus, memory_bytes; /* of this host */
};
/* OK for a Swarm manager; else FAILED_PRECONDITION that says what to run. */
struct status docker_info_check(const struct docker_info *i) __attribute__((warn_unused_result));

/* UpdateStatus.State of a service; NONE: never updated. */
enum docker_update_state {
	DOCKER_UPDATE_NONE,
	DOCKER_UPDATE_UPDATING,
	DOCKER_UPDATE_PAUSED,
	DOCKER_UPDATE_COMPLETED,
	DOCKER_ROLLBACK_STARTED,
	DOCKER_ROLLBACK_PAUSED,
	DOCKER_ROLLBACK_COMPLETED,
};
/* The Engine's word; "" for NONE. */
const char *docker_update_state_name(enum docker_update_state s);

enum docker_mode { DOCKER_REPLICATED, DOCKER_GLOBAL, DOCKER_REPLICATED_JOB, DOCKER_GLOBAL_JOB };

struct docker_service {
	const char *id, *name;
	uint64_t version; /* index for update */
	struct docker_pairs labels;
	enum docker_mode mode;
	int64_t replicas;   /* asked for; a job's total completions; -1 for the global modes */
	const char *image;  /* of the task template, with digest if there is one */
	const json_t *spec; /* as the Engine stores it */
	const json_t *previous_spec; /* or NULL */
	struct {
		enum docker_update_state state;
		const char *message;
		int64_t started_us, completed_us; /* 0 = not */
	} update;
	int64_t job_iteration;               /* -1: no job */
	int64_t running, desired, completed; /* tasks; lists only, -1 where not told */
	int64_t created_us, updated_us;
	uint64_t text_hash; /* brief lists: of its whole text; else 0 */
};

/* Swarmkit's order: a task's state only moves forward. */
enum docker_task_state {
	DOCKER_TASK_UNKNOWN, /* a word we do not know */
	DOCKER_TASK_NEW,
	DOCKER_TASK_ALLOCATED,
	DOCKER_TASK_PENDING,
	DOCKER_TASK_ASSIGNED,
	DOCKER_TASK_ACCEPTED,
	DOCKER_TASK_PREPARING,
	DOCKER_TASK_READY,
	DOCKER_TASK_STARTING,
	DOCKER_TASK_RUNNING,
	DOCKER_TASK_COMPLETE, /* from here on: ended */
	DOCKER_TASK_SHUTDOWN,
	DOCKER_TASK_FAILED,
	DOCKER_TASK_REJECTED,
	DOCKER_TASK_REMOVE,
	DOCKER_TASK_ORPHANED,
};
const char *docker_task_state_name(enum docker_task_state s);     /* "running"; "unknown" */
enum docker_task_state docker_task_state_parse(const char *name); /* else UNKNOWN */
static inline bool docker_task_state_ended(enum docker_task_state s)
{
	return s >= DOCKER_TASK_COMPLETE;
}

struct docker_task {
	const char *id, *service_id;
	const char *node_id, *container_id; /* "" until there is one */
	int64_t slot;                       /* 0: global or a job */
	enum docker_task_state desired_state, state;
	const char *message, *err;
	int64_t exit_code; /* -1: no container has ended */
	const char *image;
	uint64_t version;
	int64_t job_iteration; /* -1: not of a job */
	int64_t reserved_nano_cpus, reserved_bytes;
	const json_t *spec; /* TaskSpec it was made from: compare with the service's TaskTemplate */
	int64_t created_us, updated_us, state_us; /* state_us: when it entered `state` */
	uint64_t text_hash; /* brief lists: of its whole text; else 0 */
};

struct docker_container { /* of the Engine that is asked: nothing is known of other nodes' */
	const char *id, *state;     /* "running", "exited" … */
	const char *error;          /* why it could not be started */
	const char *health;         /* "healthy", "unhealthy", "starting"; "" = has no check */
	const char *health_output;  /* what the last check that failed has written */
	int64_t exit_code, health_exit_code;
	bool oom_killed;
};

struct docker_network {
	const char *id, *name, *driver, *scope; /* scope: "swarm" or "local" */
	struct docker_pairs labels, options;
	const char *const *subnets;
	size_t subnet_count;
	bool internal, attachable, ingress, ipv6;
	size_t containers; /* inspect only */
	int64_t created_us;
	const json_t *json; /* as the Engine shows it */
};

struct docker_object { /* a secret or a config */
	const char *id, *name;
	uint64_t version;
	struct docker_pairs labels;
	struct str data; /* inspected configs only, decoded */
	int64_t created_us;
	const json_t *spec; /* as the Engine stores it; a secret's has no Data */
};

enum docker_node_state {
	DOCKER_NODE_UNKNOWN,
	DOCKER_NODE_DOWN,
	DOCKER_NODE_READY,
	DOCKER_NODE_DISCONNECTED,
};
enum docker_availability { DOCKER_NODE_ACTIVE, DOCKER_NODE_PAUSE, DOCKER_NODE_DRAIN };
struct docker_node {
	const char *id, *hostname, *addr, *engine_version, *os, *arch;
	enum docker_node_state state;
	const char *state_message;
	enum docker_availability availability;
	bool manager, leader;
	struct docker_pairs labels, engine_labels;
	struct docker_pairs plugins; /* "Log" = "json-file" … */
	struct docker_pairs generic; /* generic resources: kind = number or names */
	int64_t nano_cpus, memory_bytes;
};
const char *docker_node_state_name(enum docker_node_state s);
const char *docker_availability_name(enum docker_availability a);

struct docker_platform {
	const char *os, *arch, *variant;
};
struct docker_image {
	const char *digest; /* "sha256:…" */
	const struct docker_platform *platforms;
	size_t platform_count;
};

enum docker_event_type {
	/* The stream is up (also the first time): anything may have happened before, read again. */
	DOCKER_EVENT_RESET,
	DOCKER_EVENT_LOST, /* the stream broke, `why` says how; it reconnects by itself */
	DOCKER_EVENT_SERVICE,
	DOCKER_EVENT_NODE,
	DOCKER_EVENT_NETWORK,
	DOCKER_EVENT_SECRET,
	DOCKER_EVENT_CONFIG,
	DOCKER_EVENT_CONTAINER,
};
struct docker_event {
	enum docker_event_type type;
	const struct status *why; /* LOST only */
	const char *action; /* "create", "update", "remove", "die", "health_status: healthy" … */
	const char *id, *name;
	const char *service_id, *task_id, *node_id; /* of Swarm's containers; else "" */
	int64_t exit_code;                          /* of a container's "die"; else -1 */
	struct docker_pairs attributes;
	int64_t time_ns; /* since 1970 */
};

#define DOCKER_LOG_LINE_MAX (32 * 1024) /* the Engine itself cuts at 16 KiB */
enum docker_stream { DOCKER_STDOUT = 1, DOCKER_STDERR = 2 };
struct docker_log_line {
	enum docker_stream stream; /* a terminal has stdout only */
	struct str text;           /* without the end of line; any bytes */
	bool partial;              /* goes on in the next one: it was too long */
	int64_t time_us;           /* 0 = unknown */
	const char *task_id, *node_id;
};

/* ---- what goes in ---- */
/* Lists are NULL-terminated; a NULL list does not filter. Labels are "key" or "key=value", all must
 * match; of ids any may. Of names too: the Engine also shows those that only contain one, or begin
 * with it. */
struct docker_filter {
	const char *const *labels;
	const char *const *ids;
	const char *const *names;
	/* Services only: of the spec only what others than its writer need (docker/brief.c), of the one
	 * before only whether there is one ({}); labels: none. For lists of all there is. */
	bool brief;
	/* With brief: the list as it was before, borrowed until the completion: those whose text is the
	 * same are taken from it, and not read again. */
	const struct docker_service *known;
	size_t n_known;
};
struct docker_task_filter {
	const char *const *services; /* ids or names; one that is gone: NOT_FOUND for the list */
	const char *const *labels;   /* of their services */
	const char *const *nodes;
	const char *desired_state; /* "running", "shutdown", "accepted"; NULL = all */
	bool up_to_date;           /* only tasks of their service's present spec */
	bool brief;                /* without their spec: for lists of all there is */
	const struct docker_task *known; /* as above */
	size_t n_known;
};
struct docker_service_options {
	const char *registry_auth; /* base64url JSON; NULL = the Engine keeps what it has */
	bool rollback;             /* update: to PreviousSpec; `spec` is the present one then */
};
struct docker_logs {
	const char *service, *task; /* one of them */
	int64_t tail;               /* last n lines of each task; -1 = all */
	bool follow;
	int64_t since_us; /* 0 = all */
	/* Return false to pause: at most the lines of the present piece (16 KiB) still come, then
	 * nothing until docker_logs_continue. */
	bool (*on_line)(void *data, const struct docker_log_line *line);
};

typedef void (*docker_on_done)(void *data, const struct status *st);
/* The new (or updated) object's id and the Engine's warning, or "". */
typedef void (*docker_on_id)(
	void *data, const struct status *st, const char *id, const char *warning);
typedef void (*docker_on_info)(void *data, const struct status *st, const struct docker_info *i);
/* Lists and inspect: one signature; inspect gives one. */
typedef void (*docker_on_services)(
	void *data, const struct status *st, const struct docker_service *s, size_t n);
typedef void (*docker_on_tasks)(
	void *data, const struct status *st, const struct docker_task *t, size_t n);
typedef void (*docker_on_container)(
	void *data, const struct status *st, const struct docker_container *c);
typedef void (*docker_on_networks)(
	void *data, const struct status *st, const struct docker_network *w, size_t n);
typedef void (*docker_on_objects)(
	void *data, const struct status *st, const struct docker_object *o, size_t n);
typedef void (*docker_on_nodes)(
	void *data, const struct status *st, const struct docker_node *m, size_t n);
typedef void (*docker_on_image)(void *data, const struct status *st, const struct docker_image *i);
typedef void (*docker_on_event)(void *data, const struct docker_event *e);

enum docker_kind { DOCKER_SECRET, DOCKER_CONFIG };

/* ---- the table ---- */
struct docker_ops {
	void (*destroy)(struct docker *d);
	void (*cancel)(struct docker *d, struct docker_call *c);

	struct docker_call *(*info)(struct docker *d, uint64_t ms, docker_on_info done, void *data);

	struct docker_call *(*service_list)(struct docker *d, const struct docker_filter *f,
		uint64_t ms, docker_on_services done, void *data);
	struct docker_call *(*service_inspect)(
		struct docker *d, const char *id, uint64_t ms, docker_on_services done, void *data);
	struct docker_call *(*service_create)(struct docker *d, const json_t *spec,
		const struct docker_service_options *o, uint64_t ms, docker_on_id done, void *data);
	struct docker_call *(*service_update)(struct docker *d, const char *id, uint64_t version,
		const json_t *spec, const struct docker_service_options *o, uint64_t ms,
		docker_on_id done, void *data);
	struct docker_call *(*service_remove)(
		struct docker *d, const char *id, uint64_t ms, docker_on_done done, void *data);

	struct docker_call *(*task_list)(struct docker *d, const struct docker_task_filter *f,
		uint64_t ms, docker_on_tasks done, void *data);

	struct docker_call *(*container_inspect)(struct docker *d, const char *id, uint64_t ms,
		docker_on_container done, void *data);

	struct docker_call *(*network_list)(struct docker *d, const struct docker_filter *f,
		uint64_t ms, docker_on_networks done, void *data);
	struct docker_call *(*network_inspect)(
		struct docker *d, const char *id, uint64_t ms, docker_on_networks done, void *data);
	struct docker_call *(*network_create)(
		struct docker *d, const json_t *spec, uint64_t ms, docker_on_id done, void *data);
	struct docker_call *(*network_remove)(
		struct docker *d, const char *id, uint64_t ms, docker_on_done done, void *data);

	struct docker_call *(*object_list)(struct docker *d, enum docker_kind k,
		const struct docker_filter *f, uint64_t ms, docker_on_objects done, void *data);
	struct docker_call *(*object_inspect)(struct docker *d, enum docker_kind k, const char *id,
		uint64_t ms, docker_on_objects done, void *data);
	struct docker_call *(*object_create)(struct docker *d, enum docker_kind k,
		const json_t *spec, uint64_t ms, docker_on_id done, void *data);
	struct docker_call *(*object_remove)(struct docker *d, enum docker_kind k, const char *id,
		uint64_t ms, docker_on_done done, void *data);

	struct docker_call *(*node_list)(
		struct docker *d, uint64_t ms, docker_on_nodes done, void *data);

	struct docker_call *(*image_resolve)(struct docker *d, const char *ref,
		const char *registry_auth, uint64_t ms, docker_on_image done, void *data);
	struct docker_call *(*registry_login)(struct docker *d, const json_t *auth, uint64_t ms, docker_on_done done,
		void *data);

	struct docker_call *(*logs)(struct docker *d, const struct docker_logs *l, uint64_t ms,
		docker_on_done done, void *data);
	void (*logs_continue)(struct docker *d, struct docker_call *c);

	struct docker_events *(*events_start)(
		struct docker *d, docker_on_event on_event, void *data);
	void (*events_stop)(struct docker *d, struct docker_events *e);
};

/* First member of every implementation. */
struct docker {
	const struct docker_ops *ops;
	uint64_t requests; /* sent so far, streams included */
	/* Minor of the API 1.x that was agreed on; 0 = not yet, or no longer. */
	unsigned api;
};

/* Calls that are under way complete with CANCELLED first. NULL is fine. Not from inside a
 * completion. */
static inline void docker_destroy(struct docker *d)
{
	if (d)
		d->ops->destroy(d);
}
/* The call's completion gets CANCELLED. A write that was sent may have been done all the same. */
static inline void docker_cancel(struct docker *d, struct docker_call *c)
{
	d->ops->cancel(d, c);
}

static inline struct docker_call *docker_info(
	struct docker *d, uint64_t ms, docker_on_info done, void *data)
{
	return d->ops->info(d, ms, done, data);
}

/* Filter NULL: all. With running, desired and completed counts. */
static inline struct docker_call *docker_service_list(struct docker *d,
	const struct docker_filter *f, uint64_t ms, docker_on_services done, void *data)
{
	return d->ops->service_list(d, f, ms, done, data);
}
/* id: id or name, here and below. */
static inline struct docker_call *docker_service_inspect(
	struct docker *d, const char *id, uint64_t ms, docker_on_services done, void *data)
{
	return d->ops->service_inspect(d, id, ms, done, data);
}
/* spec: a ServiceSpec; o may be NULL. */
static inline struct docker_call *docker_service_create(struct docker *d, const json_t *spec,
	const struct docker_service_options *o, uint64_t ms, docker_on_id done, void *data)
{
	return d->ops->service_create(d, spec, o, ms, done, data);
}
/* version: as last read; another has been written since: ABORTED. */
static inline struct docker_call *docker_service_update(struct docker *d, const char *id,
	uint64_t version, const json_t *spec, const struct docker_service_options *o, uint64_t ms,
	docker_on_id done, void *data)
{
	return d->ops->service_update(d, id, version, spec, o, ms, done, data);
}
static inline struct docker_call *docker_service_remove(
	struct docker *d, const char *id, uint64_t ms, docker_on_done done, void *data)
{
	return d->ops->service_remove(d, id, ms, done, data);
}

static inline struct docker_call *docker_task_list(struct docker *d,
	const struct docker_task_filter *f, uint64_t ms, docker_on_tasks done, void *data)
{
	return d->ops->task_list(d, f, ms, done, data);
}

/* NOT_FOUND also of a container on another node. */
static inline struct docker_call *docker_container_inspect(struct docker *d, const char *id,
	uint64_t ms, docker_on_container done, void *data)
{
	return d->ops->container_inspect(d, id, ms, done, data);
}

/* Swarm-scoped networks linger in this node's list for a moment after their removal. */
static inline struct docker_call *docker_network_list(struct docker *d,
	const struct docker_filter *f, uint64_t ms, docker_on_networks done, void *data)
{
	return d->ops->network_list(d, f, ms, done, data);
}
static inline struct docker_call *docker_network_inspect(
	struct docker *d, const char *id, uint64_t ms, docker_on_networks done, void *data)
{
	return d->ops->network_inspect(d, id, ms, done, data);
}
/* spec: the body of POST /networks/create; CheckDuplicate is added. */
static inline struct docker_call *docker_network_create(
	struct docker *d, const json_t *spec, uint64_t ms, docker_on_id done, void *data)
{
	return d->ops->network_create(d, spec, ms, done, data);
}
static inline struct docker_call *docker_network_remove(
	struct docker *d, const char *id, uint64_t ms, docker_on_done done, void *data)
{
	return d->ops->network_remove(d, id, ms, done, data);
}

static inline struct docker_call *docker_object_list(struct docker *d, enum docker_kind k,
	const struct docker_filter *f, uint64_t ms, docker_on_objects done, void *data)
{
	return d->ops->object_list(d, k, f, ms, done, data);
}
static inline struct docker_call *docker_object_inspect(struct docker *d, enum docker_kind k,
	const char *id, uint64_t ms, docker_on_objects done, void *data)
{
	return d->ops->object_inspect(d, k, id, ms, done, data);
}
/* spec: a SecretSpec or ConfigSpec, Data in base64. */
static inline struct docker_call *docker_object_create(struct docker *d, enum docker_kind k,
	const json_t *spec, uint64_t ms, docker_on_id done, void *data)
{
	return d->ops->object_create(d, k, spec, ms, done, data);
}
static inline struct docker_call *docker_object_remove(struct docker *d, enum docker_kind k,
	const char *id, uint64_t ms, docker_on_done done, void *data)
{
	return d->ops->object_remove(d, k, id, ms, done, data);
}

static inline struct docker_call *docker_node_list(
	struct docker *d, uint64_t ms, docker_on_nodes done, void *data)
{
	return d->ops->node_list(d, ms, done, data);
}

/* Asks the image's registry, through the Engine, for digest and platforms. registry_auth may be
 * NULL. UNAVAILABLE: no Engine; a registry that is away is FAILED_PRECONDITION. */
static inline struct docker_call *docker_image_resolve(struct docker *d, const char *ref,
	const char *registry_auth, uint64_t ms, docker_on_image done, void *data)
{
	return d->ops->image_resolve(d, ref, registry_auth, ms, done, data);
}

/* May who has these credentials log in to their registry? The Engine asks it. auth: an AuthConfig, {username,
 * password, serveraddress}. OK: yes. PERMISSION_DENIED: no, in the registry's words. FAILED_PRECONDITION: it is
 * away, or nothing that answers there is a registry. UNAVAILABLE: no Engine. */
static inline struct docker_call *docker_registry_login(
	struct docker *d, const json_t *auth, uint64_t ms, docker_on_done done, void *data)
{
	return d->ops->registry_login(d, auth, ms, done, data);
}

/* done: the end of the logs, or with follow of the service or the connection. */
static inline struct docker_call *docker_logs(
	struct docker *d, const struct docker_logs *l, uint64_t ms, docker_on_done done, void *data)
{
	return d->ops->logs(d, l, ms, done, data);
}
static inline void docker_logs_continue(struct docker *d, struct docker_call *c)
{
	d->ops->logs_continue(d, c);
}

/* A subscription: it reconnects with back-off for ever and has no completion; after
 * docker_events_stop nothing fires. on_event is only called from the loop. */
static inline struct docker_events *docker_events_start(
	struct docker *d, docker_on_event on_event, void *data)
{
	return d->ops->events_start(d, on_event, data);
}
static inline void docker_events_stop(struct docker *d, struct docker_events *e)
{
	d->ops->events_stop(d, e);
}
