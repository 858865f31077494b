#include "stacks/fingerprint.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "crypto/crypto.h"

#define HEAD_LEN  16 /* bytes of the hash that decides */
#define MARK_LEN  6
#define MARKS_MAX 1000 /* above it differences have no names */

struct mark {
	unsigned char name[2], wanted[2], seen[2];
};
_Static_assert(sizeof(struct mark) == MARK_LEN, "marks are bytes");

struct print {
	struct mark *marks;
	const struct plan_action **actions; /* in the order of marks */
	size_t n;
	unsigned char head[HEAD_LEN];
};

static void hash(struct str bytes, unsigned char *ret, size_t len)
{
	unsigned char digest[SHA256_LEN];
	crypto_sha256(bytes, digest);
	memcpy(ret, digest, len);
}

/* Without what is known only when the stack is: a plan may come before it. */
static void write_wanted(struct buf *b, const struct plan_action *p)
{
	if (!p->wanted)
		return;
	json_t *body = json_copy((json_t *)(uintptr_t)p->wanted);
	json_t *labels = json_copy(json_object_get(body, "Labels"));
	if (labels) {
		(void)json_object_del(labels, LABEL_PROJECT);
		(void)json_object_del(labels, LABEL_STACK);
		json_object_set_new(body, "Labels", labels);
	}
	json_write_sorted(b, body);
	json_decref(body);
}

static void write_seen(struct buf *b, const struct plan_action *p)
{
	if (p->service) {
		buf_fmt(b, "%s %d ", p->service->id, (int)p->service->update);
		json_write_sorted(b, p->service->spec);
	} else if (p->object) {
		buf_fmt(b, "%s %llu", p->object->id, (unsigned long long)p->object->version);
	}
}

static void hash_part(struct buf *b, unsigned char *ret_short, unsigned char ret[SHA256_LEN])
{
	hash(buf_str(b), ret, SHA256_LEN);
	memcpy(ret_short, ret, 2);
	b->len = 0;
}

static int compare_actions(const void *left, const void *right)
{
	const struct plan_action *a = *(const struct plan_action *const *)left,
				 *b = *(const struct plan_action *const *)right;
	return a->kind != b->kind ? (a->kind < b->kind ? -1 : 1) : strcmp(a->name, b->name);
}

static struct print print_of(struct arena *a, const struct plan *p)
{
	struct print f = {.n = p->n};
	struct buf all = {0}, part = {0};
	f.marks = arena_array(a, struct mark, p->n + 1);
	f.actions = arena_array(a, const struct plan_action *, p->n + 1);
	for (size_t i = 0; i < p->n; i++)
		f.actions[i] = &p->actions[i];
	qsort(f.actions, f.n, sizeof(*f.actions), compare_actions);
	for (size_t i = 0; i < f.n; i++) {
		unsigned char full[SHA256_LEN];
		buf_fmt(&part, "%s %s", compose_kind_name(f.actions[i]->kind), f.actions[i]->name);
		hash_part(&part, f.marks[i].name, full);
		buf_add(&all, full, sizeof(full));
		write_wanted(&part, f.actions[i]);
		hash_part(&part, f.marks[i].wanted, full);
		buf_add(&all, full, sizeof(full));
		write_seen(&part, f.actions[i]);
		hash_part(&part, f.marks[i].seen, full);
		buf_add(&all, full, sizeof(full));
	}
	hash(buf_str(&all), f.head, HEAD_LEN);
	buf_finish(&all);
	buf_finish(&part);
	return f;
}

const char *fingerprint_make(struct arena *a, const struct plan *p)
{
	const struct print f = print_of(a, p);
	return arena_fmt(a, "%s.%s", str_hex(a, f.head, HEAD_LEN),
		f.n > MARKS_MAX ? "" : str_base64url(a, f.marks, f.n * MARK_LEN));
}

/* ---- what differs ---- */

static const struct mark *mark_named(
	const struct mark *marks, size_t n, const unsigned char name[2])
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(marks[i].name, name, 2) == 0)
			return &marks[i];
	return NULL;
}

static bool is_nothing(const unsigned char part[2])
{
	unsigned char nothing[2];
	hash(STR(""), nothing, 2);
	return memcmp(part, nothing, 2) == 0;
}

static const char *how_it_moved(const struct mark *then, const struct mark *now)
{
	if (!then || (is_nothing(then->seen) && !is_nothing(now->seen)))
		return "is new";
	return is_nothing(now->seen) ? "is gone" : "was changed";
}

static void list_moved(
	struct buf *b, const struct print *now, const struct mark *then, size_t n_then)
{
	for (size_t i = 0; i < now->n; i++) {
		const struct mark *t = mark_named(then, n_then, now->marks[i].name);
		if (t && memcmp(t->seen, now->marks[i].seen, 2) == 0)
			continue;
		if (!t && is_nothing(now->marks[i].seen))
			continue; /* of another text */
		buf_fmt(b, "%s%s %s %s", b->len ? ", " : "",
			compose_kind_name(now->actions[i]->kind), now->actions[i]->name,
			how_it_moved(t, &now->marks[i]));
	}
	for (size_t i = 0; i < n_then; i++)
		if (!mark_named(now->marks, now->n, then[i].name) && !is_nothing(then[i].seen) &&
			is_nothing(then[i].wanted)) {
			buf_fmt(b, "%swhat was to be removed is gone", b->len ? ", " : "");
			break;
		}
}

static void list_unplanned(
	struct buf *b, const struct print *now, const struct mark *then, size_t n_then)
{
	for (size_t i = 0; i < now->n; i++) {
		const struct mark *t = mark_named(then, n_then, now->marks[i].name);
		if (t ? memcmp(t->wanted, now->marks[i].wanted, 2) == 0
		      : is_nothing(now->marks[i].wanted))
			continue;
		buf_fmt(b, "%s%s %s", b->len ? ", " : "", compose_kind_name(now->actions[i]->kind),
			now->actions[i]->key);
	}
}

static struct status moved(struct arena *a, const struct print *now, struct str marks)
{
	struct buf world = {0}, text = {0};
	const struct mark *then = (const struct mark *)(const void *)marks.ptr;
	size_t n = marks.len / MARK_LEN;
	if (n > 0) {
		list_moved(&world, now, then, n);
		list_unplanned(&text, now, then, n);
	}
	const char *in_world = str_dup(a, buf_str(&world)), *in_text = str_dup(a, buf_str(&text));
	buf_finish(&world);
	buf_finish(&text);
	if (in_world[0] || !in_text[0])
		return status_err(ST_ABORTED, "the world moved since the plan%s%s; plan again",
			in_world[0] ? ": " : "", in_world);
	return status_err(ST_ABORTED,
		"this is not what was planned: another text, file, variable or image for %s; plan "
		"again",
		in_text);
}

struct status fingerprint_check(struct arena *a, const char *given, const struct plan *p)
{
	struct str marks = str_of(given), bytes, head;
	const struct str hex = str_cut(&marks, '.');
	const struct print now = print_of(a, p);
	if (!marks.ptr || !str_unhex(a, hex, &head) || head.len != HEAD_LEN ||
		!str_unbase64(a, marks, &bytes) || bytes.len % MARK_LEN != 0)
		return status_err(ST_INVALID_ARGUMENT,
			"this is no plan's fingerprint: give the one that a plan has printed");
	if (memcmp(head.ptr, now.head, HEAD_LEN) == 0)
		return status_ok();
	return moved(a, &now, bytes);
}
