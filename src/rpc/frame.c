#include "rpc/frame.h"
#include "rpc/pb.h"

bool frame_header(const char *bytes, size_t *ret_len)
{
	const uint8_t *p = (const uint8_t *)bytes;
	*ret_len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	return p[0] == 0;
}

uint64_t frame_peek_call(struct str bytes)
{
	struct pb_reader r = pb_reader(bytes);
	uint64_t tag, call;
	if (!pb_read_varint(&r, &tag) || tag != (1u << 3 | PB_VARINT) || !pb_read_varint(&r, &call))
		return 0;
	return call;
}

/* ---- reading ---- */

/* A map's entry: key = 1, value = 2, either may be absent. */
static bool read_entry(struct str bytes, struct str *ret_name, struct str *ret_value)
{
	struct pb_reader r = pb_reader(bytes);
	struct pb_field f;
	*ret_name = *ret_value = STR("");
	while (!pb_done(&r)) {
		if (!pb_read(&r, &f))
			return false;
		if (f.number <= 2 && f.wire != PB_LEN)
			return false;
		if (f.number == 1)
			*ret_name = f.bytes;
		else if (f.number == 2)
			*ret_value = f.bytes;
	}
	return true;
}

static bool is_text(struct str s)
{
	return str_is_utf8(s) && (s.len == 0 || !memchr(s.ptr, 0, s.len));
}

static bool add_metadata(struct frame *ret_frame, struct str entry)
{
	struct str name, value;
	if (!read_entry(entry, &name, &value) || !is_text(name) || !is_text(value))
		return false;
	ret_frame->n_metadata++;
	ret_frame->metadata_len += name.len + value.len;
	return true;
}

static void set_payload(struct frame *f, struct str bytes)
{
	f->has_payload = true;
	f->payload = bytes;
}

static uint32_t clamp_u32(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static const char *read_open(struct frame *f, const struct pb_field *p)
{
	static const uint8_t wires[] = {0, PB_LEN, PB_VARINT, PB_LEN, PB_LEN, PB_VARINT, PB_VARINT};
	if (p->number >= sizeof(wires))
		return NULL; /* of a later version */
	if (p->wire != wires[p->number])
		return "a field of open has the wrong wire type";
	switch (p->number) {
	case 1:
		f->method = p->bytes;
		return is_text(p->bytes) ? NULL : "open.method is not text";
	case 2:
		f->timeout_ms = clamp_u32(p->value);
		return NULL;
	case 3:
		return add_metadata(f, p->bytes) ? NULL : "open.metadata is not text";
	case 4:
		set_payload(f, p->bytes);
		return NULL;
	case 5:
		f->end = p->value != 0;
		return NULL;
	case 6:
		f->credit = clamp_u32(p->value);
		return NULL;
	}
	return NULL;
}

static const char *read_data(struct frame *f, const struct pb_field *p)
{
	if (p->number == 1) {
		set_payload(f, p->bytes);
		return p->wire == PB_LEN ? NULL : "data.payload has the wrong wire type";
	}
	if (p->number == 2) {
		f->end = p->value != 0;
		return p->wire == PB_VARINT ? NULL : "data.end has the wrong wire type";
	}
	return NULL;
}

static const char *read_credit(struct frame *f, const struct pb_field *p)
{
	if (p->number != 1)
		return NULL;
	f->credit = clamp_u32(p->value);
	return p->wire == PB_VARINT ? NULL : "credit.bytes has the wrong wire type";
}

static const char *read_finish(struct frame *f, const struct pb_field *p)
{
	if (p->number > 3)
		return NULL;
	if (p->wire != PB_LEN)
		return "a field of finish has the wrong wire type";
	if (p->number == 1) {
		f->has_status = true;
		f->status = p->bytes;
	} else if (p->number == 2) {
		set_payload(f, p->bytes);
	} else if (!add_metadata(f, p->bytes)) {
		return "finish.metadata is not text";
	}
	return NULL;
}

static const char *read_ping(struct frame *f, const struct pb_field *p)
{
	if (p->number == 1) {
		f->number = p->value;
		return p->wire == PB_64BIT ? NULL : "ping.number has the wrong wire type";
	}
	if (p->number == 2) {
		f->ack = p->value != 0;
		return p->wire == PB_VARINT ? NULL : "ping.ack has the wrong wire type";
	}
	return NULL;
}

static const char *read_goaway(struct frame *f, const struct pb_field *p)
{
	if (p->number == 1) {
		f->number = p->value;
		return p->wire == PB_VARINT ? NULL : "goaway.last_call has the wrong wire type";
	}
	if (p->number == 2) {
		f->has_status = true;
		f->status = p->bytes;
		return p->wire == PB_LEN ? NULL : "goaway.status has the wrong wire type";
	}
	return NULL;
}

static const char *read_nothing(struct frame *f, const struct pb_field *p)
{
	(void)f;
	(void)p;
	return NULL;
}

static const char *read_kind(struct frame *f, const struct pb_field *kind)
{
	static const char *(*const readers[])(struct frame *, const struct pb_field *) = {
		[FRAME_OPEN] = read_open,
		[FRAME_DATA] = read_data,
		[FRAME_CREDIT] = read_credit,
		[FRAME_CANCEL] = read_nothing,
		[FRAME_FINISH] = read_finish,
		[FRAME_PING] = read_ping,
		[FRAME_GOAWAY] = read_goaway,
	};
	struct pb_reader r = pb_reader(kind->bytes);
	struct pb_field p;
	const char *wrong = NULL;
	f->kind = (enum frame_kind)kind->number;
	f->body = kind->bytes;
	while (!wrong && !pb_done(&r))
		wrong = pb_read(&r, &p) ? readers[f->kind](f, &p) : "cut off or not protobuf";
	return wrong;
}

const char *frame_parse(struct str bytes, struct frame *ret_frame)
{
	struct pb_reader r = pb_reader(bytes);
	struct pb_field p;
	const char *wrong = NULL;
	*ret_frame = (struct frame){0};
	while (!pb_done(&r)) {
		if (!pb_read(&r, &p))
			return "cut off or not protobuf";
		if (p.number == 1) {
			if (p.wire != PB_VARINT)
				return "call has the wrong wire type";
			ret_frame->call = p.value;
			continue;
		}
		if (p.number < FRAME_OPEN || p.number > FRAME_GOAWAY)
			continue;
		if (p.wire != PB_LEN)
			return "its kind has the wrong wire type";
		if (ret_frame->kind)
			return "more than one kind";
		wrong = read_kind(ret_frame, &p);
		if (wrong)
			return wrong;
	}
	if (!ret_frame->kind)
		return "no known kind";
	bool of_connection = ret_frame->kind == FRAME_PING || ret_frame->kind == FRAME_GOAWAY;
	if ((ret_frame->call == 0) == of_connection)
		return NULL;
	return of_connection ? "ping and goaway belong to call 0" : "a call's number starts at 1";
}

bool frame_metadata_next(
	const struct frame *f, size_t *pos, struct str *ret_name, struct str *ret_value)
{
	struct pb_reader r = pb_reader(str_make(f->body.ptr + *pos, f->body.len - *pos));
	struct pb_field p;
	while (!pb_done(&r) && pb_read(&r, &p)) {
		if (p.number != 3)
			continue;
		*pos = (size_t)((const char *)r.at - f->body.ptr);
		return read_entry(p.bytes, ret_name, ret_value);
	}
	return false;
}

/* ---- writing ---- */

/* Header, call and the kind's tag; the kind's `len` bytes are the caller's to write. */
static uint8_t *begin(struct buf *b, uint64_t call, enum frame_kind kind, size_t len)
{
	size_t body = (call ? 1 + pb_varint_len(call) : 0) + 1 + pb_varint_len(len) + len;
	buf_reserve(b, FRAME_HEADER + body);
	uint8_t *p = (uint8_t *)b->ptr + b->len;
	b->len += FRAME_HEADER + body;
	*p++ = 0;
	*p++ = (uint8_t)(body >> 24);
	*p++ = (uint8_t)(body >> 16);
	*p++ = (uint8_t)(body >> 8);
	*p++ = (uint8_t)body;
	if (call)
		p = pb_put_varint(pb_put_tag(p, 1, PB_VARINT), call);
	return pb_put_head(p, (uint32_t)kind, len);
}

static size_t entry_len(struct str name, struct str value)
{
	return pb_bytes_len(name.len) + pb_bytes_len(value.len);
}

static size_t open_len(const struct frame_open *o)
{
	size_t len = pb_bytes_len(o->method.len);
	if (o->timeout_ms)
		len += 1 + pb_varint_len(o->timeout_ms);
	for (size_t i = 0; i < o->n_metadata; i++)
		len += pb_bytes_len(entry_len(o->metadata[2 * i], o->metadata[2 * i + 1]));
	if (o->credit)
		len += 1 + pb_varint_len(o->credit);
	if (o->end)
		len += 2;
	return o->has_payload ? len + pb_bytes_len(o->payload_len) : len;
}

uint8_t *frame_open_begin(struct buf *b, uint64_t call, const struct frame_open *o)
{
	uint8_t *p = begin(b, call, FRAME_OPEN, open_len(o));
	p = pb_put_bytes(p, 1, o->method);
	if (o->timeout_ms)
		p = pb_put_varint(pb_put_tag(p, 2, PB_VARINT), o->timeout_ms);
	for (size_t i = 0; i < o->n_metadata; i++) {
		struct str name = o->metadata[2 * i], value = o->metadata[2 * i + 1];
		p = pb_put_head(p, 3, entry_len(name, value));
		p = pb_put_bytes(pb_put_bytes(p, 1, name), 2, value);
	}
	if (o->end)
		p = pb_put_varint(pb_put_tag(p, 5, PB_VARINT), 1);
	if (o->credit)
		p = pb_put_varint(pb_put_tag(p, 6, PB_VARINT), o->credit);
	return o->has_payload ? pb_put_head(p, 4, o->payload_len) : p;
}

uint8_t *frame_data_begin(struct buf *b, uint64_t call, size_t len)
{
	return pb_put_head(begin(b, call, FRAME_DATA, pb_bytes_len(len)), 1, len);
}

uint8_t *frame_finish_begin(struct buf *b, uint64_t call, size_t len)
{
	return pb_put_head(begin(b, call, FRAME_FINISH, pb_bytes_len(len)), 2, len);
}

void frame_put_end(struct buf *b, uint64_t call)
{
	pb_put_varint(pb_put_tag(begin(b, call, FRAME_DATA, 2), 2, PB_VARINT), 1);
}

void frame_put_credit(struct buf *b, uint64_t call, uint32_t bytes)
{
	uint8_t *p = begin(b, call, FRAME_CREDIT, 1 + pb_varint_len(bytes));
	pb_put_varint(pb_put_tag(p, 1, PB_VARINT), bytes);
}

void frame_put_cancel(struct buf *b, uint64_t call)
{
	begin(b, call, FRAME_CANCEL, 0);
}

void frame_put_finish(struct buf *b, uint64_t call, struct str status)
{
	uint8_t *p = begin(b, call, FRAME_FINISH, status.len ? pb_bytes_len(status.len) : 0);
	if (status.len)
		pb_put_bytes(p, 1, status);
}

void frame_put_ping(struct buf *b, uint64_t number, bool ack)
{
	uint8_t *p = pb_put_tag(begin(b, 0, FRAME_PING, ack ? 11 : 9), 1, PB_64BIT);
	for (unsigned i = 0; i < 8; i++)
		*p++ = (uint8_t)(number >> (8 * i));
	if (ack)
		pb_put_varint(pb_put_tag(p, 2, PB_VARINT), 1);
}

void frame_put_goaway(struct buf *b, uint64_t last_call, struct str status)
{
	size_t len = 1 + pb_varint_len(last_call) + (status.len ? pb_bytes_len(status.len) : 0);
	uint8_t *p = begin(b, 0, FRAME_GOAWAY, len);
	p = pb_put_varint(pb_put_tag(p, 1, PB_VARINT), last_call);
	if (status.len)
		pb_put_bytes(p, 2, status);
}
