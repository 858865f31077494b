/* fuzz_http: bytes of a peer against the whole server by HTTP. The first byte chooses: 0: as they
 * are (HTTP/1.1, mostly); 1: as HTTP/2's frames behind the preface, each record [length, type,
 * flags, stream, payload …], so that most inputs get behind the framing; 2: as the body of a gRPC,
 * Connect or gRPC-Web call, which the second byte chooses; 3: as path and query of a REST request;
 * 4: as its body; the second byte chooses the verb and headers. */
#include "fuzz_server.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static void put_frame(struct buf *b, unsigned type, unsigned flags, unsigned stream,
	const uint8_t *payload, size_t len)
{
	const uint8_t head[] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
		(uint8_t)type, (uint8_t)flags, 0, 0, 0, (uint8_t)stream};
	buf_add(b, head, sizeof(head));
	buf_add(b, payload, len);
}

static void http2(struct buf *b, const uint8_t *data, size_t size)
{
	buf_adds(b, PREFACE);
	put_frame(b, 4, 0, 0, NULL, 0);
	while (size >= 4) {
		size_t len = data[0] < size - 4 ? data[0] : size - 4;
		put_frame(b, data[1], data[2], data[3], data + 4, len);
		data += 4 + len;
		size -= 4 + len;
	}
}

static void call(struct buf *b, uint8_t choice, const uint8_t *data, size_t size)
{
	static const char *const types[] = {"application/json", "application/proto",
		"application/connect+json", "application/connect+proto", "application/grpc-web",
		"application/grpc-web-text", "application/grpc-web+json", "text/plain"};
	static const char *const paths[] = {"/b", "/d", "/e", "/s"};
	buf_fmt(b,
		"POST %s HTTP/1.1\r\nhost: f\r\nauthorization: Bearer %s\r\ncontent-type: "
		"%s\r\n%s%s",
		paths[choice >> 3 & 3], choice & 0x20 ? "aaaa" : "aa", types[choice & 7],
		choice & 0x40 ? "content-encoding: gzip\r\nconnect-content-encoding: "
				"gzip\r\ngrpc-encoding: gzip\r\n"
			      : "",
		choice & 0x80 ? "accept-encoding: gzip\r\nconnect-accept-encoding: gzip\r\n" : "");
	buf_fmt(b, "content-length: %zu\r\n\r\n", size);
	buf_add(b, data, size);
}

/* What would end the request line is left out. */
static void put_target(struct buf *b, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] > ' ' && data[i] < 0x7f)
			buf_addc(b, (char)data[i]);
}

static void rest(struct buf *b, uint8_t choice, const uint8_t *data, size_t size, bool is_body)
{
	static const char *const verbs[] = {"GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"};
	static const char *const paths[] = {
		"/v1/things/x", "/v1/things/x:part", "/v1/plain", "/v1/things/x:fail"};
	if (is_body)
		buf_fmt(b, "%s %s", choice & 1 ? "PUT" : "POST", paths[choice >> 1 & 3]);
	else
		buf_fmt(b, "%s /v1/things", verbs[(choice & 7) % 6]);
	if (!is_body)
		put_target(b, data, size);
	buf_fmt(b,
		" HTTP/1.1\r\nhost: f\r\nauthorization: Bearer aaaa\r\ncontent-type: application/json\r\n%s%s%s",
		choice & 0x20 ? "accept: text/event-stream\r\nlast-event-id: 7\r\n" : "",
		choice & 0x40 ? "if-match: \"1\"\r\nif-none-match: \"1\"\r\nidempotency-key: k\r\n" : "",
		choice & 0x80 ? "origin: https://f\r\ncontent-encoding: gzip\r\n" : "");
	buf_fmt(b, "content-length: %zu\r\n\r\n", is_body ? size : 0);
	if (is_body)
		buf_add(b, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b = {0};
	if (size < 3 || size > 16384)
		return 0;
	if (data[0] % 5 == 1)
		http2(&b, data + 1, size - 1);
	else if (data[0] % 5 == 2)
		call(&b, data[1], data + 2, size - 2);
	else if (data[0] % 5 > 2)
		rest(&b, data[1], data + 2, size - 2, data[0] % 5 == 4);
	else
		buf_add(&b, data + 1, size - 1);
	serve(&b);
	return 0;
}
