/* rng: random bytes as an interface (a simulation hands in a seeded one), and UUIDv7 on top. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

struct clock;
struct rng {
	void (*fill)(struct rng *r, void *p, size_t len);
};
struct rng *rng_system(void);       /* getrandom(2): fit for keys and tokens */
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 ≤ x < n; n ≥ 1 */

#define UUID_LEN 36
struct uuid {
	char text[UUID_LEN + 1]; /* lower case, hyphenated; "" = none */
};
/* RFC 9562 version 7: sorts by creation time, to the microsecond. */
struct uuid uuid_v7(const struct clock *c, struct rng *r);
/* The smallest one of that millisecond since 1970: an id stands for when it was made. */
struct uuid uuid_floor(int64_t us);
bool uuid_parse(const char *text, struct uuid *ret_uuid); /* any case; the nil UUID is refused */
