/* status: the one error value. Codes are gRPC's
 * (https://grpc.io/docs/guides/status-codes/). A status owns its text (it is a
 * plain value: copy it freely, nothing to free). A function that can fail
 * returns one; a completion callback gets a `const struct status *` that is
 * valid during the callback only. Context is added once per layer with
 * status_wrap. Say what is wrong, where, and what would be right. */
#pragma once
#include <stdbool.h>

enum st_code {
	ST_OK = 0,
	ST_CANCELLED = 1,
	ST_UNKNOWN = 2,
	ST_INVALID_ARGUMENT = 3,
	ST_DEADLINE_EXCEEDED = 4,
	ST_NOT_FOUND = 5,
	ST_ALREADY_EXISTS = 6,
	ST_PERMISSION_DENIED = 7,
	ST_RESOURCE_EXHAUSTED = 8,
	ST_FAILED_PRECONDITION = 9,
	ST_ABORTED = 10,
	ST_OUT_OF_RANGE = 11,
	ST_UNIMPLEMENTED = 12,
	ST_INTERNAL = 13,
	ST_UNAVAILABLE = 14,
	ST_DATA_LOSS = 15,
	ST_UNAUTHENTICATED = 16,
};
#define ST_CODE_MAX 16

struct status {
	enum st_code code;
	unsigned retry_ms;  /* when it may be tried again; 0 = not said */
	const char *origin; /* "file.c:123" of the first failure; static */
	/* UTF-8 whatever the arguments were (a byte that is not becomes '?'), NUL-terminated,
	 * cut at a character when longer */
	char message[496];
};

#define STATUS_STR2(x) #x
#define STATUS_STR(x) STATUS_STR2(x)

/* Makes a failure: status_err(ST_NOT_FOUND, "stack \"%s\" does not exist", name) */
#define status_err(code, ...) status_make(code, __FILE__ ":" STATUS_STR(__LINE__), __VA_ARGS__)

struct status status_make(enum st_code code, const char *origin, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), warn_unused_result));
/* The message's other bytes are not written: every call passes by a few of these. */
__attribute__((warn_unused_result)) static inline struct status status_ok(void)
{
	struct status st;
	st.code = ST_OK;
	st.retry_ms = 0;
	st.origin = "";
	st.message[0] = '\0';
	return st;
}

/* Puts "<context>: " before the message; keeps code and origin. OK stays OK. */
struct status status_wrap(const struct status *st, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));

static inline bool status_is_ok(const struct status *st)
{
	return st->code == ST_OK;
}

/* "NOT_FOUND"; never NULL, "UNKNOWN" for a number that is no code. */
const char *st_code_name(enum st_code code);
/* UNKNOWN for a name that is no code's. */
enum st_code st_code_parse(const char *name);
