/* peer: who is at the other end of a connected socket, as the kernel tells. Used by transport. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct peer {
	char text[80]; /* "192.0.2.1:4711", "[2001:db8::1]:4711" or "unix:uid=0,pid=42" */
	bool is_loopback; /* TCP that does not leave the machine */
	bool has_uid;     /* a unix socket's, at connect time: */
	uid_t uid;
};

/* Where the kernel does not tell, `text` has question marks in it or less. */
void peer_describe(struct peer *p, int fd, bool is_unix);
