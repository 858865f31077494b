/* config: one table of options, from which the file's keys, the SKEP_* variables, the flags, `skepd config --help`, the
 * bounds and the defaults all come. Read into an immutable snapshot: defaults, then the file, then the environment, then
 * flags; later ones win. An unknown key, a wrong type, a value out of bounds: errors, all at once, each with its place. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/str.h"

struct arena;

enum config_option {
	CONFIG_LISTEN,
	CONFIG_TLS_CERTIFICATE,
	CONFIG_TLS_KEY,
	CONFIG_TLS_CLIENT_CA,
	CONFIG_TLS_REQUIRE_CLIENT,
	CONFIG_CLEAR_TOKENS,
	CONFIG_SOCKET,
	CONFIG_SOCKET_MODE,
	CONFIG_POSTGRES,
	CONFIG_POSTGRES_POOL,
	CONFIG_REDIS,
	CONFIG_BULL_BOARD,
	CONFIG_DOCKER,
	CONFIG_KEY_FILE,
	CONFIG_NEW_KEY,
	CONFIG_LOG_LEVEL,
	CONFIG_LOG_FORMAT,
	CONFIG_JOB_SLOTS,
	CONFIG_JOB_RESERVED,
	CONFIG_JOB_PROJECT_RUNNING,
	CONFIG_JOB_LEASE,
	CONFIG_JOB_TAKEOVERS,
	CONFIG_JOB_BACKLOG,
	CONFIG_JOB_RATE,
	CONFIG_JOB_BURST,
	CONFIG_STALL_LIMIT,
	CONFIG_HOLD,
	CONFIG_KEEP_RELEASES,
	CONFIG_DRAIN_GRACE,
	CONFIG_MAX_MESSAGE,
	CONFIG_MAX_CONNECTIONS,
	CONFIG_MAX_STREAMS,
	CONFIG_IDLE_TIMEOUT,
	CONFIG_STALL_TIMEOUT,
	CONFIG_HANDSHAKE_TIMEOUT,
	CONFIG_MAX_CALLS,
	CONFIG_MAX_METADATA,
	CONFIG_MAX_HEADER,
	CONFIG_MAX_BUFFERED,
	CONFIG_MAX_BUFFERED_HARD,
	CONFIG_MAX_BUFFERED_TOTAL,
	CONFIG_FRAME_TIMEOUT,
	CONFIG_HTTP2_RESETS,
	CONFIG_HTTP2_CONTROLS,
	CONFIG_HTTP2_PING_INTERVAL,
	CONFIG_SSE_HEARTBEAT,
	CONFIG_MAX_PER_ADDRESS,
	CONFIG_TOKEN_RATE,
	CONFIG_TOKEN_BURST,
	CONFIG_CORS_ORIGINS,
	CONFIG_EVENTS_KEEP,
	CONFIG_AUDIT_KEEP,
	CONFIG_JOBS_ARCHIVE,
	CONFIG_JOBS_KEEP,
	CONFIG_RELEASES_KEEP,
	CONFIG_MIGRATE,
	CONFIG_COUNT,
};

/* One of the addresses of CONFIG_LISTEN. */
struct config_listen {
	const char *host; /* without brackets */
	unsigned port;
	enum config_tls { CONFIG_TLS_OFF, CONFIG_TLS_OPTIONAL, CONFIG_TLS_REQUIRED } tls;
};

enum config_type { CONFIG_TEXT, CONFIG_PREFIX, CONFIG_ADDRESS, CONFIG_ORIGINS, CONFIG_REDIS_URL, CONFIG_DOCKER_HOST, CONFIG_NUMBER, CONFIG_DURATION,
	CONFIG_SIZE, CONFIG_BOOL, CONFIG_CHOICE, CONFIG_MODE };

struct config_value {
	const char *text; /* as written */
	int64_t number;   /* numbers; durations in ms; sizes in bytes; booleans 0 and 1; choices by position; modes */
	const char *from; /* "default", "skepd.yaml:3", "SKEP_REDIS", "--redis" */
};
struct config {
	struct config_value values[CONFIG_COUNT];
};

struct config_error {
	const char *where, *message;
};
struct config_errors {
	struct config_error *items;
	size_t len;
};
struct config_input {
	const char *path;         /* NULL: no file */
	struct str file;          /* its text */
	const char *const *env;   /* environ */
	const char *const *flags; /* "--key=value" or "--key", "value"; NULL-terminated */
};
/* False: `errors` says everything that is wrong. Everything lives in the arena. */
bool config_read(struct arena *a, const struct config_input *in, struct config *ret_config, struct config_errors *ret_errors);

static inline const char *config_text(const struct config *c, enum config_option o)
{
	return c->values[o].text;
}
static inline int64_t config_number(const struct config *c, enum config_option o)
{
	return c->values[o].number;
}
/* May it change on SIGHUP without a restart? */
bool config_is_live(enum config_option o);
const char *config_key(enum config_option o);
/* Takes the next address from the list. False: none is left, or (*ret_bad) it is none. */
bool config_next_listen(struct arena *a, struct str *list, struct config_listen *ret_listen, bool *ret_bad);
/* The table for people. */
void config_print_help(FILE *out);
/* The snapshot as YAML with where each value comes from; passwords as ***. */
void config_print(FILE *out, const struct config *c);
