#include "skep.h"
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <skep/wire/v1/wire.pb-c.h>

#define UNAVAILABLE 14
#define MAX_FRAME   ((size_t)16 * 1024 * 1024)

typedef Skep__Wire__V1__Frame frame;

/* ---- the connection ---- */

static int connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int connect_tcp(const char *address)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	char host[256];
	const char *colon = strrchr(address, ':');
	int fd = -1;
	errno = EINVAL;
	if (!colon || (size_t)(colon - address) >= sizeof(host))
		return -1;
	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return -1;
	for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	return fd;
}

int skep_connect(struct skep *s, const char *address, const char *token)
{
	static const char scheme[] = "unix://";
	int is_unix = strncmp(address, scheme, sizeof(scheme) - 1) == 0;
	*s = (struct skep){.token = token};
	s->fd = is_unix ? connect_unix(address + sizeof(scheme) - 1) : connect_tcp(address);
	return s->fd >= 0;
}

void skep_close(struct skep *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* ---- frames: a flags byte (0), four bytes of length, a Frame ---- */

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return 0;
		p += sent;
		n -= (size_t)sent;
	}
	return 1;
}

static int read_all(int fd, uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t got = recv(fd, p, n, 0);
		if (got <= 0)
			return 0;
		p += got;
		n -= (size_t)got;
	}
	return 1;
}

static int send_frame(struct skep *s, const frame *f)
{
	size_t len = skep__wire__v1__frame__get_packed_size(f);
	uint8_t *bytes = malloc(len + 5);
	if (!bytes)
		return 0;
	bytes[0] = 0;
	for (int i = 0; i < 4; i++)
		bytes[1 + i] = (uint8_t)(len >> (24 - 8 * i));
	skep__wire__v1__frame__pack(f, bytes + 5);
	int fine = write_all(s->fd, bytes, len + 5);
	free(bytes);
	return fine;
}

static frame *read_frame(struct skep *s)
{
	uint8_t head[5];
	if (!read_all(s->fd, head, sizeof(head)) || head[0] != 0)
		return NULL;
	size_t len = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
	uint8_t *bytes = len <= MAX_FRAME ? malloc(len + 1) : NULL;
	frame *f = bytes && read_all(s->fd, bytes, len) ? skep__wire__v1__frame__unpack(NULL, len, bytes) : NULL;
	free(bytes);
	return f;
}

static int send_open(struct skep *s, const char *method, const ProtobufCMessage *request)
{
	Skep__Wire__V1__Open open = SKEP__WIRE__V1__OPEN__INIT;
	Skep__Wire__V1__Open__MetadataEntry entry = SKEP__WIRE__V1__OPEN__METADATA_ENTRY__INIT, *entries[] = {&entry};
	frame f = SKEP__WIRE__V1__FRAME__INIT;
	char bearer[600];
	size_t len = protobuf_c_message_get_packed_size(request);
	uint8_t *payload = malloc(len + 1);
	if (!payload)
		return 0;
	protobuf_c_message_pack(request, payload);
	open.method = (char *)method;
	open.end = 1;
	open._payload_case = SKEP__WIRE__V1__OPEN___PAYLOAD_PAYLOAD;
	open.payload = (ProtobufCBinaryData){len, payload};
	if (s->token) {
		(void)snprintf(bearer, sizeof(bearer), "Bearer %s", s->token);
		entry.key = (char *)"authorization";
		entry.value = bearer;
		open.metadata = entries;
		open.n_metadata = 1;
	}
	f.call = ++s->last;
	f.kind_case = SKEP__WIRE__V1__FRAME__KIND_OPEN;
	f.open = &open;
	int fine = send_frame(s, &f);
	free(payload);
	return fine;
}

/* The server may send as much again as was taken: 16 bytes more than the message. */
static int give_credit(struct skep *s, size_t len)
{
	Skep__Wire__V1__Credit credit = SKEP__WIRE__V1__CREDIT__INIT;
	frame f = SKEP__WIRE__V1__FRAME__INIT;
	credit.bytes = (uint32_t)len + 16;
	f.call = s->last;
	f.kind_case = SKEP__WIRE__V1__FRAME__KIND_CREDIT;
	f.credit = &credit;
	return send_frame(s, &f);
}

static int answer_ping(struct skep *s, frame *f)
{
	if (f->ping->ack)
		return 1;
	f->ping->ack = 1;
	return send_frame(s, f);
}

/* ---- the call ---- */

struct waiting {
	const ProtobufCMessageDescriptor *reply;
	void (*on_reply)(void *data, const ProtobufCMessage *message);
	void *data;
};

static int take_reply(const struct waiting *w, ProtobufCBinaryData bytes)
{
	ProtobufCMessage *m = protobuf_c_message_unpack(w->reply, NULL, bytes.len, bytes.data);
	if (!m)
		return 0;
	if (w->on_reply)
		w->on_reply(w->data, m);
	protobuf_c_message_free_unpacked(m, NULL);
	return 1;
}

static Google__Rpc__Status *lost(struct skep *s)
{
	Google__Rpc__Status *st = malloc(sizeof(*st));
	if (!st)
		abort();
	google__rpc__status__init(st);
	st->code = UNAVAILABLE;
	st->message = strdup("the connection was lost");
	skep_close(s);
	return st;
}

/* False: go on. True: *ret_status is what the call ended with. */
static int take_frame(struct skep *s, const struct waiting *w, frame *f, Google__Rpc__Status **ret_status)
{
	int fine = 1;
	if (f->kind_case == SKEP__WIRE__V1__FRAME__KIND_PING) {
		fine = answer_ping(s, f);
	} else if (f->call == s->last && f->kind_case == SKEP__WIRE__V1__FRAME__KIND_DATA &&
		   f->data->_payload_case == SKEP__WIRE__V1__DATA___PAYLOAD_PAYLOAD) {
		fine = take_reply(w, f->data->payload) && give_credit(s, f->data->payload.len);
	} else if (f->call == s->last && f->kind_case == SKEP__WIRE__V1__FRAME__KIND_FINISH) {
		if (f->finish->_payload_case == SKEP__WIRE__V1__FINISH___PAYLOAD_PAYLOAD)
			fine = take_reply(w, f->finish->payload);
		*ret_status = f->finish->status;
		f->finish->status = NULL; /* the caller's now */
		if (fine)
			return 1;
	}
	if (fine)
		return 0;
	*ret_status = lost(s);
	return 1;
}

Google__Rpc__Status *skep_call(struct skep *s, const char *method, const ProtobufCMessage *request,
	const ProtobufCMessageDescriptor *reply, void (*on_reply)(void *data, const ProtobufCMessage *message), void *data)
{
	const struct waiting w = {reply, on_reply, data};
	Google__Rpc__Status *st = NULL;
	int done = 0;
	if (s->fd < 0 || !send_open(s, method, request))
		return lost(s);
	while (!done) {
		frame *f = read_frame(s);
		if (!f)
			return lost(s);
		done = take_frame(s, &w, f, &st);
		skep__wire__v1__frame__free_unpacked(f, NULL);
	}
	return st;
}
