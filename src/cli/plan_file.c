#include "cli/plan_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/arena.h"
#include "cli/files.h"

#define HEX_LEN   32
#define FILE_SIZE (64 * 1024)

/* 32 hex digits and a dot. */
static bool is_fingerprint(const char *word)
{
	return strspn(word, "0123456789abcdef") == HEX_LEN && word[HEX_LEN] == '.';
}

struct status plan_file_write(const char *path, const char *fingerprint)
{
	FILE *f = fopen(path, "we");
	bool good = f && fprintf(f, "%s\n", fingerprint) > 0;
	int why = errno;
	if (f && fclose(f) != 0) {
		good = false;
		why = errno;
	}
	if (good)
		return status_ok();
	return status_err(ST_UNAVAILABLE, "%s cannot be written: %s", path, strerrordesc_np(why));
}

struct status plan_file_read(struct arena *a, const char *word, const char **ret_fingerprint)
{
	struct str text;
	bool missing;
	*ret_fingerprint = word;
	if (is_fingerprint(word))
		return status_ok();
	struct status st = file_read(a, word, FILE_SIZE, &text, &missing);
	if (missing)
		return status_err(ST_NOT_FOUND,
			"--plan %s is neither a fingerprint nor a file: make one with `skep stack "
			"plan --out FILE`",
			word);
	if (!status_is_ok(&st))
		return st;
	*ret_fingerprint = str_dup(a, str_trim(text));
	if (!is_fingerprint(*ret_fingerprint))
		return status_err(ST_INVALID_ARGUMENT, "%s holds no plan's fingerprint", word);
	return st;
}
