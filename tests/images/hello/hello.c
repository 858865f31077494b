/* hello: the smallest service that a deployment can succeed or fail with. A static HTTP server
 * that answers every path with a JSON naming itself; the demo and the end-to-end tests deploy it.
 *
 * Settings come from the environment, or as NAME=value arguments, which win:
 *   PORT=8080           where to listen
 *   VERSION=1           named in the answer
 *   FAIL_CODE=N         print three lines on stderr and exit N at once
 *   START_DELAY=S       listen only after S seconds
 *   UNHEALTHY_AFTER=S   /health answers 503 from S seconds after start (0 = from the first)
 *   EXIT_AFTER=S        exit after S seconds, with EXIT_CODE (default 0)
 *   STOP_DELAY=S        take S seconds to end on SIGTERM
 *   ALLOCATE=MIB        take and use so much memory, then go on
 * Besides: /health; /env/NAME and /file/PATH answer with a variable's or a file's text.
 * `hello --health` asks a running one on the same PORT and exits 0 or 1: a health check's command. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;

static void on_term(int number)
{
	(void)number;
	stopping = 1;
}

/* A setting as seconds or a number; `unset` when it is not there. Nonsense is a mistake of the test. */
static long setting(const char *name, long unset)
{
	const char *text = getenv(name);
	char *end;
	long value;

	if (!text || !*text)
		return unset;
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || *end || value < 0) {
		fprintf(stderr, "hello: %s=%s is not a number\n", name, text);
		exit(64);
	}
	return value;
}

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void put_json(FILE *out, const char *name, const char *value, const char *after)
{
	fprintf(out, "\"%s\":\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else if ((unsigned char)*value < 0x20)
			fprintf(out, "\\u%04x", (unsigned char)*value);
		else
			fputc(*value, out);
	}
	fprintf(out, "\"%s", after);
}

static int answer_self(FILE *body, const char *path)
{
	char host[256] = "";
	const char *version = getenv("VERSION");

	gethostname(host, sizeof(host) - 1);
	fputc('{', body);
	put_json(body, "name", "hello", ",");
	put_json(body, "version", version ? version : "1", ",");
	put_json(body, "hostname", host, ",");
	put_json(body, "path", path, "}\n");
	return 200;
}

static int answer_text(FILE *body, const char *path)
{
	if (strncmp(path, "/env/", 5) == 0) {
		const char *value = getenv(path + 5);

		fputs(value ? value : "", body);
		return value ? 200 : 404;
	}
	FILE *file = fopen(path + strlen("/file"), "r");
	if (!file)
		return 404;
	for (int c; (c = fgetc(file)) != EOF;)
		fputc(c, body);
	fclose(file);
	return 200;
}

static int answer(FILE *body, const char *path, long started)
{
	long unhealthy = setting("UNHEALTHY_AFTER", -1);

	if (strcmp(path, "/health") == 0) {
		bool ill = unhealthy >= 0 && now() - started >= unhealthy;

		fputs(ill ? "ill\n" : "well\n", body);
		return ill ? 503 : 200;
	}
	if (strncmp(path, "/env/", 5) == 0 || strncmp(path, "/file/", 6) == 0)
		return answer_text(body, path);
	return answer_self(body, path);
}

/* One request a connection; who does not finish it within 2 s is cut off. */
static void serve(int fd, long started)
{
	struct timeval patience = { .tv_sec = 2 };
	char request[4096], method[8], path[1024], *text = NULL;
	size_t used = 0, len = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	do {
		ssize_t n = read(fd, request + used, sizeof(request) - 1 - used);

		if (n <= 0)
			return;
		used += (size_t)n;
		request[used] = '\0';
	} while (!strstr(request, "\r\n\r\n") && used < sizeof(request) - 1);
	if (sscanf(request, "%7s %1023s", method, path) != 2)
		return;

	FILE *body = open_memstream(&text, &len);
	int code = answer(body, path, started);
	fclose(body);
	dprintf(fd, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		code, code == 200 ? "OK" : "No", text[0] == '{' ? "application/json" : "text/plain", len);
	dprintf(fd, "%s", text);
	free(text);
}

static struct sockaddr_in address(in_addr_t host)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)setting("PORT", 8080)), .sin_addr.s_addr = htonl(host) };
}

static int check_health(void)
{
	struct sockaddr_in to = address(INADDR_LOOPBACK);
	struct timeval patience = { .tv_sec = 2 };
	char reply[64] = "";
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		perror("hello: connect");
		return 1;
	}
	dprintf(fd, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
	if (read(fd, reply, sizeof(reply) - 1) <= 0 || !strstr(reply, " 200 ")) {
		printf("unhealthy: %.12s\n", reply);
		return 1;
	}
	return 0;
}

/* Listens and answers until it is told to stop or EXIT_AFTER is over. */
static int run(long started)
{
	struct sockaddr_in at = address(INADDR_ANY);
	long exit_after = setting("EXIT_AFTER", -1), stop_delay = setting("STOP_DELAY", 0);
	int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 64) != 0) {
		perror("hello: listen");
		return 1;
	}
	printf("hello: listening on port %d\n", ntohs(at.sin_port));
	while (!stopping) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (exit_after >= 0 && now() - started >= exit_after) {
			printf("hello: the time is over\n");
			return (int)setting("EXIT_CODE", 0);
		}
		if (poll(&p, 1, 100) == 1) {
			int peer = accept(fd, NULL, NULL);

			if (peer >= 0) {
				serve(peer, started);
				close(peer);
			}
		}
	}
	printf("hello: stopping\n");
	sleep((unsigned)stop_delay);
	return 0;
}

static void allocate(size_t bytes)
{
	volatile char *memory = bytes ? malloc(bytes) : NULL;

	for (size_t i = 0; memory && i < bytes; i += 4096)
		memory[i] = 1;
}

int main(int argc, char **argv)
{
	struct sigaction term = { .sa_handler = on_term };
	bool health = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--health") == 0) {
			health = true;
		} else if (!strchr(argv[i], '=') || putenv(argv[i]) != 0) {
			fprintf(stderr, "hello: %s is not NAME=value\n", argv[i]);
			return 64;
		}
	}
	if (health)
		return check_health();

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &term, NULL);
	sigaction(SIGINT, &term, NULL);
	if (setting("FAIL_CODE", -1) >= 0) {
		fprintf(stderr, "hello: reading the configuration\nhello: the database is not there\n"
				"hello: giving up\n");
		return (int)setting("FAIL_CODE", 1);
	}
	allocate((size_t)setting("ALLOCATE", 0) << 20);
	long started = now();
	for (long until = started + setting("START_DELAY", 0); now() < until && !stopping;)
		poll(NULL, 0, 100);
	return run(started);
}
