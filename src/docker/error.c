#include "docker/error.h"
#include <stdio.h>
#include "base/json.h"

static const char rpc_prefix[] = "rpc error: code = ";
static const char rpc_middle[] = " desc = ";

/* gRPC's Go names, as swarmkit's errors print them; "Unknown" tells nothing. */
static const struct {
	const char *name;
	enum st_code code;
} rpc_codes[] = {
	{"Canceled", ST_CANCELLED},
	{"InvalidArgument", ST_INVALID_ARGUMENT},
	{"DeadlineExceeded", ST_DEADLINE_EXCEEDED},
	{"NotFound", ST_NOT_FOUND},
	{"AlreadyExists", ST_ALREADY_EXISTS},
	{"PermissionDenied", ST_PERMISSION_DENIED},
	{"ResourceExhausted", ST_RESOURCE_EXHAUSTED},
	{"FailedPrecondition", ST_FAILED_PRECONDITION},
	{"Aborted", ST_ABORTED},
	{"OutOfRange", ST_OUT_OF_RANGE},
	{"Unimplemented", ST_UNIMPLEMENTED},
	{"Internal", ST_INTERNAL},
	{"Unavailable", ST_UNAVAILABLE},
	{"DataLoss", ST_DATA_LOSS},
	{"Unauthenticated", ST_UNAUTHENTICATED},
};

/* Words that mean more than the code they come with. */
static const struct {
	const char *words;
	enum st_code code;
} meanings[] = {
	{"update out of sequence", ST_ABORTED},
	{"not a swarm manager", ST_UNAVAILABLE}, /* also of one that has just been started */
	{"Swarm is encrypted and needs to be unlocked", ST_FAILED_PRECONDITION},
	{"does not have a leader", ST_UNAVAILABLE},
	{"has active endpoints", ST_FAILED_PRECONDITION},
	{"dial tcp", ST_UNAVAILABLE}, /* a registry */
	{"i/o timeout", ST_UNAVAILABLE},
	{"failed with status: 401", ST_PERMISSION_DENIED}, /* a registry's no, inside an Engine's 500 */
	{"failed with status: 403", ST_PERMISSION_DENIED},
};

static enum st_code http_code(long code, const char *words)
{
	switch (code) {
	case 400:
		return ST_INVALID_ARGUMENT;
	case 401:
	case 403:
		return ST_PERMISSION_DENIED;
	case 404:
		return ST_NOT_FOUND;
	case 409:
		return strstr(words, "already") || strstr(words, "conflicts")
			       ? ST_ALREADY_EXISTS
			       : ST_FAILED_PRECONDITION;
	case 429:
		return ST_RESOURCE_EXHAUSTED;
	case 408:
		return ST_UNAVAILABLE;
	case 501:
		return ST_UNIMPLEMENTED;
	case 503:
		return ST_UNAVAILABLE;
	default:
		break;
	}
	if (code < 400) /* paths are only redirected when a name in them is not one */
		return ST_INVALID_ARGUMENT;
	if (code != 500)
		return code < 500 ? ST_FAILED_PRECONDITION : ST_INTERNAL;
	/* The Engine answers 500 for whatever it has not classed. */
	if (str_ends(str_of(words), " not found"))
		return ST_NOT_FOUND;
	if (strncasecmp(words, "invalid ", 8) == 0)
		return ST_INVALID_ARGUMENT;
	return ST_INTERNAL;
}

/* "a: rpc error: code = NotFound desc = b" becomes "a: b"; the innermost known code wins. */
static enum st_code cut_rpc_errors(char *words, enum st_code otherwise)
{
	char *at, *desc;
	while ((at = strstr(words, rpc_prefix)) && (desc = strstr(at, rpc_middle))) {
		const char *name = at + sizeof rpc_prefix - 1;
		struct str code = str_make(name, desc > name ? (size_t)(desc - name) : 0);
		for (size_t i = 0; i < sizeof rpc_codes / sizeof rpc_codes[0]; i++)
			if (str_is(code, rpc_codes[i].name))
				otherwise = rpc_codes[i].code;
		desc += sizeof rpc_middle - 1;
		memmove(at, desc, strlen(desc) + 1);
	}
	return otherwise;
}

static void engine_words(char *ret_words, size_t size, long code, struct str body)
{
	json_t *j = NULL;
	struct status st = json_parse(body, &j);
	struct str words = str_trim(body);
	if (status_is_ok(&st))
		words = str_of(json_text(j, "message", ""));
	if (words.len >= size)
		words.len = str_utf8_valid_upto(str_make(words.ptr, size - 1));
	if (words.len == 0 || !str_is_utf8(words))
		(void)snprintf(
			ret_words, size, "the Docker Engine answered %ld without words", code);
	else
		(void)snprintf(ret_words, size, STR_FMT, STR_ARG(words));
	json_decref(j);
}

struct status engine_error(long code, struct str body)
{
	char words[1024];
	engine_words(words, sizeof words, code, body);
	enum st_code st = cut_rpc_errors(words, http_code(code, words));
	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
		if (strstr(words, meanings[i].words))
			st = meanings[i].code;
	return status_err(st, "%s", words);
}
