/* model: what a Compose text means, in types. Made by compose_load; read by
 * render, plan, policy and quota. Everything lives in the arena that was given to
 * compose_load and is never changed after it. A NULL string, an empty list and an
 * `opt` that is not set all say "the text is silent"; lists keep the order of the text. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

struct node;

/* Where something stands in the texts; lines and columns count from 1, 0 = nowhere. */
struct compose_mark {
	uint32_t line, column;
	uint16_t file; /* index of the text in compose_input; behind those, what they include */
};

struct compose_strings {
	const char **items;
	size_t len;
};
struct compose_pair {
	const char *key;
	const char *value; /* NULL: the text says null (a bare KEY in environment) */
};
struct compose_pairs { /* keys are unique */
	struct compose_pair *items; /* NULL: the text has no such mapping, not even an empty one */
	size_t len;
};
struct opt_bool {
	bool set, value;
};
struct opt_i64 {
	bool set;
	int64_t value;
};
struct opt_double {
	bool set;
	double value;
};

struct compose_port {
	struct compose_mark at;
	int64_t target;
	int64_t published;    /* 0: the Engine chooses */
	const char *protocol; /* "tcp", "udp", "sctp"; NULL (long form): the Engine takes tcp */
	const char *mode;     /* "ingress", "host"; NULL (long form): the Engine takes ingress */
	const char *host_ip;  /* Swarm has no such thing: warned of, not sent */
};

struct compose_mount {
	struct compose_mark at;
	const char *type; /* "volume", "bind", "tmpfs", "npipe", "image", "cluster" */
	const char *source, *target, *consistency;
	bool read_only;
	bool has_bind, has_volume, has_tmpfs, has_image,
		has_cluster;                 /* the option group stands in the text */
	const char *propagation;             /* bind */
	bool nocopy;                         /* volume */
	const char *subpath, *image_subpath; /* volume, image */
	int64_t tmpfs_size;                  /* bytes, 0 = none */
	int64_t tmpfs_mode;                  /* 0 = the Engine's */
};

/* A service's use of a secret or a config. */
struct compose_file_use {
	struct compose_mark at;
	const char *source, *target, *uid, *gid;
	struct opt_i64 mode;
};

struct compose_attachment { /* a service in a network */
	struct compose_mark at;
	const char *network; /* key in the project's networks */
	struct compose_strings aliases;
	struct compose_pairs driver_opts;
};

enum compose_condition { COMPOSE_STARTED, COMPOSE_HEALTHY, COMPOSE_COMPLETED };
struct compose_depends {
	struct compose_mark at;
	const char *service;
	enum compose_condition condition;
	bool optional; /* required: false */
};

struct compose_healthcheck {
	bool set, disable;
	struct compose_strings test;
	struct opt_i64 interval, timeout, start_period, start_interval; /* nanoseconds */
	struct opt_i64 retries;
};

struct compose_driver { /* a name and its options; logging, secrets, volumes, networks */
	const char *name;
	struct compose_pairs options;
};

struct compose_rollout { /* update_config, rollback_config */
	bool set;
	struct opt_i64 parallelism;
	struct opt_i64 delay, monitor; /* nanoseconds */
	struct opt_double max_failure_ratio;
	const char *failure_action, *order;
};

struct compose_generic {
	const char *kind; /* NULL: an entry that says nothing */
	int64_t value;
};
struct compose_amount { /* limits, reservations */
	bool set;
	int64_t nano_cpus, memory, pids; /* 0: the text is silent */
	struct compose_generic *generic;
	size_t generic_len;
};

struct compose_ulimit {
	const char *name;
	int64_t soft, hard;
};

struct compose_credential {
	bool set;
	const char *config, *file, *registry;
};

struct compose_restart {
	bool set;
	const char *condition;        /* "none", "on-failure", "any" */
	struct opt_i64 delay, window; /* nanoseconds */
	struct opt_i64 max_attempts;
};

enum compose_mode {
	COMPOSE_REPLICATED,
	COMPOSE_GLOBAL,
	COMPOSE_REPLICATED_JOB,
	COMPOSE_GLOBAL_JOB,
};

struct compose_service {
	struct compose_mark at;
	const char *key; /* as in the text; the Engine's name is <namespace>_<key> */
	struct compose_mark image_at;
	const char *image;      /* as written */
	const char *image_full; /* with the tag that an absent one means: "busybox:latest" */
	const char *working_dir, *user, *hostname, *stop_signal, *isolation;
	bool tty, stdin_open, read_only;
	struct opt_bool init;
	struct opt_i64 oom_score_adj;
	struct compose_strings entrypoint, command;
	struct compose_pairs environment;   /* env_file included */
	struct compose_pairs labels;        /* of the containers */
	struct compose_strings extra_hosts; /* "host:ip" */
	struct compose_strings dns, dns_search, dns_options, groups, cap_add, cap_drop;
	bool has_dns; /* the text has dns, dns_search or dns_opt, perhaps empty */
	struct compose_healthcheck healthcheck;
	struct opt_i64 stop_grace_period; /* nanoseconds */
	struct compose_pairs sysctls;
	struct compose_ulimit *ulimits;
	size_t ulimits_len;
	struct compose_driver logging;
	bool has_logging; /* the text has a logging: mapping, perhaps an empty one */
	struct compose_credential credential_spec;
	struct compose_file_use *secrets, *configs;
	size_t secrets_len, configs_len;
	struct compose_port *ports;
	size_t ports_len;
	struct compose_mount *volumes;
	size_t volumes_len;
	struct compose_attachment *networks; /* never empty: "default" is put in */
	size_t networks_len;
	struct compose_depends *depends_on;
	size_t depends_on_len;

	struct compose_mark deploy_at;
	enum compose_mode mode;
	struct opt_i64 replicas;            /* not set: keep the scale that the Engine has */
	struct compose_pairs deploy_labels; /* of the service */
	const char *endpoint_mode;
	struct compose_rollout update_config, rollback_config;
	struct compose_amount limits, reservations;
	struct compose_restart restart_policy;
	struct compose_strings constraints, spread; /* placement */
	int64_t max_replicas_per_node;              /* 0: no bound */
};

struct compose_network {
	struct compose_mark at;
	const char *key, *name; /* name: the Engine's */
	bool external, implied; /* implied: the text does not declare it ("default") */
	bool used;              /* some service is in it; only these are created */
	struct compose_driver driver;
	bool internal, attachable;
	struct compose_pairs labels;
	const char *ipam_driver;
	struct compose_strings subnets;
	bool has_ipam;
};

struct compose_volume {
	struct compose_mark at;
	const char *key, *name; /* name: the Engine's; for a cluster volume "group:<group>" may
				   stand in the mount */
	bool external;
	struct compose_driver driver;
	struct compose_pairs labels;
};

struct compose_secret { /* configs too */
	struct compose_mark at;
	const char *key;
	const char *name; /* the Engine's, when the text names it or it is external; else NULL */
	bool external;
	bool has_data;
	struct str data;  /* of `file`, `content` or `environment` */
	const char *file; /* as written */
	struct compose_driver driver;
	const char *template_driver;
	struct compose_pairs labels;
};

struct compose_project {
	const char *name;        /* the stack's name: the Engine's namespace */
	const char *text_name;   /* top-level `name:`, NULL when absent */
	const char *dir;         /* that relative paths are seen from; NULL = nobody said */
	bool dir_used, home_used; /* some bind source is below the input's dir, its home */
	const struct node *tree; /* the merged text in long forms: compose_config */
	struct compose_service *services;
	size_t services_len;
	struct compose_network *networks;
	size_t networks_len;
	struct compose_volume *volumes;
	size_t volumes_len;
	struct compose_secret *secrets;
	size_t secrets_len;
	struct compose_secret *configs;
	size_t configs_len;
};
