#include "crypto/keyring.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/rng.h"

#define KEYS_MAX      KEYRING_MAX
#define FILE_MAX      ((size_t)65536)
#define KEY_FILE_MODE 0600

static enum st_code code_of(int error)
{
	if (error == ENOENT || error == ENOTDIR)
		return ST_NOT_FOUND;
	return error == EACCES || error == EPERM ? ST_PERMISSION_DENIED : ST_UNAVAILABLE;
}

static struct status file_error(int error, const char *what, const char *path)
{
	char text[128];
	const char *why = strerror_r(error, text, sizeof(text));
	return status_err(code_of(error), "%s %s: %s", what, path, why);
}

/* ---- reading ---- */

static bool id_ok(struct str id)
{
	if (id.len == 0 || id.len > KEY_ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
			return false;
	}
	return true;
}

static bool key_from_hex(struct str hex, unsigned char ret_bytes[KEY_LEN])
{
	char text[KEY_LEN * 2 + 1];
	size_t len = 0;
	if (hex.len != KEY_LEN * 2 || memchr(hex.ptr, '\0', hex.len))
		return false;
	memcpy(text, hex.ptr, hex.len);
	text[hex.len] = '\0';
	bool ok = OPENSSL_hexstr2buf_ex(ret_bytes, KEY_LEN, &len, text, '\0') == 1;
	OPENSSL_cleanse(text, sizeof(text));
	return ok && len == KEY_LEN;
}

static bool holds(const struct keyring *k, struct str id)
{
	for (size_t i = 0; i < k->len; i++) {
		if (str_is(id, k->keys[i].id))
			return true;
	}
	return false;
}

static struct status parse_line(struct keyring *k, struct str line, int number)
{
	struct str id = str_cut(&line, ' ');
	struct key key = {0};
	if (!id_ok(id) || !key_from_hex(str_trim(line), key.bytes))
		return status_err(ST_INVALID_ARGUMENT,
			"%s line %d: not a key: want \"<key id> <64 hex digits>\", the key id of "
			"up to %d letters, digits, '-', '_', '.'",
			k->path, number, KEY_ID_MAX);
	memcpy(key.id, id.ptr, id.len);
	struct status st = status_ok();
	if (holds(k, id))
		st = status_err(ST_INVALID_ARGUMENT, "%s line %d: the key id %s stands twice",
			k->path, number, key.id);
	else if (k->len == KEYS_MAX)
		st = status_err(ST_INVALID_ARGUMENT, "%s line %d: more than %d keys", k->path,
			number, KEYS_MAX);
	else
		k->keys[k->len++] = key;
	OPENSSL_cleanse(&key, sizeof(key));
	return st;
}

static struct status parse_keys(struct keyring *k, struct str text)
{
	for (int number = 1; text.len; number++) {
		struct str line = str_trim(str_cut(&text, '\n'));
		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		struct status st = parse_line(k, line, number);
		if (!status_is_ok(&st))
			return st;
	}
	if (k->len == 0)
		return status_err(ST_INVALID_ARGUMENT,
			"%s holds no key: put the old file back, or remove it for a new one",
			k->path);
	return status_ok();
}

static struct status check_file(int fd, const char *path)
{
	struct stat file;
	if (fstat(fd, &file) != 0)
		return file_error(errno, "cannot read the key file", path);
	if (!S_ISREG(file.st_mode))
		return status_err(ST_INVALID_ARGUMENT, "%s is not a regular file", path);
	if (file.st_mode & 077)
		return status_err(ST_PERMISSION_DENIED,
			"the key file %s is open to others (mode %04o): chmod 600 %s", path,
			(unsigned)file.st_mode & 07777, path);
	return status_ok();
}

static struct status read_file(int fd, const char *path, struct buf *ret_text)
{
	/* At once: growing would leave copies of keys behind. */
	buf_reserve(ret_text, FILE_MAX + 1);
	for (;;) {
		ssize_t n = read(fd, ret_text->ptr + ret_text->len, FILE_MAX + 1 - ret_text->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return file_error(errno, "cannot read the key file", path);
		ret_text->len += (size_t)n;
		if (ret_text->len > FILE_MAX)
			return status_err(ST_INVALID_ARGUMENT, "the key file %s is over %zu bytes",
				path, FILE_MAX);
		if (n == 0)
			return status_ok();
	}
}

static struct status load_from(int fd, struct keyring *k)
{
	struct buf text = {0};
	struct status st = check_file(fd, k->path);
	if (status_is_ok(&st))
		st = read_file(fd, k->path, &text);
	if (status_is_ok(&st))
		st = parse_keys(k, buf_str(&text));
	if (text.ptr)
		OPENSSL_cleanse(text.ptr, text.cap);
	buf_finish(&text);
	return st;
}

static struct status load(struct keyring *k, bool may_be_missing)
{
	int fd = open(k->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT && may_be_missing)
		return status_ok();
	if (fd < 0)
		return file_error(errno, "cannot open the key file", k->path);
	struct status st = load_from(fd, k);
	close(fd);
	return st;
}

struct status keyring_load(const char *path, struct keyring **ret_keyring)
{
	struct keyring *k = mem_new(struct keyring);
	k->path = mem_strdup(path);
	k->keys = mem_zalloc(KEYS_MAX * sizeof(*k->keys));
	struct status st = load(k, true);
	if (status_is_ok(&st))
		*ret_keyring = k;
	else
		keyring_destroy(k);
	return st;
}

/* ---- making ---- */

static bool write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* The random id keeps two files made apart from claiming the same key. */
static bool write_key(int fd)
{
	unsigned char random[4 + KEY_LEN];
	char id[2 * 4 + 1], hex[2 * KEY_LEN + 1], line[128];
	struct rng *r = rng_system();
	r->fill(r, random, sizeof(random));
	OPENSSL_buf2hexstr_ex(id, sizeof(id), NULL, random, 4, '\0');
	OPENSSL_buf2hexstr_ex(hex, sizeof(hex), NULL, random + 4, KEY_LEN, '\0');
	for (char *c = id; *c; c++)
		*c = (char)(*c >= 'A' ? *c - 'A' + 'a' : *c);
	int len = snprintf(line, sizeof(line), "k%s %s\n", id, hex);
	bool ok = write_all(fd, line, (size_t)len) && fsync(fd) == 0;
	OPENSSL_cleanse(random, sizeof(random));
	OPENSSL_cleanse(hex, sizeof(hex));
	OPENSSL_cleanse(line, sizeof(line));
	return ok;
}

/* The new name is lost with the machine's power until its folder is on disk. */
static bool sync_folder(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *folder = ".";
	if (slash) /* "/keys": the folder is the slash itself */
		folder = arena_strndup(a, path, slash == path ? 1 : (size_t)(slash - path));
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool ok = fsync(fd) == 0;
	int error = errno;
	close(fd);
	errno = error;
	return ok;
}

/* Writes a file of its own and gives it the name only when nobody else has: link(2), because
 * rename(2) would replace the file of a daemon that started at the same time. */
static struct status create_file(struct arena *a, const char *path)
{
	char *own = arena_fmt(a, "%s.%016llx.new", path, (unsigned long long)rng_u64(rng_system()));
	int fd = open(own, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, KEY_FILE_MODE);
	if (fd < 0)
		return file_error(errno, "cannot make the key file", path);
	int error = fchmod(fd, KEY_FILE_MODE) == 0 && write_key(fd) ? 0 : errno;
	if (close(fd) != 0 && error == 0)
		error = errno;
	if (error == 0 && link(own, path) != 0 && errno != EEXIST)
		error = errno;
	if (unlink(own) != 0 && error == 0)
		error = errno;
	if (error == 0 && !sync_folder(a, path))
		error = errno;
	return error == 0 ? status_ok() : file_error(error, "cannot make the key file", path);
}

struct status keyring_make(struct keyring *k)
{
	struct arena *a = arena_create();
	assert(keyring_is_empty(k));
	struct status st = create_file(a, k->path);
	arena_destroy(a);
	return status_is_ok(&st) ? load(k, false) : st;
}

struct status keyring_reload(struct keyring *k)
{
	assert(keyring_is_empty(k));
	return load(k, true);
}

void keyring_destroy(struct keyring *k)
{
	if (!k)
		return;
	OPENSSL_cleanse(k->keys, KEYS_MAX * sizeof(*k->keys));
	free(k->keys);
	free(k->path);
	free(k);
}

const char *keyring_first_id(const struct keyring *k)
{
	return k->keys[0].id;
}

size_t keyring_ids(const struct keyring *k, const char **ret_ids)
{
	for (size_t i = 0; i < k->len; i++)
		ret_ids[i] = k->keys[i].id;
	return k->len;
}

bool keyring_is_empty(const struct keyring *k)
{
	return k->len == 0;
}

const char *keyring_path(const struct keyring *k)
{
	return k->path;
}
