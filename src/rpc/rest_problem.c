/* Failures as application/problem+json: what a google.rpc.Status says, in RFC 9457's words.
 * `detail` is the message, `details` are the same messages that gRPC and Connect carry. */
#include "rpc/rest.h"
#include <stdarg.h>
#include <stdio.h>
#include "base/arena.h"
#include "rpc/pbjson.h"

#define TYPE "type.googleapis.com/google.rpc."

struct member {
	const char *name, *text;
};

static void put_object(struct buf *b, const struct member *members, size_t n)
{
	bool first = true;
	buf_addc(b, '{');
	for (size_t i = 0; i < n; i++) {
		if (!members[i].text || !members[i].text[0])
			continue;
		buf_fmt(b, "%s\"%s\":", first ? "" : ",", members[i].name);
		pbjson_put_string(b, str_of(members[i].text));
		first = false;
	}
	buf_addc(b, '}');
}

/* The beginning of a detail with a list; its end is "]}". */
static void begin(struct buf *b, bool *first, const char *type, const char *list)
{
	buf_fmt(b, "%s{\"@type\":\"" TYPE "%s\",\"%s\":[", *first ? ",\"details\":[" : ",", type,
		list);
	*first = false;
}

static void put_lists(struct buf *b, bool *first, const struct rpc_details *d)
{
	for (size_t i = 0; i < d->n_violations; i++) {
		const struct member v[] = {{"field", d->violations[i].field},
			{"description", d->violations[i].description}};
		i ? buf_addc(b, ',') : begin(b, first, "BadRequest", "fieldViolations");
		put_object(b, v, 2);
	}
	buf_adds(b, d->n_violations ? "]}" : "");
	for (size_t i = 0; i < d->n_preconditions; i++) {
		const struct member v[] = {{"type", d->preconditions[i].type},
			{"subject", d->preconditions[i].subject},
			{"description", d->preconditions[i].description}};
		i ? buf_addc(b, ',') : begin(b, first, "PreconditionFailure", "violations");
		put_object(b, v, 3);
	}
	buf_adds(b, d->n_preconditions ? "]}" : "");
	for (size_t i = 0; i < d->n_quotas; i++) {
		const struct member v[] = {{"subject", d->quotas[i].subject},
			{"description", d->quotas[i].description}};
		i ? buf_addc(b, ',') : begin(b, first, "QuotaFailure", "violations");
		put_object(b, v, 2);
	}
	buf_adds(b, d->n_quotas ? "]}" : "");
}

static void put_details(struct buf *b, const struct rpc_details *d)
{
	bool first = true;
	put_lists(b, &first, d);
	if (d->retry_ms) {
		buf_fmt(b, "%s{\"@type\":\"" TYPE "RetryInfo\",\"retryDelay\":",
			first ? ",\"details\":[" : ",");
		pbjson_put_duration(
			b, (int64_t)(d->retry_ms / 1000), (int32_t)(d->retry_ms % 1000) * 1000000);
		buf_addc(b, '}');
		first = false;
	}
	for (size_t i = 0; i < d->n_others; i++) { /* packed by whoever sent it */
		struct arena *a = arena_create();
		const struct member v[] = {{"@type", d->others[i].type_url},
			{"value", str_base64(a, d->others[i].value.ptr, d->others[i].value.len)}};
		buf_adds(b, first ? ",\"details\":[" : ",");
		put_object(b, v, 2);
		first = false;
		arena_destroy(a);
	}
	buf_adds(b, first ? "" : "]");
}

void rest_put_problem(struct buf *b, unsigned status, const struct status *st,
	const struct rpc_details *details)
{
	buf_fmt(b, "{\"title\":\"%s\",\"status\":%u,\"code\":\"%s\",\"detail\":",
		http_reason(status), status, st_code_name(st->code));
	pbjson_put_string(b, str_of(st->message));
	if (details)
		put_details(b, details);
	buf_addc(b, '}');
}

void rest_refuse(struct http_exchange *x, unsigned status, enum st_code code, const char *fmt, ...)
{
	struct buf body = {0};
	char words[512];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	struct status st = status_err(code, "%s", words);
	rest_put_problem(&body, status, &st, NULL);
	x->protocol = NULL;
	http_answer(x, status, "application/problem+json", buf_str(&body));
	buf_finish(&body);
}
