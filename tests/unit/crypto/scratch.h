/* scratch: a folder of its own under /tmp for one test, with key files in it. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct scratch {
	char folder[64];
	char path[96]; /* of the key file */
};

static inline int scratch_make(void **state)
{
	static struct scratch s;
	snprintf(s.folder, sizeof(s.folder), "/tmp/skep-crypto-XXXXXX");
	if (!mkdtemp(s.folder))
		return -1;
	snprintf(s.path, sizeof(s.path), "%s/keys", s.folder);
	*state = &s;
	return 0;
}

/* Number of files in the folder. */
static inline int scratch_count(const struct scratch *s)
{
	int n = 0;
	DIR *d = opendir(s->folder);
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static inline int scratch_remove(void **state)
{
	const struct scratch *s = *state;
	chmod(s->folder, 0700);
	DIR *d = opendir(s->folder);
	if (!d)
		return -1;
	for (const struct dirent *e; (e = readdir(d));)
		unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	return rmdir(s->folder);
}

static inline void scratch_write(const struct scratch *s, const char *text, size_t len, mode_t mode)
{
	FILE *f = fopen(s->path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(s->path, mode), 0);
}
