#include "crypto/crypto.h"
#include "scratch.h"
#include <fcntl.h>
#include <sys/wait.h>

#define HEX_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX_B "FFFEFDFCFBFAF9F8F7F6F5F4F3F2F1F0EFEEEDECEBEAE9E8E7E6E5E4E3E2E1E0"

static void refuses(const struct scratch *s, enum st_code code, const char *part)
{
	struct keyring *k = NULL;
	struct status st = keyring_load(s->path, &k);
	assert_null(k);
	assert_int_equal(st.code, code);
	if (!strstr(st.message, part))
		fail_msg("\"%s\" does not say \"%s\"", st.message, part);
	assert_null(strstr(st.message, "1112131415")); /* never a key */
}

/* As at a start: makes the file where there is none. */
static struct status start(const struct scratch *s, struct keyring **ret_keyring)
{
	struct status st = keyring_load(s->path, ret_keyring);
	if (status_is_ok(&st) && keyring_is_empty(*ret_keyring))
		st = keyring_make(*ret_keyring);
	return st;
}

static void refuses_text(const struct scratch *s, const char *text, const char *part)
{
	scratch_write(s, text, strlen(text), 0600);
	refuses(s, ST_INVALID_ARGUMENT, part);
}

static void no_file_no_key(void **state)
{
	const struct scratch *s = *state;
	struct keyring *k = NULL;
	struct buf plain = {0};
	struct status st = keyring_load(s->path, &k);
	assert_true(status_is_ok(&st));
	assert_true(keyring_is_empty(k));
	assert_string_equal(keyring_first_id(k), "");
	assert_string_equal(keyring_path(k), s->path);
	assert_int_equal(scratch_count(s), 0); /* loading makes nothing */
	st = crypto_open(k, STR("place"), STR("\1\1k123456789012345678901234567890"), &plain);
	assert_int_equal(st.code, ST_FAILED_PRECONDITION);
	assert_non_null(strstr(st.message, "sealed with the key \"k\""));
	buf_finish(&plain);
	st = keyring_make(k);
	assert_true(status_is_ok(&st));
	assert_false(keyring_is_empty(k));
	assert_int_equal(scratch_count(s), 1);
	keyring_destroy(k);
}

static void makes_a_file_once(void **state)
{
	const struct scratch *s = *state;
	struct keyring *k = NULL, *again = NULL;
	mode_t mask = umask(0);
	struct status st = start(s, &k);
	umask(mask);
	assert_true(status_is_ok(&st));
	struct stat file;
	assert_int_equal(stat(s->path, &file), 0);
	assert_int_equal(file.st_mode & 07777, 0600);
	assert_int_equal(file.st_nlink, 1);
	assert_int_equal(scratch_count(s), 1); /* nothing left over */
	st = start(s, &again);
	assert_true(status_is_ok(&st));
	assert_string_equal(keyring_first_id(k), keyring_first_id(again));

	struct buf sealed = {0}, plain = {0};
	crypto_seal(k, STR("place"), STR("text"), &sealed);
	st = crypto_open(again, STR("place"), buf_str(&sealed), &plain);
	assert_true(status_is_ok(&st));
	assert_string_equal(plain.ptr, "text");
	buf_finish(&sealed);
	buf_finish(&plain);
	keyring_destroy(k);
	keyring_destroy(again);
	keyring_destroy(NULL);
}

static void mode_does_not_depend_on_umask(void **state)
{
	const struct scratch *s = *state;
	struct keyring *k = NULL;
	mode_t mask = umask(0777);
	struct status st = start(s, &k);
	umask(mask);
	assert_true(status_is_ok(&st));
	struct stat file;
	assert_int_equal(stat(s->path, &file), 0);
	assert_int_equal(file.st_mode & 07777, 0600);
	keyring_destroy(k);
}

static void two_new_files_differ(void **state)
{
	const struct scratch *s = *state;
	struct keyring *a = NULL, *b = NULL;
	struct status st = start(s, &a);
	assert_true(status_is_ok(&st));
	assert_int_equal(unlink(s->path), 0);
	st = start(s, &b);
	assert_true(status_is_ok(&st));
	assert_string_not_equal(keyring_first_id(a), keyring_first_id(b));
	keyring_destroy(a);
	keyring_destroy(b);
}

/* Eight processes start at once on no file: all must hold the same key. */
static void racing_starts_agree(void **state)
{
	const struct scratch *s = *state;
	int go[2], ids[2];
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ids), 0);
	for (int i = 0; i < 8; i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid > 0)
			continue;
		char byte;
		struct keyring *k = NULL;
		close(go[1]);
		if (read(go[0], &byte, 1) != 0) /* until the parent closes */
			_exit(1);
		struct status st = start(s, &k);
		char id[16] = "failed";
		if (status_is_ok(&st))
			snprintf(id, sizeof(id), "%s", keyring_first_id(k));
		_exit(write(ids[1], id, sizeof(id)) != sizeof(id));
	}
	close(go[0]);
	close(go[1]);
	char first[16] = "", id[16];
	for (int i = 0; i < 8; i++) {
		assert_int_equal(read(ids[0], id, sizeof(id)), sizeof(id));
		assert_string_not_equal(id, "failed");
		if (i == 0)
			memcpy(first, id, sizeof(first));
		assert_string_equal(id, first);
	}
	for (int i = 0; i < 8; i++) {
		int how;
		assert_true(wait(&how) > 0);
		assert_int_equal(how, 0);
	}
	close(ids[0]);
	close(ids[1]);
	assert_int_equal(scratch_count(s), 1);
}

static void reads_several_keys(void **state)
{
	const struct scratch *s = *state;
	const char *text = "# rotated in spring\r\n\n  main " HEX_A " \r\nold-1.x_  " HEX_B;
	scratch_write(s, text, strlen(text), 0400);
	struct keyring *k = NULL;
	struct status st = keyring_load(s->path, &k);
	assert_true(status_is_ok(&st));
	assert_string_equal(keyring_first_id(k), "main");
	keyring_destroy(k);
}

static void refuses_bad_lines(void **state)
{
	const struct scratch *s = *state;
	refuses_text(s, "", "holds no key");
	refuses_text(s, "# nothing\n\n", "holds no key");
	refuses_text(s, "main\n", "line 1");
	refuses_text(s, "main " HEX_A "\nold " HEX_A "00\n", "line 2");
	refuses_text(s, HEX_A "\n", "line 1"); /* no key id */
	refuses_text(s, "main 0001\n", "64 hex digits");
	refuses_text(s, "main " HEX_A " trailing\n", "line 1");
	refuses_text(s, "ma/in " HEX_A "\n", "line 1");
	refuses_text(s, "a23456789012345678901234567890123 " HEX_A "\n", "line 1");
	refuses_text(s, "m\xc3\xa9 " HEX_A "\n", "line 1");
	refuses_text(s, "main g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
		"line 1");
	refuses_text(
		s, "main " HEX_A "\n\nmain " HEX_B "\n", "line 3: the key id main stands twice");
	const char nul[] = "main 00\0"
			   "02030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
	scratch_write(s, nul, sizeof(nul) - 1, 0600);
	refuses(s, ST_INVALID_ARGUMENT, "line 1");
}

static void refuses_too_much(void **state)
{
	const struct scratch *s = *state;
	struct buf b = {0};
	for (int i = 0; i < 257; i++)
		buf_fmt(&b, "key%d " HEX_A "\n", i);
	scratch_write(s, b.ptr, b.len, 0600);
	refuses(s, ST_INVALID_ARGUMENT, "more than 256 keys");
	for (int i = 0; i < 3000; i++)
		buf_adds(&b, "# one more comment line\n");
	scratch_write(s, b.ptr, b.len, 0600);
	refuses(s, ST_INVALID_ARGUMENT, "over 65536 bytes");
	buf_finish(&b);
}

static void refuses_what_others_may_read(void **state)
{
	const struct scratch *s = *state;
	static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666};
	char advice[128];
	snprintf(advice, sizeof(advice), "chmod 600 %s", s->path);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		scratch_write(s, "main " HEX_A "\n", strlen("main " HEX_A "\n"), modes[i]);
		refuses(s, ST_PERMISSION_DENIED, advice);
	}
}

static void refuses_what_is_no_file(void **state)
{
	const struct scratch *s = *state;
	assert_int_equal(mkfifo(s->path, 0600), 0);
	refuses(s, ST_INVALID_ARGUMENT, "not a regular file"); /* and does not wait for a writer */
	struct scratch other = *s;
	snprintf(other.path, sizeof(other.path), "%s", s->folder);
	refuses(&other, ST_INVALID_ARGUMENT, "not a regular file");
	snprintf(other.path, sizeof(other.path), "%s/no/keys", s->folder);
	struct keyring *k = NULL;
	struct status st = start(&other, &k);
	assert_int_equal(st.code, ST_NOT_FOUND);
	assert_non_null(strstr(st.message, "/no/keys: No such file"));
	keyring_destroy(k);
	snprintf(other.path, sizeof(other.path), "%s/keys/keys", s->folder);
	refuses(&other, ST_NOT_FOUND, "Not a directory");
}

/* As a user whom the folder does not belong to. */
static void says_when_it_may_not_write(void **state)
{
	const struct scratch *s = *state;
	assert_int_equal(chmod(s->folder, 0555), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct keyring *k = NULL;
		if (geteuid() == 0 && seteuid(65534) != 0)
			_exit(2);
		struct status st = start(s, &k);
		_exit(st.code != ST_PERMISSION_DENIED || !strstr(st.message, s->path));
	}
	int how;
	assert_int_equal(waitpid(pid, &how, 0), pid);
	assert_int_equal(how, 0);
	assert_int_equal(scratch_count(s), 0);
}

#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(no_file_no_key),
		WITH_SCRATCH(makes_a_file_once),
		WITH_SCRATCH(mode_does_not_depend_on_umask),
		WITH_SCRATCH(two_new_files_differ),
		WITH_SCRATCH(racing_starts_agree),
		WITH_SCRATCH(reads_several_keys),
		WITH_SCRATCH(refuses_bad_lines),
		WITH_SCRATCH(refuses_too_much),
		WITH_SCRATCH(refuses_what_others_may_read),
		WITH_SCRATCH(refuses_what_is_no_file),
		WITH_SCRATCH(says_when_it_may_not_write),
	};
	return cmocka_run_group_tests_name("keyring", tests, NULL, NULL);
}
