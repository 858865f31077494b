#include "net/peer.h"
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <uv.h>

static void describe_unix(struct peer *p, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
		(void)snprintf(p->text, sizeof(p->text), "unix");
		return;
	}
	p->has_uid = true;
	p->uid = cred.uid;
	(void)snprintf(p->text, sizeof(p->text), "unix:uid=%u,pid=%d", cred.uid, (int)cred.pid);
}

static bool is_loopback(const struct sockaddr *sa)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)sa)->sin6_addr;
	if (sa->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 == 127;
	return sa->sa_family == AF_INET6 &&
	       (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127));
}

static void describe_tcp(struct peer *p, int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} sa = {.v6 = {.sin6_family = AF_UNSPEC}};
	socklen_t len = sizeof(sa);
	char ip[INET6_ADDRSTRLEN] = "?";
	in_port_t port = 0;
	if (getpeername(fd, &sa.any, &len) == 0) {
		p->is_loopback = is_loopback(&sa.any);
		uv_ip_name(&sa.any, ip, sizeof(ip));
		port = sa.any.sa_family == AF_INET6 ? sa.v6.sin6_port : sa.v4.sin_port;
	}
	(void)snprintf(p->text, sizeof(p->text), sa.any.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		ip, (unsigned)ntohs(port));
}

void peer_describe(struct peer *p, int fd, bool is_unix)
{
	*p = (struct peer){0};
	if (is_unix)
		describe_unix(p, fd);
	else
		describe_tcp(p, fd);
}
