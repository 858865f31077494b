#include "rpc/details.h"
#include "base/arena.h"
#include "rpc/pb.h"

/* google/rpc/status.proto: Status {code = 1, message = 2, details = 3 (Any {type_url = 1,
 * value = 2})}; google/rpc/error_details.proto for what the values hold. */
#define TYPE_PREFIX "type.googleapis.com/google.rpc."

static void add_varint(struct buf *b, uint32_t number, uint64_t v)
{
	buf_reserve(b, 20);
	uint8_t *p = (uint8_t *)b->ptr + b->len;
	b->len += (size_t)(pb_put_varint(pb_put_tag(p, number, PB_VARINT), v) - p);
}

static void add_bytes(struct buf *b, uint32_t number, struct str s)
{
	size_t len = pb_bytes_len(s.len);
	buf_reserve(b, len);
	pb_put_bytes((uint8_t *)b->ptr + b->len, number, s);
	b->len += len;
}

static void add_text(struct buf *b, uint32_t number, const char *text)
{
	if (text && *text)
		add_bytes(b, number, str_of(text));
}

/* One repeated message of the texts, field n = text n. */
static void add_texts(struct buf *b, const char *const *texts, size_t n)
{
	struct buf item = {0};
	for (size_t i = 0; i < n; i++)
		add_text(&item, (uint32_t)i + 1, texts[i]);
	add_bytes(b, 1, buf_str(&item));
	buf_finish(&item);
}

/* Moves `value` into the status as one Any, and empties it. */
static void add_any(struct buf *b, const char *type_url, struct buf *value)
{
	struct buf any = {0};
	if (value->len == 0)
		return;
	add_text(&any, 1, type_url);
	add_bytes(&any, 2, buf_str(value));
	add_bytes(b, 3, buf_str(&any));
	buf_finish(&any);
	buf_finish(value);
}

static void add_retry(struct buf *b, uint64_t ms)
{
	struct buf duration = {0}, value = {0};
	if (ms >= 1000)
		add_varint(&duration, 1, ms / 1000);
	if (ms % 1000)
		add_varint(&duration, 2, ms % 1000 * 1000000);
	add_bytes(&value, 1, buf_str(&duration));
	add_any(b, TYPE_PREFIX "RetryInfo", &value);
	buf_finish(&duration);
}

static void add_details(struct buf *b, const struct rpc_details *d)
{
	struct buf value = {0};
	for (size_t i = 0; i < d->n_violations; i++) {
		const struct rpc_violation *v = &d->violations[i];
		add_texts(&value, (const char *const[]){v->field, v->description}, 2);
	}
	add_any(b, TYPE_PREFIX "BadRequest", &value);
	for (size_t i = 0; i < d->n_preconditions; i++) {
		const struct rpc_precondition *v = &d->preconditions[i];
		add_texts(&value, (const char *const[]){v->type, v->subject, v->description}, 3);
	}
	add_any(b, TYPE_PREFIX "PreconditionFailure", &value);
	for (size_t i = 0; i < d->n_quotas; i++) {
		const struct rpc_quota *v = &d->quotas[i];
		add_texts(&value, (const char *const[]){v->subject, v->description}, 2);
	}
	add_any(b, TYPE_PREFIX "QuotaFailure", &value);
	if (d->retry_ms)
		add_retry(b, d->retry_ms);
	for (size_t i = 0; i < d->n_others; i++) {
		add_text(&value, 1, d->others[i].type_url);
		add_bytes(&value, 2, d->others[i].value);
		add_bytes(b, 3, buf_str(&value));
		buf_finish(&value);
	}
}

void rpc_status_pack(struct buf *b, const struct status *st, const struct rpc_details *details)
{
	if (st->code != ST_OK)
		add_varint(b, 1, (uint64_t)st->code);
	add_text(b, 2, st->message);
	if (details)
		add_details(b, details);
}

/* ---- the other way ---- */

static size_t count_items(struct str value)
{
	struct pb_reader r = pb_reader(value);
	struct pb_field f;
	size_t n = 0;
	while (!pb_done(&r) && pb_read(&r, &f))
		n += f.number == 1 && f.wire == PB_LEN;
	return n;
}

/* Field i + 1 of the item into *texts[i]; what is no text becomes "". */
static bool read_texts(struct arena *a, struct str item, const char **const *texts, size_t n)
{
	struct pb_reader r = pb_reader(item);
	struct pb_field f;
	for (size_t i = 0; i < n; i++)
		*texts[i] = "";
	while (!pb_done(&r)) {
		if (!pb_read(&r, &f))
			return false;
		if (f.number <= n && f.wire == PB_LEN && str_is_utf8(f.bytes))
			*texts[f.number - 1] = str_dup(a, f.bytes);
	}
	return true;
}

/* The items (field 1) of a value one after the other. */
static bool next_item(struct pb_reader *r, struct str *ret_item)
{
	struct pb_field f;
	while (!pb_done(r) && pb_read(r, &f)) {
		if (f.number == 1 && f.wire == PB_LEN) {
			*ret_item = f.bytes;
			return true;
		}
	}
	return false;
}

static void read_violations(struct arena *a, struct str value, struct rpc_details *d)
{
	struct rpc_violation *v = arena_array(a, struct rpc_violation, count_items(value));
	struct pb_reader r = pb_reader(value);
	struct str item;
	size_t n = 0;
	for (; next_item(&r, &item); n++)
		(void)read_texts(
			a, item, (const char **const[]){&v[n].field, &v[n].description}, 2);
	d->violations = v;
	d->n_violations = n;
}

static void read_preconditions(struct arena *a, struct str value, struct rpc_details *d)
{
	struct rpc_precondition *v = arena_array(a, struct rpc_precondition, count_items(value));
	struct pb_reader r = pb_reader(value);
	struct str item;
	size_t n = 0;
	for (; next_item(&r, &item); n++)
		(void)read_texts(a, item,
			(const char **const[]){&v[n].type, &v[n].subject, &v[n].description}, 3);
	d->preconditions = v;
	d->n_preconditions = n;
}

static void read_quotas(struct arena *a, struct str value, struct rpc_details *d)
{
	struct rpc_quota *v = arena_array(a, struct rpc_quota, count_items(value));
	struct pb_reader r = pb_reader(value);
	struct str item;
	size_t n = 0;
	for (; next_item(&r, &item); n++)
		(void)read_texts(
			a, item, (const char **const[]){&v[n].subject, &v[n].description}, 2);
	d->quotas = v;
	d->n_quotas = n;
}

static void read_retry(struct str value, struct rpc_details *d)
{
	struct pb_reader r = pb_reader(value);
	struct pb_field f;
	struct str duration;
	if (!next_item(&r, &duration))
		return;
	r = pb_reader(duration);
	while (!pb_done(&r) && pb_read(&r, &f)) {
		if (f.wire == PB_VARINT && f.number == 1 && f.value < UINT32_MAX)
			d->retry_ms += f.value * 1000;
		else if (f.wire == PB_VARINT && f.number == 2 && f.value < 1000000000)
			d->retry_ms += f.value / 1000000;
	}
}

static bool read_any(struct arena *a, struct str any, struct rpc_details *d)
{
	struct pb_reader r = pb_reader(any);
	struct pb_field f;
	struct str type = {0}, value = {0};
	while (!pb_done(&r)) {
		if (!pb_read(&r, &f))
			return false;
		if (f.number == 1 && f.wire == PB_LEN)
			type = f.bytes;
		else if (f.number == 2 && f.wire == PB_LEN)
			value = f.bytes;
	}
	if (str_is(type, TYPE_PREFIX "BadRequest"))
		read_violations(a, value, d);
	else if (str_is(type, TYPE_PREFIX "PreconditionFailure"))
		read_preconditions(a, value, d);
	else if (str_is(type, TYPE_PREFIX "QuotaFailure"))
		read_quotas(a, value, d);
	else if (str_is(type, TYPE_PREFIX "RetryInfo"))
		read_retry(value, d);
	return true;
}

bool rpc_status_unpack(
	struct arena *a, struct str bytes, struct status *ret_st, struct rpc_details *ret_details)
{
	struct pb_reader r = pb_reader(bytes);
	struct pb_field f;
	struct rpc_details details = {0};
	uint64_t code = 0;
	struct str message = STR("");
	while (!pb_done(&r)) {
		if (!pb_read(&r, &f))
			return false;
		if (f.number == 1 && f.wire == PB_VARINT)
			code = f.value;
		else if (f.number == 2 && f.wire == PB_LEN)
			message = f.bytes;
		else if (f.number == 3 && (f.wire != PB_LEN || !read_any(a, f.bytes, &details)))
			return false;
	}
	if (code == 0)
		*ret_st = status_ok();
	else
		*ret_st = status_err(code <= ST_CODE_MAX ? (enum st_code)code : ST_UNKNOWN, "%s",
			str_is_utf8(message) ? str_dup(a, message) : "the status is not text");
	*ret_details = details;
	return true;
}
