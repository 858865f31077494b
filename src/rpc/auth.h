/* auth: who holds a token, asked once and remembered for a while, by token and for the whole
 * server. Calls that bring a token that is being asked about wait for the same answer. While a stream
 * that was let in by a token is open, the token is asked about again and again: the stream ends soon
 * after it was revoked or has expired. */
#pragma once
#include "base/str.h"

struct rpc_call;
struct rpc_server;

/* Before the id of the token for which a client certificate stands; no bearer token has a space. */
#define AUTH_CERTIFICATE "certificate "

enum auth_answer { AUTH_KNOWN, AUTH_ASKED, AUTH_REFUSED };
/* KNOWN: call->caller is set. ASKED: state is CALL_AUTH, and dispatch_authorised or call_abort
 * follows (possibly before this returns). REFUSED: the call was aborted. `bearer` lives in the
 * call's arena. */
enum auth_answer auth_ask(struct rpc_call *call, struct str bearer);
/* No timer fires from now on. */
void auth_stop(struct rpc_server *s);
void auth_finish(struct rpc_server *s);
