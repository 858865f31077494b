#include "cli/files.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/arena.h"

static struct status io_failed(enum st_code code, const char *name)
{
	char words[128];
	return status_err(code, "%s: %s", name, strerror_r(errno, words, sizeof(words)));
}

struct status file_read_stream(struct arena *a, FILE *f, const char *name, size_t max, struct str *ret_text)
{
	struct buf b = {0};
	struct status st = status_ok();
	while (b.len <= max) {
		buf_reserve(&b, (size_t)64 << 10);
		size_t n = fread(b.ptr + b.len, 1, (size_t)64 << 10, f);
		b.len += n;
		if (n == 0)
			break;
	}
	if (ferror(f))
		st = io_failed(ST_UNKNOWN, name);
	else if (b.len > max)
		st = status_err(ST_RESOURCE_EXHAUSTED, "%s is larger than %zu KiB", name, max >> 10);
	else
		*ret_text = str_make(arena_strndup(a, b.ptr, b.len), b.len);
	buf_finish(&b);
	return st;
}

struct status file_read(struct arena *a, const char *path, size_t max, struct str *ret_text, bool *ret_missing)
{
	struct stat sb;
	FILE *f = fopen(path, "rbe");
	*ret_missing = false;
	if (!f) {
		*ret_missing = errno == ENOENT;
		return io_failed(errno == ENOENT ? ST_NOT_FOUND : ST_UNKNOWN, path);
	}
	struct status st;
	if (fstat(fileno(f), &sb) == 0 && S_ISDIR(sb.st_mode))
		st = status_err(ST_INVALID_ARGUMENT, "%s is a directory", path);
	else
		st = file_read_stream(a, f, path, max, ret_text);
	(void)fclose(f);
	return st;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

char *file_folder(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return arena_strdup(a, ".");
	return slash == path ? arena_strdup(a, "/") : arena_strndup(a, path, (size_t)(slash - path));
}

/* "a/x/../b" is "a/b" by its name, whether or not there is an x: as docker and Compose read paths. */
static void fold(char *path)
{
	char *out = path, *start = path;
	for (const char *part = path; *part;) {
		size_t len = strcspn(part, "/");
		bool up = len == 2 && part[0] == '.' && part[1] == '.';
		char *last = out; /* where the part before this one begins */
		while (last > start && last[-1] == '/')
			last--;
		while (last > start && last[-1] != '/')
			last--;
		bool nameless = last == out || *last == '.' || *last == '/';
		if (up && !nameless) {
			out = last;
		} else {
			memmove(out, part, len + (part[len] == '/'));
			out += len + (part[len] == '/');
		}
		part += len + (part[len] == '/');
	}
	*out = '\0';
}

char *file_join(struct arena *a, const char *folder, const char *path, const char *home)
{
	char *joined;
	if (path[0] == '/')
		joined = arena_strdup(a, path);
	else if (path[0] == '~' && path[1] == '/' && home)
		joined = arena_fmt(a, "%s%s", home, path + 1);
	else
		joined = arena_fmt(a, "%s/%s", folder, path);
	fold(joined);
	return joined;
}
