/* report: a failed call in people's words: the status, each detail on a line of its own, and
 * what to do about it. Pure. */
#pragma once
#include "base/status.h"

struct buf;
struct rpc_details;
struct settings;

/* details may be NULL. Texts are the server's: cleaned before they reach a terminal. */
void report_write(struct buf *b, const struct status *st, const struct rpc_details *details,
	const struct settings *settings);
