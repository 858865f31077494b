/* connect: calls to skepd that are waited for. Ctrl-C is looked for while waiting: it ends
 * the wait, not the program. A daemon that had answered and is gone is tried again with
 * back-off: it restarts, and every request that changes something is safe to send twice. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include "cli/cli.h"
#include "rpc/method.h"

struct cli_call {
	const char *method; /* "/skep.v1.Jobs/Get" */
	const struct rpc_message *reply;
	const ProtobufCMessage *request; /* NULL: google.protobuf.Empty */
	bool resend;                     /* it carries a request id: send it again when the connection was lost */
	uint64_t timeout_ms;             /* 0 = 30 s */
};
/* CLI_DONE and a reply in the arena; else what went wrong has been said. */
int cli_call(struct cli *c, const struct cli_call *call, ProtobufCMessage **ret_reply);
/* Says nothing: for completion, and for who wants to say it himself. */
struct status cli_call_quietly(struct cli *c, const struct cli_call *call, ProtobufCMessage **ret_reply);

enum cli_end {
	END_DONE,        /* finished() said so */
	END_CLOSED,      /* the server ended the stream, OK */
	END_FAILED,      /* *ret_st; said already */
	END_INTERRUPTED, /* Ctrl-C */
	END_TIMEOUT,
};
struct cli_stream {
	const char *method;
	const struct rpc_message *reply;
	const ProtobufCMessage *request; /* packed at each try: may be changed by on_message */
	uint64_t timeout_ms;             /* of all tries together; 0 = none */
	bool open_end;                   /* a stream that the server ends is not a failure: END_CLOSED */
	void (*on_message)(void *data, const ProtobufCMessage *message);
	bool (*finished)(void *data); /* asked after each turn; may be NULL */
	void (*turn)(void *data, const char *trouble); /* after each turn, ≤ 100 ms apart: draws; trouble: why it waits, or NULL */
	void *data;
};
enum cli_end cli_stream(struct cli *c, const struct cli_stream *s);

void cli_disconnect(struct cli *c);
