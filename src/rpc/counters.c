/* What a server counts, with names for whoever shows it (System.Counters). */
#include "rpc/server.h"

#define NOW(field, help)   {#field, help, offsetof(struct rpc_counters, field), true}
#define SINCE(field, help) {#field, help, offsetof(struct rpc_counters, field), false}
#define LIMIT(which, option)                                                                       \
	{"limit_" option, "what reached the limit " option,                                        \
		offsetof(struct rpc_counters, limits) + (which) * sizeof(uint64_t), false}

const struct rpc_counter rpc_counter_table[] = {
	SINCE(accepted, "connections that came"),
	SINCE(refused, "connections refused: too many"),
	SINCE(closed, "connections that ended"),
	SINCE(calls, "calls that came"),
	SINCE(failed, "calls that ended with another status than OK"),
	SINCE(bytes_in, "bytes that came"),
	SINCE(bytes_out, "bytes that were sent"),
	SINCE(abuses, "connections ended because of a rate"),
	SINCE(put_off, "reads of TLS handshakes that were put off: many came at once"),
	NOW(connections, "connections now"),
	NOW(resting, "connections that say nothing now, and keep little memory"),
	NOW(open_calls, "calls in work now"),
	NOW(buffered, "bytes that wait to be taken by clients now"),
	NOW(received, "bytes that have come and wait now"),
	LIMIT(RPC_LIMIT_MESSAGE, "max_message"),
	LIMIT(RPC_LIMIT_METADATA, "max_metadata"),
	LIMIT(RPC_LIMIT_HEADER, "max_header"),
	LIMIT(RPC_LIMIT_CONNECTIONS, "max_connections"),
	LIMIT(RPC_LIMIT_ADDRESS, "max_connections_per_address"),
	LIMIT(RPC_LIMIT_STREAMS, "max_streams"),
	LIMIT(RPC_LIMIT_CALLS, "max_calls"),
	LIMIT(RPC_LIMIT_PRESSED, "max_buffered"),
	LIMIT(RPC_LIMIT_BUFFERED, "max_buffered_hard"),
	LIMIT(RPC_LIMIT_BUFFERED_TOTAL, "max_buffered_total"),
	LIMIT(RPC_LIMIT_HANDSHAKE, "handshake_timeout"),
	LIMIT(RPC_LIMIT_FRAME, "frame_timeout"),
	LIMIT(RPC_LIMIT_IDLE, "idle_timeout"),
	LIMIT(RPC_LIMIT_STALL, "stall_timeout"),
	LIMIT(RPC_LIMIT_RESETS, "http2_resets"),
	LIMIT(RPC_LIMIT_CONTROLS, "http2_controls"),
	LIMIT(RPC_LIMIT_PINGS, "http2_ping_interval"),
	LIMIT(RPC_LIMIT_TOKEN, "token_rate"),
};
const size_t rpc_counter_count = sizeof(rpc_counter_table) / sizeof(rpc_counter_table[0]);
_Static_assert(sizeof(rpc_counter_table) / sizeof(rpc_counter_table[0]) == 14 + RPC_LIMITS,
	"every counter has a name");
