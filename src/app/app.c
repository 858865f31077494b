#include "app/app.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "api/api.h"
#include "api/hub.h"
#include "api/pages.h"
#include "app/notify.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "board/board.h"
#include "board/presence.h"
#include "crypto/crypto.h"
#include "db/db.h"
#include "db/jobs.h"
#include "db/migrate.h"
#include "db/sealed.h"
#include "docker/docker.h"
#include "docker/engine.h"
#include "jobs/instance.h"
#include "jobs/pulse.h"
#include "jobs/run.h"
#include "jobs/schedules.h"
#include "jobs/wake.h"
#include "jobs/worker.h"
#include "loop/loop.h"
#include "net/tls_files.h"
#include "pg/pg.h"
#include "redis/redis.h"
#include "rpc/route.h"
#include "rpc/server.h"
#include "stacks/lookout.h"
#include "stacks/observer.h"
#include "stacks/stacks.h"

#define MIGRATE_AGAIN_MS 1000
#define TLS_LOOK_MS      10000
#define HOUSEKEEP_MS     60000 /* a look whether it is due */
#define ARCHIVE_MORE_MS  100   /* between batches: others have work too */
#define FIRST_HOUSEKEEP_MS 60000

struct app {
	struct loop *loop;
	const struct config *config;
	struct uuid instance;

	struct keyring *keyring;
	struct pg *pg;
	struct redis *redis; /* NULL: none configured */
	struct docker *docker;
	struct db *db;
	struct job_wake *wake;
	struct job_instance *redis_instance;
	struct job_worker *worker;
	struct job_pulse *pulse;
	struct job_schedules *schedules;
	struct board *board; /* NULL: not wanted */
	struct board_presence *presence;
	char host[65];
	struct lookout *lookout;
	struct observer *observer;
	struct stacks stacks;
	struct api_hub *hub;
	struct api api;
	struct tls_files *tls; /* NULL: no TLS */
	struct rpc_server *server;

	struct timer migrate_again, housekeep, archive;
	bool archiving, more_to_archive;
	bool migrated, docker_known, docker_up, draining;
	struct status docker_why;
	unsigned parts_draining;
	struct defer end;
	struct status end_st;
	void (*on_end)(void *data, const struct status *st);
	void *end_data;
};

static void end_with(struct app *app, const struct status *st)
{
	app->end_st = *st;
	defer_post(&app->end);
}

static void on_end(struct defer *d)
{
	struct app *app = container_of(d, struct app, end);
	app->on_end(app->end_data, &app->end_st);
}

/* ---- news ---- */

static void job_ready(void *data, const char *job_id)
{
	struct app *app = data;
	job_worker_tell(app->worker, job_id);
	job_wake_ready(app->wake, job_id);
}

static void job_cancel(void *data, const char *job_id)
{
	struct app *app = data;
	job_worker_cancel(app->worker, job_id);
}

static void on_redis_ready(void *data, const char *job_id)
{
	struct app *app = data;
	job_worker_tell(app->worker, job_id);
}

/* What it held is gone: hints, and they are in PostgreSQL too. */
static void on_redis_replaced(void *data)
{
	struct app *app = data;
	log_warn("Redis was emptied, or is another one; PostgreSQL has everything", NULL);
	job_worker_wake(app->worker);
	if (app->board)
		board_wake(app->board);
}

static void on_pg_jobs(void *data, const char *channel, const char *payload)
{
	struct app *app = data;
	(void)channel;
	job_worker_tell(app->worker, job_told(payload));
}

static void on_pg_schedules(void *data, const char *channel, const char *payload)
{
	struct app *app = data;
	(void)channel;
	(void)payload;
	job_schedules_wake(app->schedules);
}

static void on_pg_cancel(void *data, const char *channel, const char *payload)
{
	struct app *app = data;
	if (channel)
		job_worker_cancel(app->worker, payload);
}

/* Events of jobs, or a stack's state: whoever watches one of these ids reads again. */
static void on_pg_news(void *data, const char *channel, const char *payload)
{
	struct app *app = data;
	char id[UUID_LEN + 1];
	if (!channel) {
		api_hub_publish_all(app->hub);
		return;
	}
	for (struct str rest = str_of(payload); rest.len > 0;) {
		struct str word = str_cut(&rest, ' ');
		(void)snprintf(id, sizeof(id), STR_FMT, STR_ARG(word));
		api_hub_publish(app->hub, id);
	}
}

static void on_pg_events(void *data, const char *channel, const char *payload)
{
	struct app *app = data;
	on_pg_news(data, channel, payload);
	if (app->board)
		board_wake(app->board);
}

static void on_pg_stacks(void *data, const char *channel, const char *payload)
{
	struct app *app = data;
	on_pg_news(data, channel, payload);
	observer_nudge(app->observer);
}

/* ---- servers come and go ---- */

/* With what to do about it. */
static void log_state(const char *server, bool up, const struct status *why)
{
	struct buf advice = {0};
	buf_fmt(&advice, "check that it runs and that `%s` in skepd.yaml names it%s", server,
		strcmp(server, "redis") == 0 ? "; jobs go on without it" : "");
	if (up)
		log_info("connected", "server", server, NULL);
	else
		log_warn("not connected; trying again", "server", server, "error", why->message, "advice", advice.ptr, NULL);
	buf_finish(&advice);
}

static void on_pg_state(void *data, bool up, const struct status *why)
{
	(void)data;
	log_state("postgres", up, why);
}

static void on_redis_state(void *data, bool up, const struct status *why)
{
	(void)data;
	log_state("redis", up, why);
}

static void on_engine(void *data, bool up, const struct status *why)
{
	struct app *app = data;
	app->docker_known = true;
	app->docker_up = up;
	app->docker_why = up ? status_ok() : *why;
	log_state("docker", up, why);
	job_worker_hold_off(app->worker, !up);
}

static void dependencies(void *data, struct api_dependency ret[API_DEPENDENCIES])
{
	struct app *app = data;
	ret[0] = (struct api_dependency){.name = "postgres", .up = pg_is_up(app->pg) && app->migrated, .why = pg_last_error(app->pg)};
	if (pg_is_up(app->pg) && !app->migrated)
		ret[0].why = status_err(ST_UNAVAILABLE, "the database is being migrated");
	else if (!ret[0].up)
		ret[0].why = status_wrap(&ret[0].why, "check that PostgreSQL runs and that `postgres` in skepd.yaml names it");
	ret[1] = (struct api_dependency){.name = "redis", .up = app->redis && redis_is_up(app->redis)};
	if (!app->redis)
		ret[1].why = status_err(ST_UNAVAILABLE, "not configured: only PostgreSQL wakes the workers");
	else if (!ret[1].up)
		ret[1].why = redis_last_error(app->redis);
	ret[2] = (struct api_dependency){.name = "docker", .up = app->docker_known && app->docker_up, .why = app->docker_why};
	if (!app->docker_known)
		ret[2].why = status_err(ST_UNAVAILABLE, "the Engine has not been asked yet");
}

/* ---- making ---- */

static struct rpc_limits limits_of(const struct config *c)
{
	return (struct rpc_limits){
		.max_message = (size_t)config_number(c, CONFIG_MAX_MESSAGE),
		.max_connections = (unsigned)config_number(c, CONFIG_MAX_CONNECTIONS),
		.max_streams = (unsigned)config_number(c, CONFIG_MAX_STREAMS),
		.idle_ms = (uint64_t)config_number(c, CONFIG_IDLE_TIMEOUT),
		.stall_ms = (uint64_t)config_number(c, CONFIG_STALL_TIMEOUT),
		.max_calls = (unsigned)config_number(c, CONFIG_MAX_CALLS),
		.max_metadata = (size_t)config_number(c, CONFIG_MAX_METADATA),
		.max_header = (size_t)config_number(c, CONFIG_MAX_HEADER),
		.max_buffered = (size_t)config_number(c, CONFIG_MAX_BUFFERED),
		.max_buffered_hard = (size_t)config_number(c, CONFIG_MAX_BUFFERED_HARD),
		.max_buffered_total = (size_t)config_number(c, CONFIG_MAX_BUFFERED_TOTAL),
		.frame_ms = (uint64_t)config_number(c, CONFIG_FRAME_TIMEOUT),
		.resets_per_s = (unsigned)config_number(c, CONFIG_HTTP2_RESETS),
		.controls_per_s = (unsigned)config_number(c, CONFIG_HTTP2_CONTROLS),
		.ping_interval_ms = (uint64_t)config_number(c, CONFIG_HTTP2_PING_INTERVAL),
		.handshake_ms = (uint64_t)config_number(c, CONFIG_HANDSHAKE_TIMEOUT),
		.max_per_address = (unsigned)config_number(c, CONFIG_MAX_PER_ADDRESS),
		.token_per_s = (unsigned)config_number(c, CONFIG_TOKEN_RATE),
		.token_at_once = (unsigned)config_number(c, CONFIG_TOKEN_BURST),
		.sse_heartbeat_ms = (uint64_t)config_number(c, CONFIG_SSE_HEARTBEAT),
	};
}

static void on_migrate_again(struct timer *t);
static void on_housekeep(struct timer *t);
static void on_archive(struct timer *t);

static struct status make_tls(struct app *app)
{
	const struct config *c = app->config;
	const char *certificate = config_text(c, CONFIG_TLS_CERTIFICATE), *key = config_text(c, CONFIG_TLS_KEY);
	const struct tls_server_files files = {.certificate = certificate, .key = key[0] ? key : certificate,
		.client_ca = config_text(c, CONFIG_TLS_CLIENT_CA), .require_client = config_number(c, CONFIG_TLS_REQUIRE_CLIENT) != 0};
	if (!certificate[0] && (key[0] || files.client_ca[0] || files.require_client))
		return status_err(ST_INVALID_ARGUMENT, "tls_key, tls_client_ca and tls_require_client need tls_certificate");
	if (files.require_client && !files.client_ca[0])
		return status_err(ST_INVALID_ARGUMENT, "tls_require_client needs tls_client_ca");
	return certificate[0] ? tls_files_create(app->loop, &files, TLS_LOOK_MS, &app->tls) : status_ok();
}

/* What can fail: the key file, certificates, and addresses that cannot be understood. */
static struct status make_clients(struct app *app)
{
	const struct config *c = app->config;
	struct status st = keyring_load(config_text(c, CONFIG_KEY_FILE), &app->keyring);
	if (!status_is_ok(&st))
		return st;
	const struct docker_engine_options engine = {.host = config_text(c, CONFIG_DOCKER)};
	st = docker_engine_create(app->loop, &engine, &app->docker);
	if (!status_is_ok(&st))
		return status_wrap(&st, "docker");
	const struct redis_options redis = {.url = config_text(c, CONFIG_REDIS), .on_state = on_redis_state, .data = app};
	if (!redis.url[0] && config_text(c, CONFIG_BULL_BOARD)[0])
		return status_err(ST_INVALID_ARGUMENT, "bull_board needs redis: it is where bull-board looks");
	if (redis.url[0])
		app->redis = redis_create(app->loop, &redis, &st);
	if (!status_is_ok(&st))
		return status_wrap(&st, "redis");
	const struct pg_options pg = {.conninfo = config_text(c, CONFIG_POSTGRES),
		.pool_size = (unsigned)config_number(c, CONFIG_POSTGRES_POOL), .on_state = on_pg_state, .data = app};
	app->pg = pg_create(app->loop, &pg);
	return make_tls(app);
}

static void make_board(struct app *app)
{
	const char *prefix = config_text(app->config, CONFIG_BULL_BOARD);
	const struct board_options o = {.loop = app->loop, .db = app->db, .redis = app->redis, .clock = clock_system(),
		.prefix = prefix, .owner = app->instance.text};
	unsigned kinds = 0;
	if (!prefix[0])
		return;
	for (size_t i = 0; stacks_kinds[i]; i++)
		kinds |= 1u << stacks_kinds[i]->kind;
	app->board = board_create(&o);
	app->presence = board_presence_create(app->loop, config_text(app->config, CONFIG_REDIS), prefix, kinds, app->host);
}

static void make_parts(struct app *app)
{
	const struct config *c = app->config;
	app->db = db_pg_create(app->pg, app->keyring, clock_system(), rng_system());
	db_pg_limit_jobs(app->db, (struct db_job_limits){.backlog = (unsigned)config_number(c, CONFIG_JOB_BACKLOG),
		.per_minute = (unsigned)config_number(c, CONFIG_JOB_RATE), .burst = (unsigned)config_number(c, CONFIG_JOB_BURST)});
	app->redis_instance = job_instance_create(app->loop, app->redis, rng_system(), on_redis_replaced, app);
	app->wake = job_wake_create(app->redis, on_redis_ready, app);
	app->lookout = lookout_create(app->loop, app->docker);
	app->stacks = (struct stacks){.docker = app->docker, .lookout = app->lookout, .clock = clock_system(),
		.stall_ms = (uint64_t)config_number(c, CONFIG_STALL_LIMIT), .hold_ms = (uint64_t)config_number(c, CONFIG_HOLD),
		.keep_releases = (unsigned)config_number(c, CONFIG_KEEP_RELEASES)};
	const struct job_worker_options worker = {.loop = app->loop, .db = app->db, .rng = rng_system(), .owner = app->instance.text,
		.kinds = stacks_kinds, .context = &app->stacks, .slots = (unsigned)config_number(c, CONFIG_JOB_SLOTS),
		.reserved = (unsigned)config_number(c, CONFIG_JOB_RESERVED),
		.max_running = (unsigned)config_number(c, CONFIG_JOB_PROJECT_RUNNING),
		.lease_ms = (unsigned)config_number(c, CONFIG_JOB_LEASE),
		.max_takeovers = (unsigned)config_number(c, CONFIG_JOB_TAKEOVERS)};
	app->worker = job_worker_create(&worker);
	if (gethostname(app->host, sizeof(app->host) - 1) != 0)
		app->host[0] = '\0';
	app->pulse = job_pulse_create(app->loop, app->db, app->worker, app->instance.text, app->host, SKEP_VERSION);
	app->schedules = job_schedules_create(app->loop, app->db, rng_system());
	make_board(app);
	const struct observer_options observer = {
		.loop = app->loop, .lookout = app->lookout, .docker = app->docker, .db = app->db, .on_engine = on_engine, .data = app};
	app->observer = observer_create(&observer);
	app->hub = api_hub_create(app->loop);
	app->api = (struct api){.loop = app->loop, .db = app->db, .hub = app->hub, .instance = app->instance.text,
		.started_us = clock_system()->wall_us(clock_system()), .job_ready = job_ready, .job_cancel = job_cancel,
		.dependencies = dependencies, .job_project_running = (unsigned)config_number(c, CONFIG_JOB_PROJECT_RUNNING), .stacks = &app->stacks, .observer = app->observer, .data = app};
	const struct rpc_server_options server = {.loop = app->loop, .methods = skep_v1_methods, .n_methods = skep_v1_method_count,
		.routes = &skep_v1_routes, .pages = api_pages, .n_pages = api_page_count,
		.cors_origins = config_text(c, CONFIG_CORS_ORIGINS),
		.context = &app->api, .authenticate = api_authenticate, .identify = api_identify,
		.clear_tokens = config_number(c, CONFIG_CLEAR_TOKENS) != 0, .limits = limits_of(c)};
	app->server = rpc_server_create(&server);
}

struct status app_create(struct loop *l, const struct config *config, struct app **ret_app)
{
	struct app *app = mem_new(struct app);
	app->loop = l;
	app->config = config;
	app->instance = uuid_v7(clock_system(), rng_system());
	timer_init(&app->migrate_again, l, on_migrate_again);
	timer_init(&app->housekeep, l, on_housekeep);
	timer_init(&app->archive, l, on_archive);
	defer_init(&app->end, l, on_end);
	*ret_app = app;
	struct status st = make_clients(app);
	if (status_is_ok(&st))
		make_parts(app);
	return st;
}

void app_on_end(struct app *app, void (*done)(void *data, const struct status *st), void *data)
{
	app->on_end = done;
	app->end_data = data;
}

/* ---- starting ---- */

static bool is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static struct status open_door(struct app *app, struct arena *a, const struct config_listen *l)
{
	unsigned bound = 0;
	if (l->tls == CONFIG_TLS_REQUIRED && !app->tls)
		return status_err(ST_INVALID_ARGUMENT, "listen has tls://%s:%u, and there is no tls_certificate", l->host, l->port);
	struct status st = rpc_server_listen_tls(app->server, l->host, l->port, l->tls == CONFIG_TLS_OFF ? NULL : app->tls,
		l->tls == CONFIG_TLS_REQUIRED, &bound);
	if (!status_is_ok(&st))
		return st;
	const char *tls = l->tls == CONFIG_TLS_REQUIRED ? "required" : l->tls == CONFIG_TLS_OPTIONAL && app->tls ? "optional" : "off";
	log_info("listening", "host", l->host, "port", arena_fmt(a, "%u", bound), "tls", tls, NULL);
	if (strcmp(tls, "off") == 0 && !is_loopback(l->host) && config_number(app->config, CONFIG_CLEAR_TOKENS) == 0)
		log_warn("no token is taken from other machines here: there is no TLS (options tls_certificate and clear_tokens)",
			"host", l->host, NULL);
	return st;
}

static struct status open_doors(struct app *app)
{
	const char *path = config_text(app->config, CONFIG_SOCKET);
	struct str list = str_of(config_text(app->config, CONFIG_LISTEN));
	struct status st = status_ok();
	struct config_listen one;
	bool bad;
	if (path[0]) {
		st = rpc_server_listen_unix(app->server, path, (mode_t)config_number(app->config, CONFIG_SOCKET_MODE));
		if (!status_is_ok(&st))
			return st;
		log_info("listening", "socket", path, NULL);
	}
	struct arena *a = arena_create();
	while (status_is_ok(&st) && config_next_listen(a, &list, &one, &bad))
		st = open_door(app, a, &one);
	arena_destroy(a);
	return st;
}

static void on_kept(void *data, const struct status *st)
{
	(void)data;
	if (!status_is_ok(st) && st->code != ST_CANCELLED)
		log_warn("a part of the housekeeping failed; it is tried again in an hour", "error", st->message, NULL);
}

static struct db_retention retention(const struct config *c)
{
	return (struct db_retention){.events_s = config_number(c, CONFIG_EVENTS_KEEP) / 1000,
		.audit_s = config_number(c, CONFIG_AUDIT_KEEP) / 1000, .releases = (unsigned)config_number(c, CONFIG_RELEASES_KEEP),
		.jobs_age_s = config_number(c, CONFIG_JOBS_ARCHIVE) / 1000, .jobs_s = config_number(c, CONFIG_JOBS_KEEP) / 1000};
}

static void on_housekeep(struct timer *t)
{
	struct app *app = container_of(t, struct app, housekeep);
	const struct db_retention keep = retention(app->config);
	app->db->jobs->housekeep(app->db, &keep, on_kept, NULL);
	timer_set(t, HOUSEKEEP_MS);
}

static void on_archived(void *data, const struct status *st, bool more)
{
	struct app *app = data;
	app->archiving = false;
	app->more_to_archive = more;
	if (!status_is_ok(st) && st->code != ST_CANCELLED)
		log_warn("jobs could not be moved to the archive; it is tried again in a minute", "error", st->message, NULL);
}

static void on_archive(struct timer *t)
{
	struct app *app = container_of(t, struct app, archive);
	const struct db_retention keep = retention(app->config);
	if (!app->archiving) {
		app->archiving = true;
		app->db->jobs->archive(app->db, &keep, on_archived, app);
	}
	timer_set(t, app->more_to_archive ? ARCHIVE_MORE_MS : HOUSEKEEP_MS);
}

static void begin_work(struct app *app)
{
	app->migrated = true;
	pg_listen(app->pg, "skep_jobs", on_pg_jobs, app);
	pg_listen(app->pg, "skep_cancel", on_pg_cancel, app);
	pg_listen(app->pg, "skep_schedules", on_pg_schedules, app);
	pg_listen(app->pg, "skep_events", on_pg_events, app);
	pg_listen(app->pg, "skep_stacks", on_pg_stacks, app);
	lookout_start(app->lookout);
	job_worker_start(app->worker);
	job_pulse_start(app->pulse);
	job_schedules_start(app->schedules);
	if (app->board)
		board_start(app->board);
	job_instance_start(app->redis_instance);
	observer_start(app->observer);
	timer_set(&app->housekeep, FIRST_HOUSEKEEP_MS);
	timer_set(&app->archive, FIRST_HOUSEKEEP_MS);
	log_info("ready", "version", SKEP_VERSION, "instance", app->instance.text, NULL);
	notify_ready();
}

static void start_failed(struct app *app, const struct status *st)
{
	if (st->code == ST_UNAVAILABLE || st->code == ST_DEADLINE_EXCEEDED || st->code == ST_ABORTED) {
		log_warn("PostgreSQL cannot be used yet; check that it runs and that `postgres` in skepd.yaml names it; trying again",
			"error", st->message, NULL);
		timer_set(&app->migrate_again, MIGRATE_AGAIN_MS);
	} else {
		end_with(app, st);
	}
}

/* Why no new key is made beside what another one has sealed. */
static struct status lost_key(const struct app *app, const char *const *ids, size_t n)
{
	if (n == 0)
		return status_ok();
	return status_err(ST_FAILED_PRECONDITION,
		"there is no key file %s (option key_file), and the database holds what the key \"%s\"%s has sealed: put the "
		"file back from your back-up, owned by skepd's user, mode 0600 (docs/backup.md). Only if it is lost for good: "
		"start once with --new_key; what it sealed stays closed",
		keyring_path(app->keyring), ids[0], n > 1 ? " (and others)" : "");
}

/* What one daemon seals the others must open. */
static struct status others_key(const struct app *app, const char *const *ids, size_t n)
{
	if (n == 0)
		return status_ok();
	return status_err(ST_FAILED_PRECONDITION,
		"the daemons of this database seal with the key \"%s\", which %s (option key_file) does not hold: copy their key "
		"file there, or add that key's line to it. Only if it is lost for good: start once with --new_key; what it "
		"sealed stays closed",
		ids[0], keyring_path(app->keyring));
}

/* What speaks against a new key, unless new_key says that the old one is lost for good. */
static struct status unless_new_key(const struct app *app, struct status why)
{
	if (status_is_ok(&why) || config_number(app->config, CONFIG_NEW_KEY) == 0)
		return why;
	log_warn("a new key is made, as new_key says", "although", why.message, NULL);
	return status_ok();
}

static void on_sealing_key(void *data, const struct status *st, const char *const *ids, size_t n)
{
	struct app *app = data;
	struct status why = status_is_ok(st) ? others_key(app, ids, n) : *st;
	if (app->draining)
		return;
	if (status_is_ok(&why))
		begin_work(app);
	else
		start_failed(app, &why);
}

static void claim_key(struct app *app)
{
	const char *ids[KEYRING_MAX];
	size_t n = keyring_ids(app->keyring, ids);
	db_sealing_key(app->pg, ids, n, config_number(app->config, CONFIG_NEW_KEY) != 0, on_sealing_key, app);
}

static void make_keys(struct app *app)
{
	struct status st = keyring_make(app->keyring);
	if (!status_is_ok(&st)) {
		start_failed(app, &st);
		return;
	}
	log_info("made the key file; back it up apart from the database, and copy it to where other daemons run", "file",
		keyring_path(app->keyring), NULL);
	claim_key(app);
}

static void on_others(void *data, const struct status *st, const char *const *ids, size_t n)
{
	struct app *app = data;
	/* One that began at the same time may have made the file that was not there. */
	struct status why = status_is_ok(st) && n > 0 ? keyring_reload(app->keyring) : *st;
	bool made = status_is_ok(&why) && !keyring_is_empty(app->keyring);
	if (app->draining)
		return;
	if (status_is_ok(&why) && !made)
		why = unless_new_key(app, others_key(app, ids, n));
	if (!status_is_ok(&why))
		start_failed(app, &why);
	else if (made)
		claim_key(app);
	else
		make_keys(app);
}

static void on_sealed_keys(void *data, const struct status *st, const char *const *ids, size_t n)
{
	struct app *app = data;
	struct status why = status_is_ok(st) ? unless_new_key(app, lost_key(app, ids, n)) : *st;
	if (app->draining)
		return;
	if (status_is_ok(&why))
		db_sealing_key(app->pg, NULL, 0, false, on_others, app);
	else
		start_failed(app, &why);
}

static void need_keys(struct app *app)
{
	if (keyring_is_empty(app->keyring))
		db_sealed_keys(app->pg, on_sealed_keys, app);
	else
		claim_key(app);
}

static void on_migrated(void *data, const struct status *st, unsigned applied)
{
	struct app *app = data;
	if (app->draining)
		return;
	if (!status_is_ok(st)) {
		start_failed(app, st);
		return;
	}
	if (applied > 0)
		log_info("database migrated", "new", applied == 1 ? "1 migration" : "several migrations", NULL);
	need_keys(app);
}

static void on_migrate_again(struct timer *t)
{
	struct app *app = container_of(t, struct app, migrate_again);
	if (config_number(app->config, CONFIG_MIGRATE) != 0)
		db_migrate(app->pg, skep_migrations, on_migrated, app);
	else
		need_keys(app);
}

struct status app_start(struct app *app)
{
	struct status st = open_doors(app);
	if (status_is_ok(&st))
		timer_set(&app->migrate_again, 0);
	return st;
}

/* ---- ending ---- */

static void part_drained(void *data)
{
	struct app *app = data;
	if (--app->parts_draining > 0)
		return;
	struct status ok = status_ok();
	end_with(app, &ok);
}

void app_reload(struct app *app)
{
	struct status st = app->tls ? tls_files_reload(app->tls) : status_ok();
	if (!status_is_ok(&st))
		log_error("the TLS certificate cannot be used; the one before stays", "error", st.message, NULL);
}

void app_drain(struct app *app)
{
	uint64_t grace = (uint64_t)config_number(app->config, CONFIG_DRAIN_GRACE);
	if (app->draining)
		return;
	app->draining = true;
	notify_stopping();
	log_info("draining", NULL);
	timer_stop(&app->migrate_again);
	timer_stop(&app->housekeep);
	timer_stop(&app->archive);
	if (app->migrated)
		job_pulse_stop(app->pulse);
	app->parts_draining = app->board ? 5 : 4;
	rpc_server_drain(app->server, grace, part_drained, app);
	job_worker_drain(app->worker, grace, part_drained, app);
	observer_stop(app->observer, part_drained, app);
	job_schedules_stop(app->schedules, part_drained, app);
	job_instance_stop(app->redis_instance);
	if (app->board)
		board_stop(app->board, part_drained, app);
}

void app_destroy(struct app *app)
{
	if (!app)
		return;
	timer_stop(&app->migrate_again);
	timer_stop(&app->housekeep);
	timer_stop(&app->archive);
	defer_cancel(&app->end);
	rpc_server_destroy(app->server);
	tls_files_destroy(app->tls);
	pg_destroy(app->pg);
	redis_destroy(app->redis);
	board_presence_destroy(app->presence);
	if (app->lookout)
		lookout_stop(app->lookout);
	docker_destroy(app->docker);
	job_pulse_destroy(app->pulse);
	job_schedules_destroy(app->schedules);
	board_destroy(app->board);
	job_worker_destroy(app->worker);
	observer_destroy(app->observer);
	lookout_destroy(app->lookout);
	job_wake_destroy(app->wake);
	job_instance_destroy(app->redis_instance);
	if (app->db)
		db_pg_destroy(app->db);
	api_hub_destroy(app->hub);
	keyring_destroy(app->keyring);
	free(app);
}
