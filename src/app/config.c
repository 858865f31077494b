#include "app/config.h"

#include <ctype.h>
#include <string.h>
#include "base/arena.h"
#include "base/duration.h"
#include "base/size.h"
#include "redis/url.h"

#define ERRORS_MAX 64
#define PREFIX_MAX 40
#define MS         1000000 /* ns */

struct option {
	const char *key, *otherwise;
	int64_t min, max;    /* of `number` */
	const char *choices; /* "a|b|c" */
	const char *doc;
	enum config_type type;
	bool live, secret;
};

static const struct option options[CONFIG_COUNT] = {
	[CONFIG_LISTEN] = {"listen", "127.0.0.1:7700", 0, 0, NULL,
		"addresses for clients, between commas: host:port (TLS too, where there is a certificate), tls://host:port (only TLS), tcp://host:port (never TLS); port 0: any; empty: none", CONFIG_ADDRESS, false, false},
	[CONFIG_TLS_CERTIFICATE] = {"tls_certificate", "", 0, 0, NULL,
		"PEM file: the daemon's certificate, then those between it and the root; read again when it changes and on SIGHUP; empty: no TLS", CONFIG_TEXT, false, false},
	[CONFIG_TLS_KEY] = {"tls_key", "", 0, 0, NULL,
		"PEM file: the certificate's key; empty: it stands in tls_certificate", CONFIG_TEXT, false, false},
	[CONFIG_TLS_CLIENT_CA] = {"tls_client_ca", "", 0, 0, NULL,
		"PEM file: who signs client certificates; one that names urn:skep:token:ID has that token's rights; empty: none is asked for", CONFIG_TEXT, false, false},
	[CONFIG_TLS_REQUIRE_CLIENT] = {"tls_require_client", "false", 0, 1, NULL,
		"TLS only with a client certificate that tls_client_ca has signed", CONFIG_BOOL, false, false},
	[CONFIG_CLEAR_TOKENS] = {"clear_tokens", "false", 0, 1, NULL,
		"take tokens that come in clear from other machines: only where nobody can listen", CONFIG_BOOL, false, false},
	[CONFIG_SOCKET] = {"socket", "/run/skep/skep.sock", 0, 0, NULL,
		"unix socket for clients; root and the daemon's own user are admin there; empty: none", CONFIG_TEXT, false, false},
	[CONFIG_SOCKET_MODE] = {"socket_mode", "0660", 0, 0777, NULL,
		"permissions of the socket, octal", CONFIG_MODE, false, false},
	[CONFIG_POSTGRES] = {"postgres", "host=/var/run/postgresql dbname=skep user=skep", 0, 0, NULL,
		"where the truth is kept: a libpq connection string or postgresql:// URL", CONFIG_TEXT, false, true},
	[CONFIG_POSTGRES_POOL] = {"postgres_pool", "4", 1, 64, NULL,
		"connections to PostgreSQL at most", CONFIG_NUMBER, false, false},
	[CONFIG_REDIS] = {"redis", "redis://127.0.0.1:6379", 0, 0, NULL,
		"wakes the workers: redis://[:password@]host:port[/db] or unix:///path; several between commas, for fail-over: the first that is there and no replica is used; empty: only PostgreSQL wakes them", CONFIG_REDIS_URL, false, true},
	[CONFIG_BULL_BOARD] = {"bull_board", "", 0, 0, NULL,
		"show the jobs in Redis as bull-board can read them, under this prefix of the keys, such as bull (docs/jobs.md); empty: not", CONFIG_PREFIX, false, false},
	[CONFIG_DOCKER] = {"docker", "unix:///var/run/docker.sock", 0, 0, NULL,
		"a manager's Engine: unix:///path or tcp://host:port", CONFIG_DOCKER_HOST, false, false},
	[CONFIG_KEY_FILE] = {"key_file", "/var/lib/skep/keys", 0, 0, NULL,
		"the keys that seal texts and secrets; made at the first start, mode 0600; lose it and they are lost", CONFIG_TEXT, false, false},
	[CONFIG_NEW_KEY] = {"new_key", "false", 0, 1, NULL,
		"make a new key file although the database holds what a lost one has sealed, or seal with another key than its daemons do: for one start, when theirs is lost for good", CONFIG_BOOL, false, false},
	[CONFIG_LOG_LEVEL] = {"log_level", "info", 0, 0, "debug|info|warn|error",
		"what is logged", CONFIG_CHOICE, true, false},
	[CONFIG_LOG_FORMAT] = {"log_format", "text", 0, 0, "text|json",
		"key=value or JSON lines", CONFIG_CHOICE, true, false},
	[CONFIG_JOB_SLOTS] = {"job_slots", "16", 1, 1024, NULL,
		"jobs that run here at a time", CONFIG_NUMBER, false, false},
	[CONFIG_JOB_RESERVED] = {"job_reserved", "2", 0, 1023, NULL,
		"of job_slots: kept for short kinds of jobs (remove, rollback, renew_certificate …)", CONFIG_NUMBER, false, false},
	[CONFIG_JOB_PROJECT_RUNNING] = {"job_project_running", "0", 0, 10000, NULL,
		"jobs of one project at a time, in all daemons, where the project itself does not say; 0: no limit", CONFIG_NUMBER, false, false},
	[CONFIG_JOB_LEASE] = {"job_lease", "4s", 1000, 600000, NULL,
		"how long after a daemon's death another takes its jobs over", CONFIG_DURATION, false, false},
	[CONFIG_JOB_TAKEOVERS] = {"job_takeovers", "5", 1, 1000, NULL,
		"so many daemons may die over one step of a job; then it is taken back", CONFIG_NUMBER, false, false},
	[CONFIG_JOB_BACKLOG] = {"job_backlog", "10000", 0, 1000000, NULL,
		"jobs of one project that may wait; one more is refused; 0: no limit", CONFIG_NUMBER, false, false},
	[CONFIG_JOB_RATE] = {"job_rate", "600", 0, 1000000, NULL,
		"jobs a minute that one project may submit; 0: no limit", CONFIG_NUMBER, false, false},
	[CONFIG_JOB_BURST] = {"job_burst", "200", 1, 1000000, NULL,
		"of job_rate: how many at once", CONFIG_NUMBER, false, false},
	[CONFIG_STALL_LIMIT] = {"stall_limit", "60s", 1000, 86400000, NULL,
		"a deploy that makes no progress for so long has failed", CONFIG_DURATION, false, false},
	[CONFIG_HOLD] = {"hold", "5s", 0, 3600000, NULL,
		"how long a service must stay as wanted, where update_config.monitor does not say", CONFIG_DURATION, false, false},
	[CONFIG_KEEP_RELEASES] = {"keep_releases", "5", 1, 1000, NULL,
		"a stack's good releases whose secrets and configs stay in the Swarm, for roll-backs", CONFIG_NUMBER, false, false},
	[CONFIG_DRAIN_GRACE] = {"drain_grace", "10s", 0, 600000, NULL,
		"on SIGTERM: how long jobs and calls may go on before they are handed back and cancelled", CONFIG_DURATION, false, false},
	[CONFIG_MAX_MESSAGE] = {"max_message", "4MiB", 1024, 268435456, NULL,
		"size of one message", CONFIG_SIZE, false, false},
	[CONFIG_MAX_CONNECTIONS] = {"max_connections", "4096", 1, 1000000, NULL,
		"client connections", CONFIG_NUMBER, false, false},
	[CONFIG_MAX_STREAMS] = {"max_streams", "256", 1, 65536, NULL,
		"calls open on one connection", CONFIG_NUMBER, false, false},
	[CONFIG_IDLE_TIMEOUT] = {"idle_timeout", "10m", 1000, 86400000, NULL,
		"a connection without a call is closed after it", CONFIG_DURATION, false, false},
	[CONFIG_STALL_TIMEOUT] = {"stall_timeout", "30s", 100, 3600000, NULL,
		"a client that takes nothing of what waits for it is closed after it", CONFIG_DURATION, false, false},
	[CONFIG_HANDSHAKE_TIMEOUT] = {"handshake_timeout", "10s", 100, 600000, NULL,
		"a connection that has said nothing whole is closed after it", CONFIG_DURATION, false, false},
	[CONFIG_MAX_CALLS] = {"max_calls", "16384", 1, 1000000, NULL,
		"calls in work in all, those too whose clients have gone", CONFIG_NUMBER, false, false},
	[CONFIG_MAX_METADATA] = {"max_metadata", "16KiB", 256, 1048576, NULL,
		"metadata of one call (native protocol)", CONFIG_SIZE, false, false},
	[CONFIG_MAX_HEADER] = {"max_header", "32KiB", 1024, 1048576, NULL,
		"header of one HTTP request", CONFIG_SIZE, false, false},
	[CONFIG_MAX_BUFFERED] = {"max_buffered", "1MiB", 65536, 268435456, NULL,
		"bytes that wait for one client before its requests wait too", CONFIG_SIZE, false, false},
	[CONFIG_MAX_BUFFERED_HARD] = {"max_buffered_hard", "32MiB", 65536, 1073741824, NULL,
		"bytes that wait for or come from one client at which it is closed", CONFIG_SIZE, false, false},
	[CONFIG_MAX_BUFFERED_TOTAL] = {"max_buffered_total", "256MiB", 1048576, 68719476736, NULL,
		"the same of all clients; who adds to it is closed or refused", CONFIG_SIZE, false, false},
	[CONFIG_FRAME_TIMEOUT] = {"frame_timeout", "30s", 100, 600000, NULL,
		"from the first byte of a frame, header or message to its last; 1 s more for each 64 KiB", CONFIG_DURATION, false, false},
	[CONFIG_HTTP2_RESETS] = {"http2_resets", "100", 1, 1000000, NULL,
		"streams and native calls a second that a connection may take back; ten times as many at once", CONFIG_NUMBER, false, false},
	[CONFIG_HTTP2_CONTROLS] = {"http2_controls", "100", 1, 1000000, NULL,
		"frames a second that carry nothing (PING, SETTINGS, empty DATA …; native pings); ten times as many at once", CONFIG_NUMBER, false, false},
	[CONFIG_HTTP2_PING_INTERVAL] = {"http2_ping_interval", "5m", 1000, 86400000, NULL,
		"a client that pings more often without data in between is closed", CONFIG_DURATION, false, false},
	[CONFIG_SSE_HEARTBEAT] = {"sse_heartbeat", "15s", 100, 3600000, NULL,
		"an event stream that has nothing to say says so, so often", CONFIG_DURATION, false, false},
	[CONFIG_MAX_PER_ADDRESS] = {"max_connections_per_address", "1024", 0, 1000000, NULL,
		"client connections from one network address (IPv6: one /64); 0: as many as max_connections", CONFIG_NUMBER, false, false},
	[CONFIG_TOKEN_RATE] = {"token_rate", "10000", 0, 1000000, NULL,
		"calls a second that one token may open; 0: no limit", CONFIG_NUMBER, false, false},
	[CONFIG_TOKEN_BURST] = {"token_burst", "20000", 1, 10000000, NULL,
		"of token_rate: how many at once", CONFIG_NUMBER, false, false},
	[CONFIG_CORS_ORIGINS] = {"cors_origins", "", 0, 0, NULL,
		"whose web pages may call from a browser: origins between commas, such as https://app.example, or *; empty: nobody's", CONFIG_ORIGINS, false, false},
	[CONFIG_EVENTS_KEEP] = {"events_keep", "720h", 3600000, 315360000000, NULL,
		"events of jobs and stacks are kept at least so long; they leave by whole months", CONFIG_DURATION, false, false},
	[CONFIG_AUDIT_KEEP] = {"audit_keep", "9600h", 3600000, 315360000000, NULL,
		"the audit log is kept at least so long; it leaves by whole months", CONFIG_DURATION, false, false},
	[CONFIG_JOBS_ARCHIVE] = {"jobs_archive", "24h", 3600000, 315360000000, NULL,
		"jobs that ended so long ago move to the archive, out of the workers' way; they are read, and can be retried, as before",
		CONFIG_DURATION, false, false},
	[CONFIG_JOBS_KEEP] = {"jobs_keep", "9600h", 3600000, 315360000000, NULL,
		"archived jobs are kept at least so long since they were made; they leave by whole months", CONFIG_DURATION, false, false},
	[CONFIG_RELEASES_KEEP] = {"releases_keep", "20", 1, 10000, NULL,
		"texts of the newest superseded releases of a stack, and of its newest failed ones, that are kept for a roll-back", CONFIG_NUMBER, false, false},
	[CONFIG_MIGRATE] = {"migrate", "true", 0, 1, NULL,
		"bring the database up to date at start", CONFIG_BOOL, false, false},
};

const char *config_key(enum config_option o)
{
	return options[o].key;
}

bool config_is_live(enum config_option o)
{
	return options[o].live;
}

/* ---- values ---- */

static bool choice_of(const char *choices, struct str text, int64_t *ret_at)
{
	struct str rest = str_of(choices);
	for (int64_t i = 0; rest.len > 0; i++) {
		if (str_eq(str_cut(&rest, '|'), text)) {
			*ret_at = i;
			return true;
		}
	}
	return false;
}

static bool mode_of(struct str text, int64_t *ret_mode)
{
	int64_t mode = 0;
	if (text.len == 0 || text.len > 4)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '7')
			return false;
		mode = mode * 8 + (text.ptr[i] - '0');
	}
	*ret_mode = mode;
	return true;
}

static bool bool_of(struct str text, int64_t *ret_value)
{
	*ret_value = str_is(text, "true") || str_is(text, "yes") || str_is(text, "on") || str_is(text, "1");
	return *ret_value || str_is(text, "false") || str_is(text, "no") || str_is(text, "off") || str_is(text, "0");
}

static bool cut_front(struct str *s, const char *front)
{
	if (!str_starts(*s, front))
		return false;
	*s = str_make(s->ptr + strlen(front), s->len - strlen(front));
	return true;
}

bool config_next_listen(struct arena *a, struct str *list, struct config_listen *ret_listen, bool *ret_bad)
{
	int64_t port;
	*ret_bad = false;
	if (str_trim(*list).len == 0)
		return false;
	struct str host = str_trim(str_cut(list, ','));
	ret_listen->tls = cut_front(&host, "tls://") ? CONFIG_TLS_REQUIRED
		: cut_front(&host, "tcp://")         ? CONFIG_TLS_OFF
						     : CONFIG_TLS_OPTIONAL;
	const char *colon = host.len ? memrchr(host.ptr, ':', host.len) : NULL;
	*ret_bad = !colon || !str_to_i64(str_make(colon + 1, (size_t)(host.ptr + host.len - colon - 1)), &port) || port < 0 ||
		   port > 65535;
	if (*ret_bad)
		return false;
	ret_listen->port = (unsigned)port;
	host = str_make(host.ptr, (size_t)(colon - host.ptr));
	if (str_starts(host, "[") && str_ends(host, "]"))
		host = str_make(host.ptr + 1, host.len - 2);
	ret_listen->host = str_dup(a, host);
	return true;
}

static bool is_prefix(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) && !(s.ptr[i] && strchr("._-{}", s.ptr[i])))
			return false;
	return s.len <= PREFIX_MAX;
}

/* NULL: it is fine; else what it should be. Whether anybody answers there is seen at start. */
static const char *parse_address(struct arena *a, enum config_type type, struct str text)
{
	struct redis_urls urls;
	struct status st;
	if (type == CONFIG_DOCKER_HOST)
		return str_starts(text, "unix:///") || str_starts(text, "tcp://") || str_starts(text, "http://")
			? NULL : "unix:///path or tcp://host:port";
	if (text.len == 0)
		return NULL;
	if (type == CONFIG_REDIS_URL) {
		st = redis_urls_parse(a, str_dup(a, text), &urls);
		return status_is_ok(&st) ? NULL : "redis://[:password@]host:port[/db] or unix:///path, several between commas";
	}
	struct config_listen one;
	bool bad;
	while (config_next_listen(a, &text, &one, &bad))
		;
	return bad ? "host:port, tls://host:port or tcp://host:port, such as 127.0.0.1:7700" : NULL;
}

/* "https://host[:port]", as browsers send them: in small letters, without a path. */
static bool is_origin(struct str s)
{
	bool secure = cut_front(&s, "https://");
	if ((!secure && !cut_front(&s, "http://")) || s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789.:-[]", s.ptr[i]) || s.ptr[i] == '\0')
			return false;
	return true;
}

static const char *parse_origins(struct str text)
{
	while (text.len > 0 && !str_is(text, "*"))
		if (!is_origin(str_trim(str_cut(&text, ','))))
			return "origins such as https://app.example, between commas, or * alone";
	return NULL;
}

/* NULL: it is fine; else what it should be. */
static const char *parse(struct arena *a, const struct option *o, struct str text, int64_t *ret_number)
{
	int64_t n = 0;
	switch (o->type) {
	case CONFIG_TEXT:
		return NULL;
	case CONFIG_PREFIX:
		return is_prefix(text) ? NULL : "at most 40 letters, digits and . _ - { }";
	case CONFIG_ADDRESS:
	case CONFIG_REDIS_URL:
	case CONFIG_DOCKER_HOST:
		return parse_address(a, o->type, text);
	case CONFIG_ORIGINS:
		return parse_origins(text);
	case CONFIG_CHOICE:
		return choice_of(o->choices, text, ret_number) ? NULL : arena_fmt(a, "one of %s", o->choices);
	case CONFIG_BOOL:
		return bool_of(text, ret_number) ? NULL : "true or false";
	case CONFIG_MODE:
		if (!mode_of(text, &n))
			return "octal permissions, such as 0660";
		break;
	case CONFIG_NUMBER:
		if (!str_to_i64(text, &n))
			return "a whole number";
		break;
	case CONFIG_DURATION:
		if (!duration_parse(text, &n))
			return "a duration, such as 30s or 1m30s";
		n /= MS;
		break;
	case CONFIG_SIZE:
		if (!size_parse(text, &n))
			return "a size, such as 4MiB";
		break;
	}
	*ret_number = n;
	if (n >= o->min && n <= o->max)
		return NULL;
	if (o->type == CONFIG_DURATION)
		return arena_fmt(a, "between %s and %s", duration_text(a, o->min * MS), duration_text(a, o->max * MS));
	if (o->type == CONFIG_MODE)
		return arena_fmt(a, "between 0 and 0%llo", (unsigned long long)o->max);
	return arena_fmt(a, "between %lld and %lld", (long long)o->min, (long long)o->max);
}

struct reading {
	struct arena *a;
	struct config *config;
	struct config_errors *errors;
};

static void complain(struct reading *r, const char *where, const char *message)
{
	if (r->errors->len < ERRORS_MAX)
		r->errors->items[r->errors->len++] = (struct config_error){where, message};
}

static void set(struct reading *r, enum config_option at, struct str text, const char *from)
{
	const struct option *o = &options[at];
	struct config_value v = {.text = str_dup(r->a, text), .from = from};
	const char *expected = parse(r->a, o, text, &v.number);
	if (expected)
		complain(r, from, arena_fmt(r->a, "%s is \"%s\"; it must be %s", o->key, o->secret ? "***" : v.text, expected));
	else
		r->config->values[at] = v;
}

/* Keys are the same with - and _, and in variables in capitals. */
static int find(struct str name)
{
	for (int i = 0; i < CONFIG_COUNT; i++) {
		const char *key = options[i].key;
		size_t k = 0;
		while (k < name.len && key[k] && (key[k] == tolower((unsigned char)name.ptr[k]) || (key[k] == '_' && name.ptr[k] == '-')))
			k++;
		if (k == name.len && key[k] == '\0')
			return i;
	}
	return -1;
}

/* ---- the file: `key: value` lines, a flat YAML mapping ---- */

/* Behind a value only a comment may stand. */
static bool is_rest(struct str s)
{
	struct str rest = str_trim(s);
	return rest.len == 0 || (rest.ptr[0] == '#' && rest.ptr != s.ptr);
}

static struct str unquote(struct reading *r, struct str s, const char *where)
{
	if (s.len >= 1 && (s.ptr[0] == '"' || s.ptr[0] == '\'')) {
		struct str inner = str_make(s.ptr + 1, s.len - 1);
		const char *end = memchr(inner.ptr, s.ptr[0], inner.len);
		if (!end) {
			complain(r, where, "the quote is not closed");
			return s;
		}
		if (!is_rest(str_make(end + 1, (size_t)(inner.ptr + inner.len - end - 1))))
			complain(r, where, "something stands behind the closing quote");
		return str_make(inner.ptr, (size_t)(end - inner.ptr));
	}
	for (size_t i = 1; i < s.len; i++)
		if (s.ptr[i] == '#' && isspace((unsigned char)s.ptr[i - 1]))
			return str_trim(str_make(s.ptr, i));
	return s;
}

static void read_file(struct reading *r, const struct config_input *in)
{
	bool seen[CONFIG_COUNT] = {false};
	struct str rest = in->file;
	if (rest.len && memchr(rest.ptr, '\0', rest.len)) {
		complain(r, in->path, "is no text: it holds a NUL byte");
		return;
	}
	for (unsigned line = 1; rest.len > 0; line++) {
		struct str text = str_cut(&rest, '\n');
		const char *where = arena_fmt(r->a, "%s:%u", in->path, line);
		struct str value = str_trim(text);
		if (value.len == 0 || value.ptr[0] == '#' || str_is(value, "---"))
			continue;
		if (!memchr(value.ptr, ':', value.len) || isspace((unsigned char)text.ptr[0])) {
			complain(r, where, "expected `key: value` at the start of the line");
			continue;
		}
		struct str key = str_trim(str_cut(&value, ':'));
		int at = find(key);
		if (at < 0) {
			complain(r, where, arena_fmt(r->a, "\"" STR_FMT "\" is no option; see `skepd config --help`", STR_ARG(key)));
		} else if (seen[at]) {
			complain(r, where, arena_fmt(r->a, "%s stands twice", options[at].key));
		} else {
			seen[at] = true;
			set(r, (enum config_option)at, unquote(r, str_trim(value), where), where);
		}
	}
}

static void read_env(struct reading *r, const char *const *env)
{
	for (size_t i = 0; env && env[i]; i++) {
		if (strncmp(env[i], "SKEP_", 5) != 0)
			continue;
		struct str value = str_of(env[i]);
		struct str name = str_cut(&value, '=');
		/* The client's variables (SKEP_HOST, SKEP_TOKEN …) begin with SKEP_ too: unknown ones are not ours to judge. */
		int at = find(str_make(name.ptr + 5, name.len - 5));
		if (at >= 0)
			set(r, (enum config_option)at, value, str_dup(r->a, name));
	}
}

static void read_flags(struct reading *r, const char *const *flags)
{
	for (size_t i = 0; flags && flags[i]; i++) {
		struct str value = str_of(flags[i]);
		bool has_value = strchr(flags[i], '=') != NULL;
		struct str name = str_cut(&value, '=');
		int at = str_starts(name, "--") ? find(str_make(name.ptr + 2, name.len - 2)) : -1;
		if (at < 0) {
			complain(r, flags[i], "is no option; see `skepd --help` and `skepd config --help`");
			continue;
		}
		if (!has_value && options[at].type == CONFIG_BOOL)
			value = STR("true");
		else if (!has_value && flags[i + 1])
			value = str_of(flags[++i]);
		else if (!has_value) {
			complain(r, flags[i], "needs a value");
			continue;
		}
		set(r, (enum config_option)at, value, str_dup(r->a, name));
	}
}

bool config_read(struct arena *a, const struct config_input *in, struct config *ret_config, struct config_errors *ret_errors)
{
	struct reading r = {a, ret_config, ret_errors};
	*ret_errors = (struct config_errors){.items = arena_array(a, struct config_error, ERRORS_MAX)};
	for (int i = 0; i < CONFIG_COUNT; i++)
		set(&r, (enum config_option)i, str_of(options[i].otherwise), "default");
	if (in->path)
		read_file(&r, in);
	read_env(&r, in->env);
	read_flags(&r, in->flags);
	return ret_errors->len == 0;
}

/* ---- for people ---- */

void config_print_help(FILE *out)
{
	(void)fprintf(out, "Every option is a key of skepd.yaml, a SKEP_* variable, and a flag; flags win over variables,\n"
			   "variables over the file. Example: `socket: /run/skep/skep.sock`, SKEP_SOCKET=…, --socket=…\n\n");
	for (int i = 0; i < CONFIG_COUNT; i++) {
		const struct option *o = &options[i];
		(void)fprintf(out, "  %-18s %s%s\n", o->key, o->doc, o->live ? " (changes on SIGHUP)" : "");
		(void)fprintf(out, "  %-18s default: %s%s%s\n", "", o->otherwise[0] ? o->otherwise : "\"\"", o->choices ? "; one of " : "",
			o->choices ? o->choices : "");
	}
}

void config_print(FILE *out, const struct config *c)
{
	for (int i = 0; i < CONFIG_COUNT; i++) {
		const struct config_value *v = &c->values[i];
		bool hide = options[i].secret && strcmp(v->from, "default") != 0;
		(void)fprintf(out, "%s: \"%s\" # %s\n", options[i].key, hide ? "***" : v->text, v->from);
	}
}
