#include "rpc/address.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "rpc/server_impl.h"

#define KEY_MAX 24

struct rpc_address {
	unsigned n;
	char key[KEY_MAX];
};

/* False: it comes by no network. */
static bool key_of(const char *peer, char key[KEY_MAX])
{
	struct in6_addr six;
	char text[INET6_ADDRSTRLEN];
	const char *end = strrchr(peer, ':');
	const char *first = peer + (peer[0] == '[');
	if (!end || strncmp(peer, "unix", 4) == 0)
		return false;
	size_t len = (size_t)(end - first) - (peer[0] == '[');
	if (len >= sizeof(text))
		return false;
	memcpy(text, first, len);
	text[len] = '\0';
	if (inet_pton(AF_INET6, text, &six) != 1)
		(void)snprintf(key, KEY_MAX, "%.23s", text);
	else if (IN6_IS_ADDR_V4MAPPED(&six))
		(void)snprintf(key, KEY_MAX, "%u.%u.%u.%u", six.s6_addr[12], six.s6_addr[13],
			six.s6_addr[14], six.s6_addr[15]);
	else
		(void)snprintf(key, KEY_MAX, "%02x%02x%02x%02x%02x%02x%02x%02x/64", six.s6_addr[0],
			six.s6_addr[1], six.s6_addr[2], six.s6_addr[3], six.s6_addr[4],
			six.s6_addr[5], six.s6_addr[6], six.s6_addr[7]);
	return true;
}

struct rpc_address *address_enter(struct rpc_server *s, const char *peer)
{
	char key[KEY_MAX];
	if (!key_of(peer, key))
		return NULL;
	struct rpc_address *a = map_gets(&s->addresses, key);
	if (!a) {
		a = mem_new(struct rpc_address);
		memcpy(a->key, key, sizeof(key));
		map_puts(&s->addresses, key, a);
	}
	a->n++;
	return a;
}

void address_leave(struct rpc_server *s, struct rpc_address *a)
{
	if (!a || --a->n > 0)
		return;
	map_removes(&s->addresses, a->key);
	free(a);
}

unsigned address_count(const struct rpc_address *a)
{
	return a ? a->n : 0;
}
