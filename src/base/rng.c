#include "base/rng.h"
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include "base/clock.h"
#include "base/mem.h"

static void system_fill(struct rng *r, void *p, size_t len)
{
	(void)r;
	unsigned char *at = p;
	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);
		if (n < 0 && errno != EINTR)
			mem_abort("getrandom failed");
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
}

struct rng *rng_system(void)
{
	/* Never written: the pointer is not const only for the sake of seeded generators. */
	static const struct rng system = {system_fill};
	return (struct rng *)&system;
}

uint64_t rng_u64(struct rng *r)
{
	uint64_t x;
	r->fill(r, &x, sizeof(x));
	return x;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	if (n == 0)
		mem_abort("rng_below: there is no number below 0");
	/* 2^64 mod n values at the bottom are drawn again: without that small results lead. */
	uint64_t uneven = (0 - n) % n;
	uint64_t x;
	do {
		x = rng_u64(r);
	} while (x < uneven);
	return x % n;
}

static void uuid_format(struct uuid *u, const unsigned char bytes[16])
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;
	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			u->text[at++] = '-';
		u->text[at++] = digits[bytes[i] >> 4];
		u->text[at++] = digits[bytes[i] & 15];
	}
	u->text[at] = '\0';
}

struct uuid uuid_v7(const struct clock *c, struct rng *r)
{
	unsigned char bytes[16];
	int64_t now = c->wall_us(c);
	uint64_t us = now > 0 ? (uint64_t)now : 0;
	uint64_t ms = us / 1000;
	/* rand_a holds the part of the millisecond that has passed, in 1/4096 (RFC 9562 §6.2,
	 * method 3): ids sort by the microsecond. */
	unsigned part = (unsigned)(us % 1000 * 4096 / 1000);
	r->fill(r, bytes + 8, 8);
	for (int i = 0; i < 6; i++)
		bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
	bytes[6] = (unsigned char)(0x70 | part >> 8);
	bytes[7] = (unsigned char)(part & 0xff);
	bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f));
	struct uuid u;
	uuid_format(&u, bytes);
	return u;
}

struct uuid uuid_floor(int64_t us)
{
	unsigned char bytes[16] = {0};
	uint64_t ms = us > 0 ? (uint64_t)us / 1000 : 0;
	for (int i = 0; i < 6; i++)
		bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
	struct uuid u;
	uuid_format(&u, bytes);
	return u;
}

bool uuid_parse(const char *text, struct uuid *ret_uuid)
{
	struct uuid u;
	bool nil = true;
	if (!text || strnlen(text, UUID_LEN + 1) != UUID_LEN)
		return false;
	for (size_t i = 0; i < UUID_LEN; i++) {
		char c = text[i];
		if (c >= 'A' && c <= 'F')
			c = (char)(c - 'A' + 'a');
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
		bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
		if (hyphen ? c != '-' : !hex)
			return false;
		nil = nil && (c == '0' || c == '-');
		u.text[i] = c;
	}
	if (nil)
		return false;
	u.text[UUID_LEN] = '\0';
	*ret_uuid = u;
	return true;
}
