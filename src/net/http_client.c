#include "net/http_client.h"
#include <curl/curl.h>
#include <stdlib.h>
#include <uv.h>
#include "base/list.h"
#include "base/mem.h"
#include "loop/op.h"

#define CONNECT_MS 10000

enum lane_name { LANE_PLAIN, LANE_STREAM, LANES };

/* HTTP/1.1 carries one request a connection: a cap on requests is a cap on connections. */
struct lane {
	struct list waiting;
	unsigned busy, max;
};

/* curl forbids adding and removing handles from inside its callbacks, and ours may ask for
 * either: requests therefore enter curl in on_pump and leave it in on_complete or on_pump,
 * which run as defers, outside of curl. */
struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct timer timer; /* curl's */
	struct defer pump;
	struct lane lanes[LANES];
	struct list active;
	struct list dropped;
};

struct http_request {
	struct list node; /* in lane->waiting, client->active or client->dropped */
	struct http_client *client;
	struct lane *lane;
	struct op op;
	struct defer resume;
	bool (*on_data)(void *data, struct str piece);
	void (*on_open)(void *data, const struct http_response *r);
	void (*on_done)(void *data, const struct status *st, const struct http_response *r);
	void *data;
	CURL *easy; /* NULL: it waits; curl's own state is ten times ours */
	struct curl_slist *headers;
	char *method, *url, *unix_socket;
	struct buf out, in;
	size_t max_body;
	bool active, open, too_large, pieces;
	char *peer;   /* "the Docker Engine" */
	char *target; /* "unix:///var/run/docker.sock" or the URL's origin */
	struct http_response response;
	char why[CURL_ERROR_SIZE];
};

/* A descriptor that curl waits for. */
struct sock {
	uv_poll_t poll;
	struct http_client *client;
	curl_socket_t fd;
};

/* ---- what came ---- */

static const char *response_header(const struct http_response *response, const char *name)
{
	const struct http_request *r = container_of(response, const struct http_request, response);
	struct curl_header *h;
	if (!r->easy || curl_easy_header(r->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return NULL;
	return h->value;
}

static void read_response(struct http_request *r)
{
	struct http_response *a = &r->response;
	const char *type = NULL;
	curl_off_t pretransfer = 0;
	if (!r->easy)
		return;
	(void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &a->code);
	(void)curl_easy_getinfo(r->easy, CURLINFO_CONTENT_TYPE, &type);
	(void)curl_easy_getinfo(r->easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
	a->sent = pretransfer > 0 || a->code > 0;
	a->content_type = type ? type : "";
	a->body = buf_str(&r->in);
}

static const char *curl_words(const struct http_request *r, CURLcode code)
{
	return r->why[0] ? r->why : curl_easy_strerror(code);
}

static struct status connect_failure(const struct http_request *r, CURLcode code)
{
	long number = 0;
	char words[128];
	(void)curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &number);
	if (code != CURLE_COULDNT_CONNECT || number <= 0)
		return status_err(ST_UNAVAILABLE, "cannot connect to %s at %s: %s", r->peer,
			r->target, curl_words(r, code));
	return status_err(ST_UNAVAILABLE, "cannot connect to %s at %s: %s", r->peer, r->target,
		strerror_r((int)number, words, sizeof words));
}

static struct status transfer_status(const struct http_request *r, CURLcode code)
{
	if (code == CURLE_OK)
		return status_ok();
	if (r->too_large)
		return status_err(ST_RESOURCE_EXHAUSTED,
			"%s at %s: the reply is larger than %zu bytes", r->peer, r->target,
			r->max_body);
	if (code == CURLE_URL_MALFORMAT ||
		(code == CURLE_UNSUPPORTED_PROTOCOL && !r->response.sent))
		return status_err(ST_INVALID_ARGUMENT, "%s: not a URL that can be used: %s",
			r->target, curl_words(r, code));
	if (!r->response.sent)
		return connect_failure(r, code);
	if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY)
		return status_err(ST_INTERNAL, "%s at %s: the reply is not HTTP: %s", r->peer,
			r->target, curl_words(r, code));
	return status_err(ST_UNAVAILABLE, "%s at %s: connection lost: %s", r->peer, r->target,
		curl_words(r, code));
}

/* ---- leaving ---- */

static void request_detach(struct http_request *r)
{
	list_remove(&r->node);
	if (!r->active)
		return;
	(void)curl_multi_remove_handle(r->client->multi, r->easy);
	r->active = false;
	r->lane->busy--;
	if (!list_empty(&r->lane->waiting))
		defer_post(&r->client->pump);
}

static void request_free(struct http_request *r)
{
	request_detach(r);
	defer_cancel(&r->resume);
	curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	buf_finish(&r->out);
	buf_finish(&r->in);
	free(r->method);
	free(r->url);
	free(r->unix_socket);
	free(r->peer);
	free(r->target);
	free(r);
}

static void on_complete(struct op *op)
{
	struct http_request *r = container_of(op, struct http_request, op);
	struct status st = op->st;
	read_response(r);
	request_detach(r);
	if (st.code == ST_DEADLINE_EXCEEDED)
		st = status_wrap(&op->st, "%s at %s", r->peer, r->target);
	r->on_done(r->data, &st, &r->response);
	request_free(r);
}

static void collect_messages(struct http_client *c)
{
	CURLMsg *m;
	int left;
	while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
		struct http_request *r;
		if (m->msg != CURLMSG_DONE ||
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r) != CURLE_OK)
			continue;
		read_response(r);
		struct status st = transfer_status(r, m->data.result);
		op_finish(&r->op, &st);
	}
}

/* ---- curl asks ---- */

static void on_poll(uv_poll_t *handle, int status, int events)
{
	const struct sock *s = handle->data;
	struct http_client *c = s->client;
	int flags = 0, running;
	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	uint64_t token = loop_enter(c->loop, "http socket");
	(void)curl_multi_socket_action(c->multi, s->fd, flags, &running); /* s may be gone now */
	collect_messages(c);
	loop_leave(c->loop, token);
}

static void on_timer(struct timer *t)
{
	struct http_client *c = container_of(t, struct http_client, timer);
	int running;
	(void)curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect_messages(c);
}

static int on_curl_timer(CURLM *multi, long ms, void *data)
{
	struct http_client *c = data;
	(void)multi;
	if (ms < 0)
		timer_stop(&c->timer);
	else
		timer_set(&c->timer, (uint64_t)ms);
	return 0;
}

static void on_sock_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static struct sock *sock_create(struct http_client *c, curl_socket_t fd)
{
	struct sock *s = mem_new(struct sock);
	s->client = c;
	s->fd = fd;
	if (uv_poll_init_socket(loop_uv(c->loop), &s->poll, fd) != 0) {
		free(s);
		return NULL;
	}
	s->poll.data = s;
	(void)curl_multi_assign(c->multi, fd, s);
	return s;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct sock *s = socket_data;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			uv_close((uv_handle_t *)&s->poll, on_sock_closed);
		return 0;
	}
	if (s == NULL && (s = sock_create(data, fd)) == NULL)
		return -1;
	int events =
		(what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	return uv_poll_start(&s->poll, events, on_poll) == 0 ? 0 : -1;
}

static bool is_success(const struct http_request *r)
{
	return r->response.code >= 200 && r->response.code < 300;
}

/* The empty line ends the headers; those of a 1xx announce others. */
static size_t on_curl_header(char *line, size_t size, size_t n, void *data)
{
	struct http_request *r = data;
	size_t len = size * n;
	if (len > 2 || r->on_data == NULL || r->open || !op_is_running(&r->op))
		return len;
	read_response(r);
	if (len == 2 && memcmp(line, "\r\n", 2) == 0 && is_success(r)) {
		r->open = true;
		if (!r->pieces)
			timer_stop(&r->op.deadline);
		if (r->on_open)
			r->on_open(r->data, &r->response);
	}
	return len;
}

static size_t on_curl_write(char *p, size_t size, size_t n, void *data)
{
	struct http_request *r = data;
	size_t len = size * n;
	if (!op_is_running(&r->op)) /* cancelled or dropped from inside a callback */
		return CURL_WRITEFUNC_ERROR;
	if (r->open) {
		if (!r->on_data(r->data, str_make(p, len)))
			(void)curl_easy_pause(r->easy, CURLPAUSE_RECV);
		return len;
	}
	if (len > r->max_body - r->in.len) {
		r->too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	buf_add(&r->in, p, len);
	return len;
}

static void on_resume(struct defer *d)
{
	struct http_request *r = container_of(d, struct http_request, resume);
	struct http_client *c = r->client;
	if (!r->active || !op_is_running(&r->op))
		return;
	(void)curl_easy_pause(r->easy, CURLPAUSE_CONT); /* delivers what curl held back */
	collect_messages(c);
}

/* ---- entering ---- */

#define SET(easy, option, value) (void)curl_easy_setopt((easy), CURLOPT_##option, (value))

static void set_method(struct http_request *r)
{
	bool post = strcmp(r->method, "POST") == 0;
	if (r->out.ptr || post) {
		SET(r->easy, POSTFIELDSIZE_LARGE, (curl_off_t)r->out.len);
		SET(r->easy, POSTFIELDS, r->out.ptr ? r->out.ptr : "");
	}
	if (strcmp(r->method, "HEAD") == 0)
		SET(r->easy, NOBODY, 1L);
	else
		SET(r->easy, CUSTOMREQUEST, r->method);
}

static void set_target(struct http_request *r)
{
	if (r->unix_socket) {
		SET(r->easy, UNIX_SOCKET_PATH, r->unix_socket);
		SET(r->easy, PROXY, ""); /* whatever the environment says */
	}
	SET(r->easy, URL, r->url);
}

/* What messages call it. */
static char *target_of(const struct http_request_options *o)
{
	struct buf target = {0};
	if (o->unix_socket) {
		buf_fmt(&target, "unix://%s", o->unix_socket);
	} else {
		const char *host = strstr(o->url, "://");
		size_t skip = host ? (size_t)(host - o->url) + 3 : 0;
		buf_add(&target, o->url, skip + strcspn(o->url + skip, "/?#"));
	}
	return target.ptr ? target.ptr : mem_strdup("");
}

static void set_callbacks(struct http_request *r)
{
	SET(r->easy, PRIVATE, r);
	SET(r->easy, ERRORBUFFER, r->why);
	SET(r->easy, HEADERFUNCTION, on_curl_header);
	SET(r->easy, HEADERDATA, r);
	SET(r->easy, WRITEFUNCTION, on_curl_write);
	SET(r->easy, WRITEDATA, r);
}

static void set_headers(struct http_request *r, const struct http_request_options *o)
{
	r->headers = curl_slist_append(NULL, "Expect:"); /* no 100-continue round trip */
	for (size_t i = 0; o->headers && o->headers[i]; i++)
		r->headers = curl_slist_append(r->headers, o->headers[i]);
}

/* Its turn has come. */
static void set_up(struct http_request *r)
{
	if ((r->easy = curl_easy_init()) == NULL)
		mem_abort("curl: out of memory");
	SET(r->easy, NOSIGNAL, 1L);
	SET(r->easy, PATH_AS_IS, 1L);
	SET(r->easy, QUICK_EXIT, 1L); /* giving up does not wait for the resolver's thread */
	SET(r->easy, PROTOCOLS_STR, "http,https");
	SET(r->easy, HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(r->easy, CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	SET(r->easy, TCP_KEEPALIVE, 1L);
	SET(r->easy, HTTPHEADER, r->headers);
	set_target(r);
	set_method(r);
	set_callbacks(r);
}

static void lane_start(struct http_client *c, struct lane *lane)
{
	while (lane->busy < lane->max && !list_empty(&lane->waiting)) {
		struct http_request *r =
			container_of(lane->waiting.next, struct http_request, node);
		list_remove(&r->node);
		list_push(&c->active, &r->node);
		if (!op_is_running(&r->op))
			continue; /* on_complete comes for it */
		set_up(r);
		CURLMcode code = curl_multi_add_handle(c->multi, r->easy);
		if (code != CURLM_OK) {
			struct status st =
				status_err(ST_INTERNAL, "curl: %s", curl_multi_strerror(code));
			op_finish(&r->op, &st);
			continue;
		}
		r->active = true;
		lane->busy++;
	}
}

static void on_pump(struct defer *d)
{
	struct http_client *c = container_of(d, struct http_client, pump);
	struct list *n;
	while ((n = list_pop(&c->dropped)) != NULL)
		request_free(container_of(n, struct http_request, node));
	for (int i = 0; i < LANES; i++)
		lane_start(c, &c->lanes[i]);
}

struct http_request *http_request(struct http_client *c, const struct http_request_options *o)
{
	struct http_request *r = mem_new(struct http_request);
	r->client = c;
	r->lane = &c->lanes[o->on_data && !o->pieces ? LANE_STREAM : LANE_PLAIN];
	r->on_data = o->on_data;
	r->pieces = o->pieces;
	r->on_open = o->on_open;
	r->on_done = o->on_done;
	r->data = o->data;
	r->max_body = o->max_body ? o->max_body : HTTP_MAX_BODY;
	r->peer = mem_strdup(o->peer ? o->peer : "the server");
	r->response.content_type = "";
	r->response.header = response_header;
	r->method = mem_strdup(o->method);
	r->url = mem_strdup(o->url);
	r->unix_socket = o->unix_socket ? mem_strdup(o->unix_socket) : NULL;
	r->target = target_of(o);
	if (o->body.ptr)
		buf_add_str(&r->out, o->body);
	set_headers(r, o);
	defer_init(&r->resume, c->loop, on_resume);
	list_push(&r->lane->waiting, &r->node);
	op_start(&r->op, c->loop, o->deadline_ms, NULL, on_complete);
	defer_post(&c->pump);
	return r;
}

void http_request_cancel(struct http_request *r)
{
	op_cancel(&r->op);
}

void http_request_drop(struct http_request *r)
{
	op_drop(&r->op);
	list_remove(&r->node);
	list_push(&r->client->dropped, &r->node);
	defer_post(&r->client->pump);
}

void http_request_continue(struct http_request *r)
{
	defer_post(&r->resume);
}

/* ---- the client ---- */

struct http_client *http_client_create(
	struct loop *l, unsigned max_connections, unsigned max_streams)
{
	struct http_client *c = mem_new(struct http_client);
	c->loop = l;
	timer_init(&c->timer, l, on_timer);
	defer_init(&c->pump, l, on_pump);
	list_init(&c->active);
	list_init(&c->dropped);
	for (int i = 0; i < LANES; i++)
		list_init(&c->lanes[i].waiting);
	c->lanes[LANE_PLAIN].max = max_connections;
	c->lanes[LANE_STREAM].max = max_streams;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
		(c->multi = curl_multi_init()) == NULL)
		mem_abort("curl: cannot start");
	(void)curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	(void)curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	(void)curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	(void)curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	(void)curl_multi_setopt(
		c->multi, CURLMOPT_MAXCONNECTS, (long)max_connections + (long)max_streams);
	return c;
}

static void cancel_all(struct list *requests)
{
	while (!list_empty(requests)) {
		struct http_request *r = container_of(requests->next, struct http_request, node);
		op_drop(&r->op);
		r->op.st = status_err(ST_CANCELLED, "the HTTP client was closed");
		on_complete(&r->op);
	}
}

void http_client_destroy(struct http_client *c)
{
	if (c == NULL)
		return;
	cancel_all(&c->active);
	for (int i = 0; i < LANES; i++)
		cancel_all(&c->lanes[i].waiting);
	on_pump(&c->pump);
	defer_cancel(&c->pump);
	(void)curl_multi_cleanup(c->multi);
	timer_stop(&c->timer);
	curl_global_cleanup();
	free(c);
}
