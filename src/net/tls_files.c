#include "net/tls_files.h"
#include <stdlib.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"

#define FILES 3

/* What tells that a file is another than before; a renewed one may be a link put elsewhere. */
struct stamp {
	struct timespec changed;
	ino_t inode;
	off_t size;
};

struct tls_files {
	char *paths[FILES]; /* certificate, key, client_ca */
	bool require_client;
	struct stamp stamps[FILES];
	struct tls_context *context;
	uint64_t look_ms;
	struct timer look;
};

static void take_stamps(const struct tls_files *f, struct stamp ret[FILES])
{
	for (size_t i = 0; i < FILES; i++) {
		struct stat sb;
		memset(&ret[i], 0, sizeof(ret[i])); /* they are compared bytewise */
		if (!f->paths[i][0] || stat(f->paths[i], &sb) != 0)
			continue;
		ret[i].changed = sb.st_mtim;
		ret[i].inode = sb.st_ino;
		ret[i].size = sb.st_size;
	}
}

struct status tls_files_reload(struct tls_files *f)
{
	struct tls_context *fresh;
	const struct tls_server_files files = {f->paths[0], f->paths[1], f->paths[2], f->require_client};
	take_stamps(f, f->stamps); /* before reading: what changes meanwhile is seen at the next look */
	struct status st = tls_context_server(&files, &fresh);
	if (!status_is_ok(&st))
		return st;
	tls_context_unref(f->context);
	f->context = fresh;
	return st;
}

static void on_look(struct timer *t)
{
	struct tls_files *f = container_of(t, struct tls_files, look);
	struct stamp now[FILES];
	timer_set(t, f->look_ms);
	take_stamps(f, now);
	if (memcmp(now, f->stamps, sizeof(now)) == 0)
		return;
	struct status st = tls_files_reload(f);
	if (status_is_ok(&st))
		log_info("the TLS certificate has changed and was read again", "file", f->paths[0], NULL);
	else
		log_error("the TLS certificate has changed and cannot be used; the one before stays", "error", st.message,
			NULL);
}

struct status tls_files_create(
	struct loop *l, const struct tls_server_files *files, uint64_t look_ms, struct tls_files **ret_files)
{
	struct tls_files *f = mem_new(struct tls_files);
	f->paths[0] = mem_strdup(files->certificate);
	f->paths[1] = mem_strdup(files->key);
	f->paths[2] = mem_strdup(files->client_ca ? files->client_ca : "");
	f->require_client = files->require_client;
	f->look_ms = look_ms;
	timer_init_named(&f->look, l, on_look, "tls_files_look");
	struct status st = tls_files_reload(f);
	if (!status_is_ok(&st)) {
		tls_files_destroy(f);
		return st;
	}
	if (look_ms)
		timer_set(&f->look, look_ms);
	*ret_files = f;
	return st;
}

void tls_files_destroy(struct tls_files *f)
{
	if (!f)
		return;
	timer_stop(&f->look);
	tls_context_unref(f->context);
	for (size_t i = 0; i < FILES; i++)
		free(f->paths[i]);
	free(f);
}

struct tls_context *tls_files_context(const struct tls_files *f)
{
	return f->context;
}
