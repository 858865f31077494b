/* progress: what is known of a running job, or of a stack that is watched, and how it is shown: on a
 * terminal a header and one line a service, drawn over the last picture; elsewhere one plain line for
 * each change that means something. Pure: events in, text out. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

struct arena;
typedef struct Skep__V1__Event Skep__V1__Event;
typedef struct Skep__V1__Job Skep__V1__Job;
typedef struct Skep__V1__Stack Skep__V1__Stack;

/* Texts are cleaned, on one line, and cut to what a line could show. */
struct progress_service {
	char name[128], state[32], message[256];
	int32_t running, wanted;
};
struct progress {
	struct arena *scratch; /* emptied by each call: a watch may last for days */
	char title[128];       /* "deploy shop" */
	char step[64], message[256];
	char state[32]; /* of the job or stack */
	int32_t percent;
	bool undoing; /* what was done is taken back */
	bool ended;
	bool has_bar; /* a job, which has percent; a stack has none */
	struct progress_service *services;
	size_t n_services, cap;
	int64_t first_us, last_us; /* times of the first and the last event, by the server's clock */
};

struct progress_look {
	unsigned columns, rows; /* of the terminal */
	bool color, utf8;
	uint64_t elapsed_ms;
	unsigned frame;      /* of the spinner */
	const char *trouble; /* "connection lost …"; or NULL */
};

void progress_init(struct progress *p, const char *title);
void progress_finish(struct progress *p);
/* Takes an event in. When it means something, a line for a log is appended. */
void progress_event(struct progress *p, const Skep__V1__Event *e, struct buf *ret_line);
/* Takes a stack's present state in; changes are appended as lines. */
void progress_stack(struct progress *p, const Skep__V1__Stack *s, struct buf *ret_lines);
/* Appends the picture; each line fits the columns and ends with a line break. Returns the number of lines. */
unsigned progress_draw(const struct progress *p, const struct progress_look *look, struct buf *b);
