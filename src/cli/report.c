#include "cli/report.h"
#include "base/str.h"
#include "cli/settings.h"
#include "cli/text.h"
#include "rpc/details.h"

/* "connect to /run/skep/skep.sock: permission denied": what stands behind the place. */
static const char *connect_words(const struct status *st)
{
	static const char *const fronts[] = {"connect to ", "resolve "};
	for (size_t i = 0; i < sizeof(fronts) / sizeof(*fronts); i++) {
		const char *colon;
		if (strncmp(st->message, fronts[i], strlen(fronts[i])) != 0)
			continue;
		colon = strstr(st->message, ": ");
		return colon ? colon + 2 : st->message;
	}
	return NULL;
}

static void add_unreachable(struct buf *b, const char *words, const struct settings *s)
{
	bool denied = strstr(words, "permission denied") != NULL;
	buf_fmt(b, "skep: cannot reach skepd at %s: %s. ", s->address, words);
	if (denied)
		buf_adds(b, "The socket is for root and skepd's own user: become one of them, "
			    "or bring a token to skepd's port (--host HOST:PORT --token TOKEN).\n");
	else if (strncmp(words, "TLS", 3) == 0)
		buf_adds(b, "Is its certificate signed by an authority of your own? Give --ca FILE.\n");
	else
		buf_adds(b, "Is skepd running? Set --host or SKEP_HOST.\n");
}

/* What the status said already is not said twice. */
static void add_line(struct buf *b, const struct status *st, const char *front, const char *text)
{
	struct buf line = {0};
	text_clean(&line, str_of(front), false);
	buf_adds(&line, *front && *text ? ": " : "");
	text_clean(&line, str_of(text), false);
	if (!strstr(st->message, buf_str(&line).ptr))
		buf_fmt(b, "  %s\n", line.ptr);
	buf_finish(&line);
}

static void add_details(struct buf *b, const struct status *st, const struct rpc_details *d)
{
	for (size_t i = 0; i < d->n_violations; i++)
		add_line(b, st, d->violations[i].field, d->violations[i].description);
	for (size_t i = 0; i < d->n_preconditions; i++)
		add_line(b, st, d->preconditions[i].subject, d->preconditions[i].description);
	for (size_t i = 0; i < d->n_quotas; i++)
		add_line(b, st, d->quotas[i].subject, d->quotas[i].description);
}

static void add_hint(struct buf *b, const struct status *st, const struct settings *s)
{
	if (st->code == ST_UNAUTHENTICATED && !*s->token)
		buf_adds(b, "Give a token: --token, SKEP_TOKEN, or a context that has one "
			    "(skep context set -h). An owner makes one with: skep token create\n");
	else if (st->code == ST_UNAUTHENTICATED)
		buf_adds(b, "Look where the token comes from: --token, SKEP_TOKEN or the context. "
			    "An owner makes a new one with: skep token create\n");
}

void report_write(struct buf *b, const struct status *st, const struct rpc_details *details,
	const struct settings *settings)
{
	const char *words = st->code == ST_UNAVAILABLE ? connect_words(st) : NULL;
	if (words) {
		add_unreachable(b, words, settings);
		return;
	}
	buf_adds(b, "skep: ");
	text_clean(b, str_of(*st->message ? st->message : st_code_name(st->code)), true);
	buf_addc(b, '\n');
	if (details)
		add_details(b, st, details);
	add_hint(b, st, settings);
}
