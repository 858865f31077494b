/* h1_head: looks through the bytes of a request's head before llhttp does, for what it lets pass
 * and other readers understand otherwise: a line that ends with CR or LF alone, a folded line, a
 * control character. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h1_head {
	char last;      /* the byte before */
	unsigned line;  /* bytes of the present line */
	size_t len;     /* of the head so far */
	bool begun;     /* a byte that is no empty line has come */
	bool in_fields; /* behind the request line */
};

/* How many of these bytes belong to the head; *ret_done: it ends with them. NULL in *ret_wrong, or
 * what breaks the rules. */
size_t h1_head_scan(
	struct h1_head *h, const char *bytes, size_t len, bool *ret_done, const char **ret_wrong);
