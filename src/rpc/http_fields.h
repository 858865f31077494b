/* http_fields: what of a request's header two readers could understand in two ways, beyond what the
 * wires look at. Pure. Called by http_begin, for both wires. */
#pragma once

struct http_exchange;

/* Why it is refused, in words; NULL: it is not. A field that means one thing stands twice (whoever
 * stands before us may have looked at the other one); Host is none, or not what :authority says. */
const char *http_fields_wrong(const struct http_exchange *x);
