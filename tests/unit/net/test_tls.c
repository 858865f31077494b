#include "net/tls.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "certificates.h"
#include "loop/loop.h"
#include "net/listener.h"
#include "net/tls_files.h"
#include "net/transport.h"

#define TOKEN "0193b2c4-0000-7000-8000-000000000001"

struct end {
	struct transport *t;
	struct buf in;
	bool called, closed;
	struct status why;
	unsigned drained;
};

struct world {
	struct loop *loop;
	struct transport_env *env;
	struct timer guard;
	struct listener *listener;
	struct tls_files *files;
	struct tls_context *client;
	struct authority ca;
	struct end server, peer;
	char dir[64], ca_pem[96], server_pem[96], client_pem[96], other_pem[96];
};

static void on_data(void *data, char *bytes, size_t len)
{
	buf_add(&((struct end *)data)->in, bytes, len);
}

static void on_drain(void *data)
{
	((struct end *)data)->drained++;
}

static void on_close(void *data, const struct status *why)
{
	struct end *e = data;
	assert_false(e->closed);
	e->closed = true;
	e->why = *why;
}

static const struct transport_events events = {on_data, on_drain, NULL, on_close};

static void on_accept(void *data, struct transport *t)
{
	struct world *w = data;
	transport_destroy(w->server.t);
	w->server.t = t;
	w->server.in.len = 0;
	w->server.closed = false;
	transport_start(t, &events, &w->server, (size_t)1 << 20);
}

static void on_connected(void *data, const struct status *st, struct transport *t)
{
	struct end *e = data;
	e->called = true;
	e->why = *st;
	e->t = t;
	if (t)
		transport_start(t, &events, e, (size_t)1 << 20);
}

static void on_guard(struct timer *t)
{
	(void)t;
	fail_msg("nothing happened for 20 s");
}

#define WAIT(w, condition)                                                                         \
	while (!(condition))                                                                       \
	loop_turn((w)->loop)

static void path(const struct world *w, char *ret, const char *name)
{
	(void)snprintf(ret, 96, "%s/%s", w->dir, name);
}

static void setup(struct world *w)
{
	*w = (struct world){.loop = loop_create()};
	log_configure(LOG_ERROR, LOG_KEY_VALUE);
	loop_set_watchdog(w->loop, 0);
	w->env = transport_env_create(w->loop);
	timer_init(&w->guard, w->loop, on_guard);
	timer_set(&w->guard, 20000);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/skep-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	path(w, w->ca_pem, "ca.pem");
	path(w, w->server_pem, "server.pem");
	path(w, w->client_pem, "client.pem");
	path(w, w->other_pem, "other.pem");
	authority_init(&w->ca, "test authority");
	write_pem(w->ca_pem, w->ca.certificate, NULL);
	make_pair(&w->ca, w->server_pem, "one", "DNS:localhost,IP:127.0.0.1");
	make_pair(&w->ca, w->client_pem, "client", "DNS:ci.example.com,URI:urn:skep:token:" TOKEN);
	const struct tls_client_files f = {.ca = w->ca_pem};
	struct status st = tls_context_client(&f, &w->client);
	assert_string_equal(st.message, "");
}

static void serve(struct world *w, bool tls_required, const char *client_ca, bool require_client)
{
	const struct tls_server_files f = {w->server_pem, w->server_pem, client_ca, require_client};
	struct status st = tls_files_create(w->loop, &f, 0, &w->files);
	assert_string_equal(st.message, "");
	st = listener_tcp(w->env, "127.0.0.1", 0, on_accept, w, &w->listener);
	assert_string_equal(st.message, "");
	listener_offer_tls(w->listener, w->files, tls_required);
}

static void teardown(struct world *w)
{
	listener_destroy(w->listener);
	transport_destroy(w->server.t);
	transport_destroy(w->peer.t);
	transport_env_destroy(w->env);
	tls_files_destroy(w->files);
	tls_context_unref(w->client);
	timer_stop(&w->guard);
	loop_destroy(w->loop);
	buf_finish(&w->server.in);
	buf_finish(&w->peer.in);
	authority_finish(&w->ca);
	(void)unlink(w->ca_pem);
	(void)unlink(w->server_pem);
	(void)unlink(w->client_pem);
	(void)unlink(w->other_pem);
	assert_int_equal(rmdir(w->dir), 0);
}

static void start_connecting(struct world *w, const char *host)
{
	w->peer.called = w->peer.closed = false;
	w->peer.in.len = 0;
	(void)transport_connect_tls(
		w->env, "127.0.0.1", listener_port(w->listener), w->client, host, on_connected, &w->peer);
}

static void connect_fails(struct world *w, const char *host, const char *words)
{
	start_connecting(w, host);
	WAIT(w, w->peer.called);
	assert_null(w->peer.t);
	assert_int_equal(w->peer.why.code, ST_UNAVAILABLE);
	if (!strstr(w->peer.why.message, words))
		fail_msg("\"%s\" should say \"%s\"", w->peer.why.message, words);
}

static void connect_works(struct world *w)
{
	start_connecting(w, "localhost");
	WAIT(w, w->peer.called);
	assert_string_equal(w->peer.why.message, "");
}

static void say(struct transport *t, const char *text)
{
	struct str s = str_of(text);
	transport_write(t, &s, 1);
}

static void bytes_both_ways(void **state)
{
	struct world w;
	(void)state;
	setup(&w);
	serve(&w, true, NULL, false);
	connect_works(&w);
	say(w.peer.t, "hello");
	WAIT(&w, w.server.in.len > 0);
	assert_true(str_is(buf_str(&w.server.in), "hello"));
	say(w.server.t, "and back");
	WAIT(&w, w.peer.in.len > 0);
	assert_true(str_is(buf_str(&w.peer.in), "and back"));
	assert_true(transport_is_private(w.server.t));
	assert_false(transport_needs_tls(w.server.t));
	assert_true(transport_received(w.server.t) > 5 + 200); /* as it travels */
	char id[40];
	assert_false(transport_peer_uri(w.server.t, "urn:skep:token:", id, sizeof(id)));
	transport_finish(w.peer.t, 1000);
	w.peer.t = NULL;
	WAIT(&w, w.server.closed);
	assert_int_equal(w.server.why.code, ST_OK);
	teardown(&w);
}

/* 8 MiB to a peer that does not read at first: held back, nothing sealed ahead of what can be sent. */
static void pressure_and_relief(void **state)
{
	struct world w;
	size_t n = (size_t)8 << 20;
	char *bytes = mem_alloc(n);
	(void)state;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 7 + i / 1000);
	setup(&w);
	serve(&w, true, NULL, false);
	connect_works(&w);
	say(w.peer.t, "?");
	WAIT(&w, w.server.in.len > 0);
	transport_pause(w.peer.t);
	struct str s = {bytes, n};
	transport_write(w.server.t, &s, 1);
	assert_true(transport_is_pressed(w.server.t));
	loop_turn(w.loop);
	loop_turn(w.loop);
	size_t before = transport_pending(w.server.t);
	transport_write(w.server.t, &s, 1);
	loop_turn(w.loop);
	assert_true(transport_pending(w.server.t) <= before + n); /* in `out`, once */
	transport_resume(w.peer.t);
	WAIT(&w, w.peer.in.len == 2 * n);
	assert_memory_equal(w.peer.in.ptr, bytes, n);
	assert_memory_equal(w.peer.in.ptr + n, bytes, n);
	WAIT(&w, transport_pending(w.server.t) == 0);
	assert_int_equal(w.server.drained, 1);
	free(bytes);
	teardown(&w);
}

static void who_is_not_trusted(void **state)
{
	struct world w;
	struct authority other;
	(void)state;
	setup(&w);
	serve(&w, true, NULL, false);
	connect_fails(&w, "example.com", "hostname mismatch");
	connect_fails(&w, "127.0.0.2", "IP address mismatch");
	authority_init(&other, "another authority");
	write_pem(w.other_pem, other.certificate, NULL);
	authority_finish(&other);
	tls_context_unref(w.client);
	const struct tls_client_files f = {.ca = w.other_pem};
	struct status st = tls_context_client(&f, &w.client);
	assert_string_equal(st.message, "");
	connect_fails(&w, "localhost", "TLS handshake: unable to get local issuer certificate");
	teardown(&w);
}

static void one_port_for_both(void **state)
{
	struct world w;
	(void)state;
	setup(&w);
	serve(&w, false, NULL, false);
	connect_works(&w);
	transport_destroy(w.peer.t);
	(void)transport_connect_tcp(w.env, "127.0.0.1", listener_port(w.listener), on_connected, &w.peer);
	w.peer.called = false;
	WAIT(&w, w.peer.called);
	say(w.peer.t, "GET / in clear");
	WAIT(&w, w.server.in.len > 0);
	assert_true(str_is(buf_str(&w.server.in), "GET / in clear"));
	assert_false(transport_needs_tls(w.server.t));
	teardown(&w);
}

static void clear_where_tls_is_required(void **state)
{
	struct world w;
	(void)state;
	setup(&w);
	serve(&w, true, NULL, false);
	(void)transport_connect_tcp(w.env, "127.0.0.1", listener_port(w.listener), on_connected, &w.peer);
	WAIT(&w, w.peer.called);
	say(w.peer.t, "GET /");
	WAIT(&w, w.server.in.len > 0); /* whoever speaks the protocol says so in its words */
	assert_true(transport_needs_tls(w.server.t));
	teardown(&w);
}

static void use_client_certificate(struct world *w)
{
	const struct tls_client_files f = {.ca = w->ca_pem, .certificate = w->client_pem};
	tls_context_unref(w->client);
	struct status st = tls_context_client(&f, &w->client);
	assert_string_equal(st.message, "");
}

static void client_certificates(void **state)
{
	struct world w;
	char id[40], tiny[36];
	(void)state;
	setup(&w);
	serve(&w, true, w.ca_pem, true);
	start_connecting(&w, "localhost"); /* in TLS 1.3 the client is done before it is refused */
	WAIT(&w, w.server.closed);
	assert_non_null(strstr(w.server.why.message, "peer did not return a certificate"));
	transport_destroy(w.peer.t);
	w.peer.t = NULL;
	use_client_certificate(&w);
	connect_works(&w);
	say(w.peer.t, "?");
	WAIT(&w, w.server.in.len > 0);
	assert_true(transport_peer_uri(w.server.t, "urn:skep:token:", id, sizeof(id)));
	assert_string_equal(id, TOKEN);
	assert_false(transport_peer_uri(w.server.t, "urn:skep:token:", tiny, sizeof(tiny)));
	assert_false(transport_peer_uri(w.server.t, "urn:other:", id, sizeof(id)));
	teardown(&w);
}

static void client_certificate_of_a_stranger(void **state)
{
	struct world w;
	struct authority other;
	(void)state;
	setup(&w);
	serve(&w, true, w.ca_pem, false); /* none would do */
	authority_init(&other, "test authority"); /* the same name, another key */
	make_pair(&other, w.client_pem, "client", "URI:urn:skep:token:" TOKEN);
	authority_finish(&other);
	use_client_certificate(&w);
	start_connecting(&w, "localhost");
	WAIT(&w, w.server.closed);
	assert_int_equal(w.server.why.code, ST_UNAVAILABLE);
	assert_non_null(strstr(w.server.why.message, "TLS handshake"));
	teardown(&w);
}

/* A new certificate is for new connections; the old ones go on; a bad file changes nothing. */
static void certificates_are_read_again(void **state)
{
	struct world w;
	struct authority other;
	(void)state;
	setup(&w);
	serve(&w, true, NULL, false);
	connect_works(&w);
	struct transport *old = w.peer.t;
	say(old, "?");
	WAIT(&w, w.server.in.len > 0);
	struct transport *old_server = w.server.t;
	w.server.t = NULL;

	FILE *f = fopen(w.server_pem, "we");
	(void)fputs("no certificate\n", f);
	(void)fclose(f);
	struct status st = tls_files_reload(w.files);
	assert_int_equal(st.code, ST_INVALID_ARGUMENT);
	assert_non_null(strstr(st.message, w.server_pem));
	connect_works(&w);
	transport_destroy(w.peer.t);

	authority_init(&other, "another authority");
	make_pair(&other, w.server_pem, "two", "DNS:localhost");
	authority_finish(&other);
	st = tls_files_reload(w.files);
	assert_string_equal(st.message, "");
	connect_fails(&w, "localhost", "issuer");
	say(old_server, "still here");
	w.peer.in.len = 0;
	WAIT(&w, w.peer.in.len > 0);
	assert_true(str_is(buf_str(&w.peer.in), "still here"));
	transport_destroy(old);
	w.peer.t = NULL;
	transport_destroy(old_server);
	teardown(&w);
}

static void files_are_looked_at(void **state)
{
	struct world w;
	(void)state;
	setup(&w);
	const struct tls_server_files f = {w.server_pem, w.server_pem, NULL, false};
	struct status st = tls_files_create(w.loop, &f, 1, &w.files);
	assert_string_equal(st.message, "");
	struct tls_context *first = tls_context_ref(tls_files_context(w.files));
	make_pair(&w.ca, w.other_pem, "two", "DNS:localhost");
	assert_int_equal(rename(w.other_pem, w.server_pem), 0);
	WAIT(&w, tls_files_context(w.files) != first);
	tls_context_unref(first);
	teardown(&w);
}

static void bad_files_have_words(void **state)
{
	struct world w;
	struct tls_context *c;
	(void)state;
	setup(&w);
	const struct {
		struct tls_server_files f;
		const char *words;
	} bad[] = {
		{{"/nonexistent.pem", w.server_pem, NULL, false}, "certificate /nonexistent.pem"},
		{{w.server_pem, "/nonexistent.pem", NULL, false}, "key /nonexistent.pem"},
		{{w.server_pem, w.ca_pem, NULL, false}, "key "},
		{{w.server_pem, w.client_pem, NULL, false}, "key values mismatch"},
		{{w.server_pem, w.server_pem, "/nonexistent.pem", false}, "authority of client certificates /nonexistent.pem"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct status st = tls_context_server(&bad[i].f, &c);
		assert_int_equal(st.code, ST_INVALID_ARGUMENT);
		if (!strstr(st.message, bad[i].words))
			fail_msg("\"%s\" should say \"%s\"", st.message, bad[i].words);
	}
	const struct tls_client_files client = {.ca = "/nonexistent.pem"};
	struct status st = tls_context_client(&client, &c);
	assert_int_equal(st.code, ST_INVALID_ARGUMENT);
	teardown(&w);
}

/* What begins like TLS and is none; a peer that goes in the middle; one that never answers. */
static void handshakes_that_end_badly(void **state)
{
	static const char garbage[] = "\x16\x03\x01\x00\x05hello, this is no handshake";
	struct world w;
	(void)state;
	setup(&w);
	serve(&w, false, NULL, false);
	(void)transport_connect_tcp(w.env, "127.0.0.1", listener_port(w.listener), on_connected, &w.peer);
	WAIT(&w, w.peer.called);
	struct str s = {garbage, sizeof(garbage) - 1};
	transport_write(w.peer.t, &s, 1);
	WAIT(&w, w.server.closed);
	assert_int_equal(w.server.why.code, ST_UNAVAILABLE);
	assert_non_null(strstr(w.server.why.message, "TLS handshake: "));
	say(w.server.t, "dropped");
	transport_destroy(w.server.t);
	w.server.t = NULL;
	WAIT(&w, w.peer.closed);
	assert_true(w.peer.in.len >= 7 && w.peer.in.ptr[0] == 0x15); /* an alert */

	transport_destroy(w.peer.t);
	start_connecting(&w, "localhost");
	WAIT(&w, w.server.t);
	transport_destroy(w.server.t);
	w.server.t = NULL;
	WAIT(&w, w.peer.called);
	assert_null(w.peer.t);

	w.peer.called = false;
	transport_connect_cancel(transport_connect_tls(
		w.env, "127.0.0.1", listener_port(w.listener), w.client, "localhost", on_connected, &w.peer));
	struct transport_connect *c = transport_connect_tls(
		w.env, "127.0.0.1", listener_port(w.listener), w.client, "localhost", on_connected, &w.peer);
	w.server.t = NULL;
	WAIT(&w, w.server.t);
	if (!w.peer.called) { /* in the middle of it, most of the time */
		transport_connect_cancel(c);
		WAIT(&w, w.server.closed);
		assert_false(w.peer.called);
	}
	teardown(&w);
}

/* Each byte that is changed on the way ends the connection. */
static void changed_bytes_are_noticed(void **state)
{
	struct world w;
	struct buf to_server = {0}, to_client = {0};
	char plain[65536];
	size_t len;
	bool end;
	(void)state;
	setup(&w);
	const struct tls_server_files f = {w.server_pem, w.server_pem, NULL, false};
	struct tls_context *context;
	struct status st = tls_context_server(&f, &context);
	assert_string_equal(st.message, "");
	struct tls *server = tls_create(context, NULL, &to_client), *client = tls_create(w.client, "localhost", &to_server);
	tls_context_unref(context);
	for (int i = 0; i < 4 && !(tls_is_up(client) && tls_is_up(server)); i++) {
		st = tls_read(server, buf_str(&to_server), plain, &len, &end);
		assert_string_equal(st.message, "");
		to_server.len = 0;
		st = tls_read(client, buf_str(&to_client), plain, &len, &end);
		assert_string_equal(st.message, "");
		to_client.len = 0;
	}
	assert_true(tls_is_up(server));
	assert_true(str_is(tls_protocol(server), "skep/1"));
	st = tls_write(client, STR("twelve bytes"));
	assert_string_equal(st.message, "");
	for (size_t i = 0; i + 1 < to_server.len; i++) { /* byte by byte, as the network may deliver */
		st = tls_read(server, str_make(to_server.ptr + i, 1), plain, &len, &end);
		assert_string_equal(st.message, "");
		assert_int_equal(len, 0);
	}
	to_server.ptr[to_server.len - 1] ^= 1;
	st = tls_read(server, str_make(to_server.ptr + to_server.len - 1, 1), plain, &len, &end);
	assert_int_equal(st.code, ST_UNAVAILABLE);
	assert_false(tls_is_up(server));
	st = tls_write(server, STR("x"));
	assert_int_equal(st.code, ST_UNAVAILABLE);
	tls_destroy(server);
	tls_destroy(client);
	buf_finish(&to_server);
	buf_finish(&to_client);
	teardown(&w);
}

/* ---- many handshakes at once ---- */

#define CROWD 200

struct crowd {
	struct world w;
	int fds[CROWD + 1]; /* clients by hand; the last one speaks in clear */
	struct end ends[CROWD + 2];
	unsigned n; /* accepted */
};

static void on_crowd(void *data, struct transport *t)
{
	struct crowd *c = data;
	c->ends[c->n].t = t;
	transport_start(t, &events, &c->ends[c->n++], (size_t)1 << 20);
}

static int connect_by_hand(unsigned port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* The first end is that of w.peer, which has its handshake behind it; then come those by hand, in turn. */
static void gather(struct crowd *c)
{
	struct world *w = &c->w;
	setup(w);
	serve(w, false, NULL, false);
	listener_destroy(w->listener);
	struct status st = listener_tcp(w->env, "127.0.0.1", 0, on_crowd, c, &w->listener);
	assert_string_equal(st.message, "");
	listener_offer_tls(w->listener, w->files, false);
	connect_works(w);
	for (unsigned i = 0; i <= CROWD; i++) {
		c->fds[i] = connect_by_hand(listener_port(w->listener));
		WAIT(w, c->n == i + 2);
	}
}

static void disperse(struct crowd *c)
{
	for (unsigned i = 0; i <= CROWD; i++)
		close(c->fds[i]);
	for (unsigned i = 0; i < c->n; i++) {
		transport_destroy(c->ends[i].t);
		buf_finish(&c->ends[i].in);
	}
	teardown(&c->w);
}

static void send_hellos(struct crowd *c)
{
	struct buf hello = {0};
	struct tls *client = tls_create(c->w.client, "localhost", &hello);
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(write(c->fds[i], hello.ptr, hello.len), hello.len);
	tls_destroy(client);
	buf_finish(&hello);
}

static unsigned answered(const struct crowd *c)
{
	unsigned n = 0;
	for (unsigned i = 1; i <= CROWD; i++)
		n += c->ends[i].t && transport_taken(c->ends[i].t) > 0;
	return n;
}

/* Each turn does a few; who is up, or speaks in clear, does not stand in their line. */
static void handshakes_take_turns(void **state)
{
	static struct crowd c;
	(void)state;
	gather(&c);
	uint64_t before = transport_env_put_off(c.w.env);
	send_hellos(&c);
	bool said = false, served = false;
	for (unsigned done = 0; done < CROWD;) {
		loop_turn(c.w.loop);
		unsigned now = answered(&c);
		assert_in_range(now - done, 0, 4);
		done = now;
		if (done > 0 && !said) {
			say(c.w.peer.t, "up");
			assert_int_equal(write(c.fds[CROWD], "clear", 5), 5);
			said = true;
		}
		served = served || (c.ends[0].in.len == 2 && c.ends[CROWD + 1].in.len == 5 && done < CROWD / 2);
	}
	assert_true(served);
	assert_in_range(transport_env_put_off(c.w.env) - before, CROWD / 2, CROWD);
	disperse(&c);
}

/* Those who leave the line by whatever door keep nobody else in it. */
static void handshakes_leave_the_line(void **state)
{
	static struct crowd c;
	unsigned left = 0, held = 0;
	(void)state;
	gather(&c);
	send_hellos(&c);
	WAIT(&c.w, transport_env_put_off(c.w.env) >= CROWD / 2);
	for (unsigned i = 1; i <= CROWD; i++) {
		struct transport *t = c.ends[i].t;
		if (transport_taken(t) > 0)
			continue;
		if (left < 40) {
			c.ends[i].t = NULL;
			if (left++ % 2)
				transport_destroy(t);
			else
				transport_finish(t, 60000);
		} else if (held < 40) {
			held++;
			transport_pause(t);
		} else if (held < 60) {
			held++;
			transport_pause(t);
			transport_resume(t);
			transport_resume(t);
		}
	}
	WAIT(&c.w, answered(&c) == CROWD - 40 - 40);
	for (unsigned i = 1; i <= CROWD; i++)
		if (c.ends[i].t)
			transport_resume(c.ends[i].t);
	WAIT(&c.w, answered(&c) == CROWD - 40);
	disperse(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_both_ways),
		cmocka_unit_test(pressure_and_relief),
		cmocka_unit_test(who_is_not_trusted),
		cmocka_unit_test(one_port_for_both),
		cmocka_unit_test(clear_where_tls_is_required),
		cmocka_unit_test(client_certificates),
		cmocka_unit_test(client_certificate_of_a_stranger),
		cmocka_unit_test(certificates_are_read_again),
		cmocka_unit_test(files_are_looked_at),
		cmocka_unit_test(bad_files_have_words),
		cmocka_unit_test(handshakes_that_end_badly),
		cmocka_unit_test(handshakes_take_turns),
		cmocka_unit_test(handshakes_leave_the_line),
		cmocka_unit_test(changed_bytes_are_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
