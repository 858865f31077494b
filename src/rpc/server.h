/* server: listens, accepts, tells the protocol by the first bytes, and brings calls to
 * the handlers of a method table. Made by src/app (and by tests and benchmarks, with
 * tables of their own). Owns its listeners, connections and calls. Logs closed
 * connections with the reason, and internal failures of calls; nothing for a call that works. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/status.h"
#include "base/str.h"
#include "rpc/call.h"
#include "rpc/method.h"

struct clock;
struct loop;
struct rpc_page;
struct rpc_routes;
struct rpc_server;
struct rpc_token;
struct tls_files;

/* A client certificate whose names hold this URI, with a token's id behind it, has that token's rights. */
#define RPC_CERTIFICATE_URI "urn:skep:token:"

/* What a peer may use. A zero takes the default. */
struct rpc_limits {
	size_t max_message;       /* bytes of one message: 4 MiB */
	size_t max_metadata;      /* bytes of one call's metadata: 16 KiB */
	unsigned max_connections; /* 4096; one more makes room by closing the oldest that has said
				     nothing, or is refused; besides, a quarter more (and 16)
				     may linger while their last words go out */
	unsigned max_per_address; /* of them from one network address: as many as of all */
	unsigned max_streams;     /* calls open at once on a connection: 256 */
	unsigned max_calls;       /* calls whose handlers have not ended, in all: 16384 */
	size_t max_buffered; /* bytes waiting to be sent on a connection: reading pauses: 1 MiB */
	size_t max_buffered_hard;  /* … and the connection is closed: 32 MiB */
	size_t max_buffered_total; /* … of all connections; whoever adds to it over max_buffered is
				      closed: 256 MiB. The same for what has come and waits */
	uint64_t handshake_ms;     /* from accept to the first whole frame: 10 s */
	uint64_t frame_ms; /* from a frame's first byte to its last: 30 s, and 1 s more for each 64
			      KiB */
	uint64_t idle_ms;  /* no frame and no open call: 10 min */
	uint64_t rest_ms;  /* … and its memory is given back until the next one: 5 s */
	uint64_t stall_ms; /* something to send, and the peer takes nothing: 30 s */
	/* HTTP */
	size_t max_header;         /* bytes of a request's header, as RFC 9113 §6.5.2 counts: 32 KiB */
	unsigned resets_per_s;     /* streams that a client opens and takes back: 100; ten times as many
				      at once. Native calls too */
	unsigned controls_per_s;   /* PING, SETTINGS, PRIORITY, empty DATA and unknown frames: the same.
				      Native pings too */
	uint64_t ping_interval_ms; /* pings may come so often without data in between; more than two
				      too early end the connection: 5 min */
	uint64_t sse_heartbeat_ms; /* an event stream says something so often: 15 s */
	unsigned token_per_s;    /* calls that one token may open; 0 = no limit … */
	unsigned token_at_once;  /* … and at once: twice as many */
	uint64_t auth_cache_ms; /* how long an accepted token is not asked about again: 10 s (for open streams
				   half of it) */
};

struct rpc_server_options {
	struct loop *loop;
	const struct rpc_method *methods; /* sorted by path, bytewise; outlives the server */
	size_t n_methods;
	const struct rpc_routes *routes; /* their paths for plain HTTP; NULL: none */
	const struct rpc_page *pages; /* fixed answers at fixed paths; outlive the server */
	size_t n_pages;
	/* Whose pages may call from a browser (CORS): origins between commas, as
	 * "https://app.example", or "*"; NULL or "": nobody's. */
	const char *cors_origins;
	void *context; /* for the handlers: rpc_call_context; and for authenticate */
	/* Who holds this token? Asked when it is not in the cache, and again and again while a
	 * stream is open that it let in; answers by rpc_token_answer, exactly once, now or later.
	 * `bearer` lives until then. NULL: no token is accepted. */
	void (*authenticate)(void *context, struct rpc_token *token, struct str bearer);
	/* The same for a call without a token whose connection has shown a client certificate: who holds the
	 * token with this id? NULL: certificates stand for nobody. */
	void (*identify)(void *context, struct rpc_token *token, struct str token_id);
	/* A token may come in clear from another machine. Else such a call fails: whoever listened has the
	 * token now. */
	bool clear_tokens;
	const struct clock *clock; /* NULL = clock_system() */
	bool no_peer_admin;        /* do not trust root and our own user on the unix socket */
	struct rpc_limits limits;
};

struct rpc_server *rpc_server_create(const struct rpc_server_options *o);
/* Closes everything at once. Calls still with their handlers are cancelled (on_cancel fires), and
 * their memory stays until the handlers end them. Not from inside a handler or another callback of a
 * call (asserted): whoever wants that posts a defer. NULL is fine. */
void rpc_server_destroy(struct rpc_server *s);

/* port 0: any; *ret_port (may be NULL) gets the real one. host: an IP address. */
struct status rpc_server_listen_tcp(struct rpc_server *s, const char *host, unsigned port,
	unsigned *ret_port) __attribute__((warn_unused_result));
/* The same for clients that may speak TLS, or must. `files` outlives the server. */
struct status rpc_server_listen_tls(struct rpc_server *s, const char *host, unsigned port, struct tls_files *files,
	bool required, unsigned *ret_port) __attribute__((warn_unused_result));
/* A stale socket file is replaced; one that still answers is ALREADY_EXISTS. */
struct status rpc_server_listen_unix(struct rpc_server *s, const char *path, mode_t mode)
	__attribute__((warn_unused_result));
/* Takes a connected stream socket (AF_UNIX or TCP), and owns it from now on, also on failure. */
struct status rpc_server_adopt(struct rpc_server *s, int fd) __attribute__((warn_unused_result));

/* Stops accepting, sends GOAWAY, lets open calls end; after grace_ms the rest is cancelled and
 * closed. done fires once, when no connection is left. */
void rpc_server_drain(
	struct rpc_server *s, uint64_t grace_ms, void (*done)(void *data), void *data);

/* The answer to `authenticate`. st OK: *caller is copied; expires_us is wall-clock (clock.h), 0 =
 * never. A failure is what the client gets (UNAUTHENTICATED when the token is unknown or expired,
 * UNAVAILABLE …); UNAUTHENTICATED and PERMISSION_DENIED end the open streams too. */
void rpc_token_answer(struct rpc_token *token, const struct status *st,
	const struct rpc_caller *caller, int64_t expires_us);

/* What a peer may run into. */
enum rpc_limit {
	RPC_LIMIT_MESSAGE,
	RPC_LIMIT_METADATA,
	RPC_LIMIT_HEADER,
	RPC_LIMIT_CONNECTIONS,
	RPC_LIMIT_ADDRESS,
	RPC_LIMIT_STREAMS,
	RPC_LIMIT_CALLS,
	RPC_LIMIT_PRESSED, /* max_buffered: its requests wait */
	RPC_LIMIT_BUFFERED,
	RPC_LIMIT_BUFFERED_TOTAL,
	RPC_LIMIT_HANDSHAKE,
	RPC_LIMIT_FRAME,
	RPC_LIMIT_IDLE,
	RPC_LIMIT_STALL,
	RPC_LIMIT_RESETS,
	RPC_LIMIT_CONTROLS,
	RPC_LIMIT_PINGS,
	RPC_LIMIT_TOKEN,
	RPC_LIMITS
};

struct rpc_counters {
	uint64_t accepted, refused, closed; /* connections */
	uint64_t calls, failed;             /* calls opened; ended with another status than OK */
	uint64_t bytes_in, bytes_out;
	uint64_t abuses;  /* connections ended for a rate limit */
	uint64_t put_off; /* reads of TLS handshakes: see transport_env_put_off */
	uint64_t connections, open_calls, buffered, received; /* now; bytes sent and not taken, and
								 of what has come and waits */
	uint64_t resting; /* connections now, of which little memory is kept until they speak again */
	uint64_t limits[RPC_LIMITS]; /* how often each was reached */
};
/* Their names, for whoever shows them. */
struct rpc_counter {
	const char *name, *help;
	size_t offset;  /* of the uint64_t in struct rpc_counters */
	bool is_gauge; /* goes down too */
};
extern const struct rpc_counter rpc_counter_table[];
extern const size_t rpc_counter_count;
const struct rpc_counters *rpc_server_counters(struct rpc_server *s);
