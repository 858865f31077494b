/* reply: the JSON of a call's reply, on its way from HTTP to the call. Private to docker/. A list of a
 * large Swarm is megabytes, and takes longer to parse than the loop may be held up: long ones are parsed
 * on the pool. Calls end in the order in which their replies came: what came behind a long one waits
 * for it, so that an old view of something never follows a newer one. */
#pragma once
#include "base/status.h"
#include "base/str.h"

struct docker_call;

#define REPLY_LONG ((size_t)256 * 1024)

/* The call's own part is over, with st; body: JSON to parse, borrowed, or "". Its op is finished,
 * now or when the reply has been parsed and those before it have ended. */
void reply_arrived(struct docker_call *c, const struct status *st, struct str body);
/* Frees what a call's reply was. A long one is a million small pieces: on the pool. (Whoever kept a
 * part of it holds a reference; jansson counts them atomically.) */
void reply_release(struct docker_call *c);
/* The call was cut short: its reply is of no use. No reply on its way: nothing happens. */
void reply_drop(struct docker_call *c);
