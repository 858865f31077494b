#include "rpc/h2_scan.h"
#include <string.h>

enum {
	T_DATA,
	T_HEADERS,
	T_PRIORITY,
	T_RST_STREAM,
	T_SETTINGS,
	T_PUSH_PROMISE,
	T_PING,
	T_GOAWAY,
	T_WINDOW_UPDATE,
	T_CONTINUATION
};
#define FLAG_ACK         0x01u
#define FLAG_END_STREAM  0x01u
#define FLAG_END_HEADERS 0x04u
#define STRIKES_MAX      2

static bool pour(struct rate *r, unsigned per_s, uint64_t now_ms)
{
	return rate_take(r, per_s, H2_BURST * per_s, now_ms, NULL);
}

static enum h2_breach on_ping(struct h2_scan *s, const struct h2_rates *r, uint64_t now_ms)
{
	if (s->last_ping_ms && now_ms - s->last_ping_ms < r->ping_interval_ms)
		s->strikes++;
	s->last_ping_ms = now_ms ? now_ms : 1;
	return s->strikes > STRIKES_MAX ? H2_TOO_MANY_PINGS : H2_FINE;
}

static enum h2_breach on_head(struct h2_scan *s, const struct h2_rates *r, uint64_t now_ms)
{
	unsigned type = s->head[3], flags = s->head[4];
	bool is_control = false;
	switch (type) {
	case T_HEADERS:
	case T_CONTINUATION:
		s->in_block = !(flags & FLAG_END_HEADERS);
		return H2_FINE;
	case T_WINDOW_UPDATE:
		return H2_FINE;
	case T_DATA:
		is_control = s->length == 0 && !(flags & FLAG_END_STREAM);
		break;
	case T_RST_STREAM:
		return pour(&s->resets, r->resets_per_s, now_ms) ? H2_FINE : H2_TOO_MANY_RESETS;
	case T_PING:
		if (!(flags & FLAG_ACK) && on_ping(s, r, now_ms) != H2_FINE)
			return H2_TOO_MANY_PINGS;
		is_control = true;
		break;
	default:
		is_control = true;
		break;
	}
	return !is_control || pour(&s->controls, r->controls_per_s, now_ms) ? H2_FINE
									    : H2_TOO_MANY_CONTROLS;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

enum h2_breach h2_scan(struct h2_scan *s, const struct h2_rates *r, uint64_t now_ms,
	const char *bytes, size_t len, bool *ret_whole)
{
	size_t pos = least(H2_PREFACE - s->preface, len);
	*ret_whole = false;
	s->preface += pos;
	while (pos < len) {
		if (s->n_head < H2_HEAD) {
			size_t some = least(H2_HEAD - s->n_head, len - pos);
			memcpy(s->head + s->n_head, bytes + pos, some);
			s->n_head += some;
			pos += some;
			if (s->n_head < H2_HEAD)
				break;
			s->left = s->length =
				(size_t)s->head[0] << 16 | (size_t)s->head[1] << 8 | s->head[2];
			enum h2_breach breach = on_head(s, r, now_ms);
			if (breach != H2_FINE)
				return breach;
		}
		size_t some = least(s->left, len - pos);
		s->left -= some;
		pos += some;
		if (s->left > 0)
			break;
		s->n_head = 0;
		*ret_whole = !s->in_block;
	}
	return H2_FINE;
}

size_t h2_scan_partial(const struct h2_scan *s)
{
	if (s->n_head == H2_HEAD)
		return H2_HEAD + s->length;
	return s->n_head > 0 || s->in_block || s->preface < H2_PREFACE ? H2_HEAD : 0;
}

void h2_scan_sent(struct h2_scan *s)
{
	s->last_ping_ms = 0;
	s->strikes = 0;
}
