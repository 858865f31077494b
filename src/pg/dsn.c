#include "pg/dsn.h"
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "loop/resolve.h"

#define CONNECT_TIMEOUT_S 10
#define OPTIONS_MAX       80 /* libpq 15 has 41 */

/* Rows are read as text: the first two decide how times look. Statements are planned once a connection, for any
 * parameters: planned anew for each run, as PostgreSQL would choose where it hopes to gain by it, the larger ones
 * cost more in planning than in running. What there is an index for is found by it, however few rows there were when
 * it was planned; and nothing here runs so long that compiling it (jit) could pay. The user's own options come later
 * and win. */
#define SESSION \
	"-c datestyle=iso -c timezone=utc -c plan_cache_mode=force_generic_plan" \
	" -c enable_seqscan=off -c random_page_cost=1.1 -c jit=off"

struct host {
	const char *name;
	const char *port;
	bool known;
	size_t naddrs;
	const char *addrs[RESOLVE_MAX];
};

struct pg_dsn {
	struct arena *arena;
	PQconninfoOption *given, *defaults;
	struct host *hosts; /* empty: the string needs no help */
	size_t nhosts;
	struct status lookup_failed;
};

static const char *option(const PQconninfoOption *o, const char *keyword)
{
	for (; o && o->keyword; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val && o->val[0] ? o->val : NULL;
	return NULL;
}

static const char *value(const struct pg_dsn *d, const char *keyword)
{
	const char *v = option(d->given, keyword);
	return v ? v : option(d->defaults, keyword);
}

/* Cuts at commas, as libpq does; NULL is no element at all. */
static size_t split(struct arena *a, const char *text, const char ***ret_parts)
{
	size_t n = text ? 1 : 0, i = 0;
	for (const char *p = text; p && *p; p++)
		n += *p == ',';
	const char **parts = arena_array(a, const char *, n ? n : 1);
	struct str rest = str_of(text);
	for (; i < n; i++)
		parts[i] = str_dup(a, str_cut(&rest, ','));
	*ret_parts = parts;
	return n;
}

static void find_hosts(struct pg_dsn *d)
{
	const char **names, **ports;
	size_t n = split(d->arena, value(d, "host"), &names);
	size_t nports = split(d->arena, value(d, "port"), &ports);
	if (value(d, "hostaddr") || (nports > 1 && nports != n))
		return; /* nothing to look up; libpq says that the lists do not match */
	bool any = false;
	d->hosts = arena_array(d->arena, struct host, n ? n : 1);
	for (size_t i = 0; i < n; i++) {
		char first = names[i][0];
		struct host *h = &d->hosts[i];
		h->name = names[i];
		h->port = nports == 0 ? "" : ports[nports == 1 ? 0 : i];
		h->known = first == '\0' || first == '/' || first == '@'; /* unix sockets */
		any = any || !h->known;
	}
	d->nhosts = any ? n : 0;
}

struct status pg_dsn_parse(const char *conninfo, struct pg_dsn **ret_dsn)
{
	char *words = NULL;
	PQconninfoOption *given = PQconninfoParse(conninfo ? conninfo : "", &words);
	if (given == NULL) {
		struct str text = str_trim(str_of(words));
		struct status st = status_err(ST_INVALID_ARGUMENT, STR_FMT, STR_ARG(text));
		PQfreemem(words);
		return st;
	}
	struct pg_dsn *d = mem_new(struct pg_dsn);
	d->arena = arena_create();
	d->given = given;
	d->defaults = PQconndefaults();
	d->lookup_failed = status_ok();
	find_hosts(d);
	*ret_dsn = d;
	return status_ok();
}

void pg_dsn_destroy(struct pg_dsn *d)
{
	if (d == NULL)
		return;
	PQconninfoFree(d->given);
	PQconninfoFree(d->defaults);
	arena_destroy(d->arena);
	free(d);
}

static struct host *unknown_host(const struct pg_dsn *d)
{
	for (size_t i = 0; i < d->nhosts; i++)
		if (!d->hosts[i].known)
			return &d->hosts[i];
	return NULL;
}

const char *pg_dsn_lookup(const struct pg_dsn *d)
{
	const struct host *h = unknown_host(d);
	return h ? h->name : NULL;
}

void pg_dsn_looked_up(struct pg_dsn *d, const struct status *st, const struct resolve_addrs *addrs)
{
	struct host *h = unknown_host(d);
	h->known = true;
	if (!status_is_ok(st)) {
		d->lookup_failed = *st;
		h->name = NULL; /* left out */
	}
	for (size_t i = 0; i < addrs->n; i++)
		h->addrs[h->naddrs++] = arena_strdup(d->arena, addrs->text[i]);
}

uint64_t pg_dsn_timeout_ms(const struct pg_dsn *d)
{
	int64_t s = 0;
	const char *text = value(d, "connect_timeout");
	if (text == NULL || !str_to_i64(str_of(text), &s) || s <= 0 || s > 3600)
		s = CONNECT_TIMEOUT_S;
	return (uint64_t)s * 1000;
}

struct params {
	const char *keywords[OPTIONS_MAX], *values[OPTIONS_MAX];
	size_t n;
};

static void set(struct params *p, const char *keyword, const char *v)
{
	size_t i = 0;
	while (i < p->n && strcmp(p->keywords[i], keyword) != 0)
		i++;
	if (i == OPTIONS_MAX - 1)
		return;
	p->keywords[i] = keyword;
	p->values[i] = v;
	p->n += i == p->n;
}

/* The three lists of one length that libpq wants: names, addresses, ports. False: nobody is left.
 */
static bool set_hosts(const struct pg_dsn *d, struct params *p)
{
	struct buf names = {0}, addrs = {0}, ports = {0};
	for (size_t i = 0; i < d->nhosts; i++) {
		const struct host *h = &d->hosts[i];
		size_t n = h->name == NULL ? 0 : h->naddrs ? h->naddrs : 1; /* a socket: itself */
		for (size_t k = 0; k < n; k++) {
			const char *sep = names.len || ports.len ? "," : "";
			buf_fmt(&names, "%s%s", sep, h->name);
			buf_fmt(&addrs, "%s%s", sep, h->naddrs ? h->addrs[k] : "");
			buf_fmt(&ports, "%s%s", sep, h->port[0] ? h->port : "5432");
		}
	}
	bool any = ports.len > 0;
	if (any) {
		set(p, "host", str_dup(d->arena, buf_str(&names)));
		set(p, "hostaddr", str_dup(d->arena, buf_str(&addrs)));
		set(p, "port", str_dup(d->arena, buf_str(&ports)));
	}
	buf_finish(&names);
	buf_finish(&addrs);
	buf_finish(&ports);
	return any;
}

struct status pg_dsn_connect(const struct pg_dsn *d, PGconn **ret_pq)
{
	struct params p = {.n = 0};
	/* A peer that is gone without a word is noticed in a minute, not in two hours. */
	set(&p, "keepalives_idle", "30");
	set(&p, "keepalives_interval", "10");
	set(&p, "keepalives_count", "3");
	set(&p, "tcp_user_timeout", "30000");
	set(&p, "gssencmode", "disable"); /* Kerberos libraries block */
	set(&p, "fallback_application_name", "skep");
	for (const PQconninfoOption *o = d->given; o->keyword; o++)
		if (o->val)
			set(&p, o->keyword, o->val);
	const char *options = value(d, "options");
	set(&p, "options", options ? arena_fmt(d->arena, SESSION " %s", options) : SESSION);
	set(&p, "client_encoding", "UTF8");
	if (d->nhosts > 0 && !set_hosts(d, &p))
		return d->lookup_failed;
	PGconn *pq = PQconnectStartParams(p.keywords, p.values, 0);
	if (pq == NULL)
		mem_abort("out of memory");
	*ret_pq = pq;
	return status_ok();
}
