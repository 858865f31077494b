/* rpc_serve: the unit tests' server (tests/unit/rpc/fixture.h: echo, streams, failures) behind a
 * port, for clients that others wrote. Prints the port; ends when its standard input does, with the
 * sanitizers' word.
 *
 *	rpc_serve [LIMIT=VALUE …]        e.g. max_message=1000000 stall_ms=500 */
#include "../unit/rpc/fixture.h"
#include <stddef.h>
#include <uv.h>

static const struct {
	const char *name;
	size_t offset;
	size_t size;
} settings[] = {
#define SETTING(field)                                                                             \
	{                                                                                          \
#field, offsetof(struct rpc_limits, field),                                        \
			sizeof(((struct rpc_limits *)0)->field)                                    \
	}
	SETTING(max_message),
	SETTING(max_header),
	SETTING(max_streams),
	SETTING(max_buffered),
	SETTING(max_buffered_hard),
	SETTING(max_connections),
	SETTING(handshake_ms),
	SETTING(frame_ms),
	SETTING(idle_ms),
	SETTING(stall_ms),
	SETTING(ping_interval_ms),
	SETTING(resets_per_s),
	SETTING(controls_per_s),
};

static bool set(struct rpc_limits *l, struct str argument)
{
	struct str name = str_cut(&argument, '=');
	uint64_t value;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (!str_is(name, settings[i].name) || !str_to_u64(argument, &value))
			continue;
		void *field = (char *)l + settings[i].offset;
		if (settings[i].size == sizeof(uint64_t))
			*(uint64_t *)field = value;
		else
			*(unsigned *)field = (unsigned)value;
		return true;
	}
	(void)fprintf(stderr, "rpc_serve: what is " STR_FMT "?\n", STR_ARG(name));
	return false;
}

struct input {
	struct world *w;
	uv_pipe_t pipe;
	char byte;
	bool ended;
};

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret_buf)
{
	struct input *in = h->data;
	(void)suggested;
	*ret_buf = uv_buf_init(&in->byte, 1);
}

/* "d": drain. */
static void on_command(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct input *in = s->data;
	(void)buf;
	if (n > 0 && in->byte == 'd')
		rpc_server_drain(in->w->server, 5000, NULL, NULL);
	in->ended |= n < 0;
}

static bool listen_to(struct input *in)
{
	struct uv_loop_s *loop = loop_uv(in->w->loop);
	in->pipe.data = in;
	return uv_pipe_init(loop, &in->pipe, 0) == 0 &&
	       uv_pipe_open(&in->pipe, STDIN_FILENO) == 0 &&
	       uv_read_start((uv_stream_t *)&in->pipe, on_alloc, on_command) == 0;
}

int main(int argc, char **argv)
{
	struct rpc_limits limits = {0};
	struct input in = {.ended = false};
	unsigned port = 0;
	for (int i = 1; i < argc; i++)
		if (!set(&limits, str_of(argv[i])))
			return 2;
	in.w = world_create(&limits, false);
	timer_stop(&in.w->guard);
	struct status st = rpc_server_listen_tcp(in.w->server, "127.0.0.1", 0, &port);
	if (!status_is_ok(&st) || !listen_to(&in)) {
		(void)fprintf(stderr, "rpc_serve: %s\n", st.message);
		return 1;
	}
	(void)printf("%u\n", port);
	(void)fflush(stdout);
	while (!in.ended)
		loop_turn(in.w->loop);
	uv_close((uv_handle_t *)&in.pipe, NULL);
	world_destroy(in.w);
	return 0;
}
