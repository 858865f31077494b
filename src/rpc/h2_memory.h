/* h2_memory: where nghttp2 keeps one connection's session. Inside of rpc; part of the wire's state, from h2_memory_init to h2_memory_finish.
 *
 * All that it keeps for long stands in one region of addresses, allocated by classes of size without malloc. A connection that rests has its
 * region packed: what is not zero is copied aside (about a kilobyte of thirty), and the pages go back to the system. Whoever touches the
 * session again calls h2_memory_unpack before, which makes it what it was byte by byte, at the same addresses: nothing depends on what
 * nghttp2 keeps there. What the region has no room for, or is too long for a class, is malloc's. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <nghttp2/nghttp2.h>

struct h2_memory {
	char *region;
	size_t used;      /* of it, from its front; nothing behind was ever touched */
	unsigned outside; /* blocks that malloc has */
	bool settled;     /* long blocks do not come from the region any more */
	char *packed;     /* NULL: it is not */
	size_t packed_len;
};

void h2_memory_init(struct h2_memory *m);
/* For nghttp2_session_server_new3. What is allocated before h2_memory_settle is thought to stay as long as the session. */
nghttp2_mem h2_memory_callbacks(struct h2_memory *m);
void h2_memory_settle(struct h2_memory *m);
void h2_memory_pack(struct h2_memory *m);
void h2_memory_unpack(struct h2_memory *m); /* not packed: nothing happens */
static inline bool h2_memory_is_packed(const struct h2_memory *m)
{
	return m->packed != NULL;
}
/* Everything is in the region: a session need not be deleted before h2_memory_finish. */
static inline bool h2_memory_is_whole(const struct h2_memory *m)
{
	return m->outside == 0;
}
void h2_memory_finish(struct h2_memory *m);
