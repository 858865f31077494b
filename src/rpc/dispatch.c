#include "rpc/dispatch.h"
#include <ctype.h>
#include "net/transport.h"
#include "rpc/auth.h"
#include "rpc/call_impl.h"
#include "rpc/conn.h"
#include "rpc/server_impl.h"

#define TOKEN_MAX 512

const struct rpc_method *dispatch_find(const struct rpc_server *s, struct str path)
{
	size_t low = 0, high = s->o.n_methods;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int cmp = str_cmp(str_of(s->o.methods[mid].path), path);
		if (cmp == 0)
			return &s->o.methods[mid];
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static const char *role_name(enum rpc_role role)
{
	switch (role) {
	case RPC_ROLE_NONE:
		return "nobody";
	case RPC_ROLE_VIEWER:
		return "viewer";
	case RPC_ROLE_DEPLOYER:
		return "deployer";
	case RPC_ROLE_OWNER:
		return "owner";
	case RPC_ROLE_ADMIN:
		return "admin";
	}
	return "?";
}

/* "Bearer <token>"; the token is printable ASCII. */
static bool read_bearer(const char *value, struct str *ret_token)
{
	static const char scheme[] = "bearer ";
	size_t n = 0;
	for (; scheme[n]; n++)
		if (tolower((unsigned char)value[n]) != scheme[n])
			return false;
	struct str token = str_trim(str_of(value + n));
	if (token.len == 0 || token.len > TOKEN_MAX)
		return false;
	for (size_t i = 0; i < token.len; i++)
		if (token.ptr[i] <= ' ' || token.ptr[i] > '~')
			return false;
	*ret_token = token;
	return true;
}

static void unauthenticated(struct rpc_call *call, const char *what)
{
	struct status st = status_err(ST_UNAUTHENTICATED,
		"%s: send the metadata \"authorization: Bearer <token>\" with each call", what);
	call_abort(call, &st, NULL);
}

/* Whoever listened on the way has it: it is not even looked up, so that nobody gets used to it. */
static void came_in_clear(struct rpc_call *call)
{
	struct status st = status_err(ST_UNAUTHENTICATED,
		"a token came in clear over the network, and is not taken: connect with tls:// or https://, and make a "
		"new token (the daemon's option clear_tokens allows it where the network is trusted)");
	call_abort(call, &st, NULL);
}

static void authenticate(struct rpc_call *call)
{
	const char *value = rpc_call_metadata(call, "authorization");
	struct str token;
	if (call->method->anonymous || (!value && call->conn->trusted.role != RPC_ROLE_NONE)) {
		call->caller = call->conn->trusted;
		dispatch_authorised(call);
	} else if (!value && call->conn->certificate[0] && call->server->o.identify) {
		if (auth_ask(call, str_of(call->conn->certificate)) == AUTH_KNOWN)
			dispatch_authorised(call);
	} else if (!value) {
		unauthenticated(call, "this method needs a token");
	} else if (!call->server->o.clear_tokens && !transport_is_private(call->conn->transport)) {
		came_in_clear(call);
	} else if (!read_bearer(value, &token)) {
		unauthenticated(call, "the authorization is malformed");
	} else if (auth_ask(call, token) == AUTH_KNOWN) {
		dispatch_authorised(call);
	}
}

bool dispatch_may(const struct rpc_call *call, struct status *ret_st)
{
	const struct rpc_method *m = call->method;
	if (m->anonymous || (call->caller.role >= m->role && call->caller.role != RPC_ROLE_NONE))
		return true;
	*ret_st = status_err(ST_PERMISSION_DENIED,
		"%s needs the role %s; %s has the role %s", m->path, role_name(m->role),
		call->caller.name, role_name(call->caller.role));
	return false;
}

void dispatch_authorised(struct rpc_call *call)
{
	struct status st;
	if (dispatch_may(call, &st)) {
		call_allowed(call);
		return;
	}
	call->state = CALL_READY; /* the hook has answered: nobody has it */
	call_abort(call, &st, NULL);
}

/* True: refused, and *ret_st says why. */
static bool is_refused(const struct rpc_call *call, struct status *ret_st)
{
	struct rpc_server *s = call->server;
	if (call->conn->refusing) {
		*ret_st = status_err(
			ST_UNAVAILABLE, "this connection takes no more calls; open another one");
	} else if (call->conn->n_unfinished > s->o.limits.max_streams) {
		server_limit(s, RPC_LIMIT_STREAMS);
		*ret_st = status_err(ST_RESOURCE_EXHAUSTED,
			"%u calls are open on this connection, which is its limit",
			s->o.limits.max_streams);
	} else if (s->counters.open_calls > s->o.limits.max_calls) {
		server_limit(s, RPC_LIMIT_CALLS);
		*ret_st = status_err(
			ST_RESOURCE_EXHAUSTED, "too many calls are open; try again later");
	} else {
		return false;
	}
	return true;
}

void dispatch_open(struct rpc_call *call, const struct rpc_method *m, struct str path, bool has_payload,
	struct str payload, bool end)
{
	struct status st;
	if (is_refused(call, &st)) {
		call_abort(call, &st, NULL);
		return;
	}
	call->method = m;
	if (!call->method) {
		st = status_err(
			ST_UNIMPLEMENTED, "there is no method \"" STR_FMT "\"", STR_ARG(path));
		call_abort(call, &st, NULL);
		return;
	}
	call_enter(call);
	authenticate(call);
	call_receive(call, has_payload, payload, end);
	call_arm(call);
	call_leave(call);
}
