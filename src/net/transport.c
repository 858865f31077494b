#include "net/transport.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>
#include "base/mem.h"
#include "loop/loop.h"
#include "net/peer.h"
#include "net/tls.h"

/* An output buffer that grew beyond this is given back once it is empty. */
#define KEEP_CAPACITY     ((size_t)256 * 1024)
#define KEEPALIVE_SECONDS 60
#define CLOSES_A_TURN     32
/* Whoever has said nothing yet can make us use the private key: 0.1 ms each with ECDSA, 6 ms with 4096 bits of RSA. */
#define SHAKES_A_TURN     4
#define SCRATCH           ((unsigned)128 * 1024)
#define TLS_FIRST         0x16 /* a record of the handshake's kind; no other protocol here begins so */

enum transport_state {
	T_OPEN,      /* the owner's */
	T_FINISHING, /* nobody's: sending the rest, then waiting for the peer's end */
	T_CLOSING,   /* uv_close was called */
};

struct transport_env {
	struct loop *loop;
	char *scratch; /* what is read … */
	char *plain;   /* … and what TLS made of it; NULL until there is some */
	unsigned refs; /* the owner, and each transport until its handle has closed */
	struct list transports;
	unsigned open;
	unsigned closes;    /* in this turn */
	unsigned may_close; /* … at most */
	struct list late;   /* those that are over, and closed in a turn to come */
	unsigned n_late;
	unsigned shakes;          /* reads of clients' handshakes in this turn, done or let through */
	unsigned let_through;     /* … of which these are not done yet */
	struct list shakes_later; /* those that are not read until their turn comes, first come first */
	uint64_t put_off;         /* … since the start */
	struct defer turn;        /* the next turn */
	bool destroyed;
};

struct transport {
	struct list node; /* in env->transports */
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	struct transport_env *env;
	const struct transport_events *events;
	void *data;
	struct defer flush;
	struct timer linger;
	uv_write_t write;
	uv_shutdown_t shutdown;
	struct tls_context *offered; /* until the first byte says whether the peer takes it; or NULL */
	struct tls *tls;             /* NULL: what is sent is what travels */
	struct list shake;           /* in env->shakes_later */
	bool may_shake;              /* it has waited there, and was let through */
	void (*on_up)(void *data);
	void *up_data;
	struct buf out;      /* appended to in this turn */
	struct buf sealed;   /* the same, and what TLS says itself, as it travels */
	struct buf inflight; /* with libuv, until `write` completes */
	size_t handed;       /* bytes of inflight that uv_write was given */
	size_t high_water;
	uint64_t received, written;
	enum transport_state state;
	bool is_unix, pressed, broken, shut;
	bool needs_tls, ended; /* TLS: the peer was told that no more comes */
	struct peer peer;
};

static void close_now(struct transport *t);
static void on_turn(struct defer *d);
static void close_late(struct transport_env *env);
static void flush(struct transport *t);

/* libuv writes without MSG_NOSIGNAL: a peer that has gone must be an error, not our death. */
static void ignore_sigpipe(void)
{
	struct sigaction now;
	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
		now.sa_handler = SIG_IGN;
		(void)sigaction(SIGPIPE, &now, NULL);
	}
}

struct transport_env *transport_env_create(struct loop *l)
{
	ignore_sigpipe();
	struct transport_env *env = mem_new(struct transport_env);
	env->loop = l;
	env->scratch = mem_alloc(SCRATCH);
	env->refs = 1;
	list_init(&env->transports);
	list_init(&env->late);
	list_init(&env->shakes_later);
	env->may_close = CLOSES_A_TURN;
	defer_init_named(&env->turn, l, on_turn, "transport_turn");
	return env;
}

static int fd_of(const struct transport *t)
{
	uv_os_fd_t fd = -1;
	(void)uv_fileno((const uv_handle_t *)&t->uv.stream, &fd);
	return fd;
}

static void env_unref(struct transport_env *env)
{
	if (--env->refs > 0)
		return;
	free(env->scratch);
	free(env->plain);
	free(env);
}

void transport_env_destroy(struct transport_env *env)
{
	if (!env)
		return;
	list_for_each (&env->transports, n) {
		struct transport *t = container_of(n, struct transport, node);
		if (t->state == T_FINISHING)
			flush(t);
		close_now(t);
	}
	env->destroyed = true;
	close_late(env);
	defer_cancel(&env->turn);
	env_unref(env);
}

struct loop *transport_env_loop(const struct transport_env *env)
{
	return env->loop;
}

unsigned transport_env_open(const struct transport_env *env)
{
	return env->open;
}

uint64_t transport_env_put_off(const struct transport_env *env)
{
	return env->put_off;
}

struct status transport_error(const char *what, int err)
{
	char words[128];
	uv_strerror_r(err, words, sizeof(words));
	return status_err(ST_UNAVAILABLE, "%s: %s", what, words);
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *h)
{
	struct transport *t = h->data;
	tls_context_unref(t->offered);
	tls_destroy(t->tls);
	buf_finish(&t->out);
	buf_finish(&t->sealed);
	buf_finish(&t->inflight);
	env_unref(t->env);
	free(t);
}

/* The kernel takes its time over it: the other side is told at once. */
static void close_handle(struct transport *t)
{
	t->env->open--;
	uv_close((uv_handle_t *)&t->uv.stream, on_closed);
}

static void close_late(struct transport_env *env)
{
	struct list *node;
	while ((env->destroyed || env->closes < env->may_close) && (node = list_pop(&env->late))) {
		env->closes++;
		env->n_late--;
		close_handle(container_of(node, struct transport, node));
	}
}

static void shake_late(struct transport_env *env)
{
	struct list *node;
	while (env->shakes < SHAKES_A_TURN && (node = list_pop(&env->shakes_later))) {
		struct transport *t = container_of(node, struct transport, shake);
		env->shakes++;
		env->let_through++;
		t->may_shake = true;
		transport_resume(t);
	}
}

static void on_turn(struct defer *d)
{
	struct transport_env *env = container_of(d, struct transport_env, turn);
	env->closes = 0;
	env->may_close = CLOSES_A_TURN + env->n_late / CLOSES_A_TURN; /* their descriptors are wanted again */
	close_late(env);
	env->shakes = env->let_through;
	shake_late(env);
	if (env->closes > 0 || env->shakes > 0)
		defer_post(&env->turn);
}

static void leave_shakes(struct transport *t)
{
	list_remove(&t->shake);
	t->env->let_through -= t->may_shake;
	t->may_shake = false;
}

/* When thousands go at once, whoever is there or comes is served in between. */
static void close_now(struct transport *t)
{
	struct transport_env *env = t->env;
	if (t->state == T_CLOSING)
		return;
	t->state = T_CLOSING;
	list_remove(&t->node);
	leave_shakes(t);
	defer_cancel(&t->flush);
	timer_stop(&t->linger);
	if (!env->destroyed)
		defer_post(&env->turn);
	if (env->destroyed || env->closes++ < env->may_close) {
		close_handle(t);
		return;
	}
	uv_read_stop(&t->uv.stream);
	list_push(&env->late, &t->node);
	env->n_late++;
}

void transport_destroy(struct transport *t)
{
	if (t)
		close_now(t);
}

static void on_linger(struct timer *timer)
{
	close_now(container_of(timer, struct transport, linger));
}

static void on_shutdown(uv_shutdown_t *req, int err)
{
	struct transport *t = req->data;
	if (err && t->state == T_FINISHING)
		close_now(t);
}

static void shut_when_sent(struct transport *t)
{
	if (t->tls && !t->ended && transport_pending(t) == 0) {
		t->ended = true;
		tls_end(t->tls);
		flush(t);
	}
	if (t->shut || t->state != T_FINISHING || transport_pending(t) > 0)
		return;
	t->shut = true;
	t->shutdown.data = t;
	if (uv_shutdown(&t->shutdown, &t->uv.stream, on_shutdown) != 0)
		close_now(t);
}

static void broke(struct transport *t, const struct status *why)
{
	if (t->state == T_FINISHING) {
		close_now(t);
		return;
	}
	if (t->state != T_OPEN || t->broken)
		return;
	t->broken = true;
	uv_read_stop(&t->uv.stream);
	if (t->events)
		t->events->on_close(t->data, why);
}

/* ---- output ---- */

static void on_written(uv_write_t *req, int err);

static void give_back(struct buf *b)
{
	b->len = 0;
	if (b->cap > KEEP_CAPACITY)
		buf_finish(b);
}

/* What the kernel does not take at once waits in `inflight`; `b` starts anew. */
static int hand_over(struct transport *t, struct buf *b, size_t sent)
{
	struct buf spare = t->inflight;
	t->inflight = *b;
	*b = spare;
	t->handed = t->inflight.len - sent;
	t->write.data = t;
	uv_buf_t rest = uv_buf_init(t->inflight.ptr + sent, (unsigned)t->handed);
	int err = uv_write(&t->write, &t->uv.stream, &rest, 1, on_written);
	if (err)
		t->handed = 0;
	return err;
}

/* What uv_try_write does where nothing waits already, by a shorter way through the kernel: to a server of small
 * answers 3 % of all it does. */
static int send_some(struct transport *t, struct str bytes, size_t *ret_sent)
{
	ssize_t n;
	do
		n = send(fd_of(t), bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == ENOBUFS ? 0 : uv_translate_sys_error(errno);
	*ret_sent = (size_t)n;
	return 0;
}

static void send_buf(struct transport *t, struct buf *b)
{
	if (t->handed > 0 || b->len == 0)
		return;
	size_t n = 0;
	int err = send_some(t, buf_str(b), &n);
	t->written += n;
	if (!err && n == b->len)
		give_back(b);
	else if (!err)
		err = hand_over(t, b, n);
	if (err) {
		struct status st = transport_error("write", err);
		broke(t, &st);
	}
}

/* Only what can be written now: while the kernel takes nothing, no second copy grows beside `out`. */
static void seal(struct transport *t)
{
	if (t->out.len == 0 || !tls_is_up(t->tls))
		return;
	struct status st = tls_write(t->tls, buf_str(&t->out));
	give_back(&t->out);
	if (!status_is_ok(&st))
		broke(t, &st);
}

static void flush(struct transport *t)
{
	if (!t->broken && t->handed == 0 && t->tls)
		seal(t);
	if (!t->broken)
		send_buf(t, t->tls ? &t->sealed : &t->out);
}

static void check_pressure(struct transport *t)
{
	size_t pending = transport_pending(t);
	if (!t->pressed) {
		t->pressed = t->high_water > 0 && pending > t->high_water;
	} else if (pending <= t->high_water / 2) {
		t->pressed = false;
		if (t->events && t->state == T_OPEN && !t->broken)
			t->events->on_drain(t->data);
	}
}

static void on_flush(struct defer *d)
{
	struct transport *t = container_of(d, struct transport, flush);
	flush(t);
	check_pressure(t);
	if (t->state == T_FINISHING)
		shut_when_sent(t);
	else if (t->state == T_OPEN && !t->broken && t->events && t->events->on_flush)
		t->events->on_flush(t->data);
}

static void on_written(uv_write_t *req, int err)
{
	struct transport *t = req->data;
	if (t->state == T_CLOSING)
		return;
	struct loop *l = t->env->loop; /* a callback may end the owner, with its env */
	uint64_t token = loop_enter(l, "transport_written");
	t->written += t->handed;
	t->handed = 0;
	give_back(&t->inflight);
	if (err) {
		struct status st = transport_error("write", err);
		broke(t, &st);
	} else {
		on_flush(&t->flush);
	}
	loop_leave(l, token);
}

struct buf *transport_out(struct transport *t)
{
	return &t->out;
}

void transport_commit(struct transport *t)
{
	if (t->state != T_OPEN || t->broken) {
		t->out.len = 0;
		return;
	}
	if (!t->pressed && t->high_water > 0)
		t->pressed = transport_pending(t) > t->high_water;
	defer_post(&t->flush);
}

void transport_write(struct transport *t, const struct str *bufs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_add_str(&t->out, bufs[i]);
	transport_commit(t);
}

size_t transport_pending(const struct transport *t)
{
	size_t waiting = t->handed ? uv_stream_get_write_queue_size(&t->uv.stream) : 0;
	return t->out.len + t->sealed.len + waiting;
}

void transport_rest(struct transport *t)
{
	struct buf *const bufs[] = {&t->out, &t->sealed, &t->inflight};
	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]) && t->handed == 0; i++)
		if (bufs[i]->len == 0)
			buf_finish(bufs[i]);
}

bool transport_is_pressed(const struct transport *t)
{
	return t->pressed;
}

uint64_t transport_received(const struct transport *t)
{
	return t->received;
}

uint64_t transport_taken(const struct transport *t)
{
	if (!t->handed)
		return t->written;
	return t->written + t->handed - uv_stream_get_write_queue_size(&t->uv.stream);
}

/* ---- input ---- */

static bool is_shaking(const struct transport *t)
{
	return t->tls && !t->on_up && !tls_is_up(t->tls);
}

static bool begins_tls(const struct transport *t)
{
	char first = 0;
	return recv(fd_of(t), &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first == TLS_FIRST;
}

/* What such a one has sent stays with the kernel. */
static bool must_wait(const struct transport *t)
{
	const struct transport_env *env = t->env;
	if (t->state != T_OPEN || t->may_shake || env->shakes < SHAKES_A_TURN)
		return false;
	return is_shaking(t) || (t->offered && begins_tls(t));
}

static void wait_for_turn(struct transport *t)
{
	uv_read_stop(&t->uv.stream);
	if (!list_empty(&t->shake))
		return;
	list_push(&t->env->shakes_later, &t->shake);
	t->env->put_off++;
}

static void count_shake(struct transport *t)
{
	t->env->shakes += !t->may_shake;
	leave_shakes(t);
	defer_post(&t->env->turn);
}

/* libuv says when there is something to read, and leaves the reading to us: given no buffer, it calls back with UV_ENOBUFS. */
static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret_buf)
{
	(void)h;
	(void)suggested;
	*ret_buf = uv_buf_init(NULL, 0);
}

/* In the place of libuv's read(2), by the shorter way through the kernel that send_some takes too: 2 % of a small call. Returns how
 * many bytes, UV_EOF, an error, or 0: there is nothing after all. */
static ssize_t receive_some(struct transport *t)
{
	ssize_t n;
	do
		n = recv(fd_of(t), t->env->scratch, SCRATCH, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : uv_translate_sys_error(errno);
	return n > 0 ? n : UV_EOF;
}

static void secure(struct transport *t, struct tls_context *context, const char *host)
{
	t->tls = tls_create(context, host, &t->sealed);
	if (!t->env->plain)
		t->env->plain = mem_alloc(SCRATCH + TLS_RECORD_MAX);
}

static void settle_offer(struct transport *t, char first)
{
	if (first == TLS_FIRST) {
		secure(t, t->offered, NULL);
		t->needs_tls = false;
	}
	tls_context_unref(t->offered);
	t->offered = NULL;
}

static void open_sealed(struct transport *t, struct str bytes)
{
	bool was_up = tls_is_up(t->tls), end;
	size_t len;
	if (is_shaking(t))
		count_shake(t);
	struct status st = tls_read(t->tls, bytes, t->env->plain, &len, &end);
	if (!status_is_ok(&st)) {
		send_buf(t, &t->sealed); /* the alert: the owner will close at once */
		broke(t, &st);
		return;
	}
	defer_post(&t->flush); /* TLS may have something to say, or let go what waited for it */
	if (!was_up && tls_is_up(t->tls) && t->on_up)
		t->on_up(t->up_data);
	if (len > 0 && t->state == T_OPEN && !t->broken)
		t->events->on_data(t->data, t->env->plain, len);
	if (end) {
		st = status_ok();
		broke(t, &st);
	}
}

static void on_readable(uv_stream_t *s, ssize_t said, const uv_buf_t *buf)
{
	struct transport *t = s->data;
	char *bytes = t->env->scratch;
	(void)buf;
	if (t->state == T_CLOSING)
		return;
	if (must_wait(t)) {
		wait_for_turn(t);
		return;
	}
	ssize_t n = said == UV_ENOBUFS ? receive_some(t) : said;
	if (n == 0)
		return;
	struct loop *l = t->env->loop;
	uint64_t token = loop_enter(l, "transport_read");
	if (n < 0) {
		struct status st = n == UV_EOF ? status_ok() : transport_error("read", (int)n);
		broke(t, &st);
	} else if (t->state == T_OPEN) {
		t->received += (uint64_t)n;
		if (t->offered)
			settle_offer(t, bytes[0]);
		if (t->tls)
			open_sealed(t, str_make(bytes, (size_t)n));
		else
			t->events->on_data(t->data, bytes, (size_t)n);
	}
	loop_leave(l, token);
}

void transport_start(
	struct transport *t, const struct transport_events *events, void *data, size_t high_water)
{
	t->events = events;
	t->data = data;
	t->high_water = high_water;
	transport_resume(t);
}

void transport_pause(struct transport *t)
{
	leave_shakes(t);
	uv_read_stop(&t->uv.stream);
}

void transport_resume(struct transport *t)
{
	if (t->state == T_OPEN && !t->broken)
		(void)uv_read_start(&t->uv.stream, on_alloc, on_readable); /* EALREADY is fine */
}

void transport_finish(struct transport *t, uint64_t linger_ms)
{
	if (!t || t->state != T_OPEN)
		return;
	if (t->broken) {
		close_now(t);
		return;
	}
	t->state = T_FINISHING;
	t->events = NULL;
	leave_shakes(t);
	if (t->offered || (t->tls && !tls_is_up(t->tls)))
		t->out.len = 0; /* there is nobody yet to whom it could be said */
	timer_set(&t->linger, linger_ms);
	(void)uv_read_start(&t->uv.stream, on_alloc, on_readable);
	defer_post(&t->flush);
}

/* ---- who is there ---- */

const char *transport_peer(const struct transport *t)
{
	return t->peer.text;
}

bool transport_peer_uid(const struct transport *t, uid_t *ret_uid)
{
	if (t->peer.has_uid)
		*ret_uid = t->peer.uid;
	return t->peer.has_uid;
}

bool transport_peer_uri(const struct transport *t, const char *prefix, char *ret_rest, size_t size)
{
	return t->tls && tls_peer_uri(t->tls, prefix, ret_rest, size);
}

bool transport_is_private(const struct transport *t)
{
	return t->is_unix || t->peer.is_loopback || t->tls;
}

bool transport_needs_tls(const struct transport *t)
{
	return t->needs_tls;
}

/* ---- TLS ---- */

void transport_offer_tls(struct transport *t, struct tls_context *context, bool required)
{
	t->offered = tls_context_ref(context);
	t->needs_tls = required;
}

void transport_secure(
	struct transport *t, struct tls_context *context, const char *host, void (*on_up)(void *data), void *data)
{
	t->on_up = on_up;
	t->up_data = data;
	secure(t, context, host);
	defer_post(&t->flush);
}

/* ---- making one ---- */

struct transport *transport_prepare(struct transport_env *env, bool is_unix)
{
	struct transport *t = mem_new(struct transport);
	t->env = env;
	env->refs++;
	list_push(&env->transports, &t->node);
	env->open++;
	list_init(&t->shake);
	t->is_unix = is_unix;
	defer_init_named(&t->flush, env->loop, on_flush, "transport_flush");
	timer_init_named(&t->linger, env->loop, on_linger, "transport_linger");
	if (is_unix)
		uv_pipe_init(loop_uv(env->loop), &t->uv.pipe, 0);
	else
		uv_tcp_init(loop_uv(env->loop), &t->uv.tcp);
	t->uv.stream.data = t;
	return t;
}

struct uv_stream_s *transport_stream(struct transport *t)
{
	return &t->uv.stream;
}

void transport_accepted(struct transport *t)
{
	peer_describe(&t->peer, fd_of(t), t->is_unix);
	if (t->is_unix)
		return;
	uv_tcp_nodelay(&t->uv.tcp, 1);
	uv_tcp_keepalive(&t->uv.tcp, 1, KEEPALIVE_SECONDS);
}

struct status transport_adopt(struct transport_env *env, int fd, struct transport **ret_t)
{
	int domain = 0;
	socklen_t len = sizeof(domain);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0) {
		close(fd);
		return status_err(ST_INVALID_ARGUMENT, "descriptor %d is not a socket", fd);
	}
	struct transport *t = transport_prepare(env, domain == AF_UNIX);
	int err = t->is_unix ? uv_pipe_open(&t->uv.pipe, fd) : uv_tcp_open(&t->uv.tcp, fd);
	if (err) {
		close(fd);
		transport_destroy(t);
		return transport_error("adopt a socket", err);
	}
	transport_accepted(t);
	*ret_t = t;
	return status_ok();
}
