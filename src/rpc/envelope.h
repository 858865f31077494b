/* envelope: messages in a body as gRPC, gRPC-Web and Connect's streams frame them: a byte of
 * flags, a length of four bytes, the message. Shared by those protocols; the flags' meaning and the
 * way an error is told are theirs. */
#pragma once
#include <stdbool.h>
#include "base/str.h"

struct ProtobufCMessage;
struct http_exchange;
struct rpc_codec;
struct rpc_message;

#define ENVELOPE_HEADER     ((size_t)5)
#define ENVELOPE_COMPRESSED 0x01u

struct envelope_state { /* of one exchange */
	bool gzip_in;   /* the request's messages may be compressed */
	bool gzip_out;  /* the client takes compressed ones */
};

/* Brings the whole messages of x->in to the call; at the end of the body (ended) that end too. For
 * methods that take one message it waits for the end, and refuses none and a second. Violations
 * abort the call. */
void envelope_receive(struct http_exchange *x, const struct envelope_state *s, bool ended);
/* Appends one message to the response. */
void envelope_put(struct buf *b, const struct envelope_state *s, const struct rpc_codec *codec,
	const struct rpc_message *type, const struct ProtobufCMessage *message);
void envelope_put_raw(struct buf *b, unsigned flags, struct str payload);

/* The value of an encoding header: 0 = none (identity), 1 = gzip, -1 = another. */
int envelope_encoding(struct str name);
/* Whether a list of encodings ("identity, gzip;q=1") has gzip. */
bool envelope_accepts_gzip(struct str list);
