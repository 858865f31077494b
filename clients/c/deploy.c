/* Deploys a stack and watches the job to its end.
 *
 *	deploy ADDRESS PROJECT STACK COMPOSE_FILE       the token: SKEP_TOKEN */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <google/rpc/error_details.pb-c.h>
#include <skep/v1/jobs.pb-c.h>
#include <skep/v1/stacks.pb-c.h>
#include "skep.h"

struct story {
	char job[64];
	int succeeded;
};

static void on_submitted(void *data, const ProtobufCMessage *message)
{
	const Skep__V1__DeployStackResponse *reply = (const Skep__V1__DeployStackResponse *)message;
	struct story *story = data;
	(void)snprintf(story->job, sizeof(story->job), "%s", reply->job->id);
}

static void on_watched(void *data, const ProtobufCMessage *message)
{
	const Skep__V1__WatchJobResponse *told = (const Skep__V1__WatchJobResponse *)message;
	struct story *story = data;
	const Skep__V1__Event *e = told->event;
	if (e)
		printf("%s %s %s\n", e->kind, *e->step ? e->step : e->service, e->message);
	if (!told->job)
		return;
	story->succeeded = told->job->state == SKEP__V1__JOB_STATE__JOB_STATE_SUCCEEDED;
	printf("%s %s\n", story->succeeded ? "SUCCEEDED" : "FAILED", told->job->error);
}

static char *read_file(const char *path, size_t *ret_len)
{
	char *text = malloc(1 << 20);
	FILE *f = fopen(path, "r");
	*ret_len = f && text ? fread(text, 1, 1 << 20, f) : 0;
	if (!f || ferror(f)) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(2);
	}
	(void)fclose(f);
	return text;
}

/* Which fields are wrong, and why: the details of a failure. */
static void explain(const Google__Rpc__Status *st)
{
	static const char type[] = "type.googleapis.com/google.rpc.BadRequest";
	for (size_t i = 0; i < st->n_details; i++) {
		const Google__Protobuf__Any *detail = st->details[i];
		Google__Rpc__BadRequest *bad = NULL;
		if (strcmp(detail->type_url, type) == 0)
			bad = google__rpc__bad_request__unpack(NULL, detail->value.len, detail->value.data);
		for (size_t v = 0; bad && v < bad->n_field_violations; v++)
			(void)fprintf(stderr, "%s: %s\n", bad->field_violations[v]->field,
				bad->field_violations[v]->description);
		google__rpc__bad_request__free_unpacked(bad, NULL);
	}
}

/* True: OK. */
static int check(const char *what, Google__Rpc__Status *st)
{
	int fine = !st || st->code == 0;
	if (!fine) {
		(void)fprintf(stderr, "%s: %s (code %d)\n", what, st->message, st->code);
		explain(st);
	}
	google__rpc__status__free_unpacked(st, NULL);
	return fine;
}

static int deploy(struct skep *s, char **argv, struct story *story)
{
	Skep__V1__DeployStackRequest request = SKEP__V1__DEPLOY_STACK_REQUEST__INIT;
	Skep__V1__ComposeFile file = SKEP__V1__COMPOSE_FILE__INIT, *files[] = {&file};
	size_t len;
	char *text = read_file(argv[4], &len);
	file.name = argv[4];
	file.text = (ProtobufCBinaryData){len, (uint8_t *)text};
	request.project = argv[2];
	request.name = argv[3];
	request.compose = files;
	request.n_compose = 1;
	Google__Rpc__Status *st = skep_call(s, "/skep.v1.Stacks/Deploy", &request.base,
		&skep__v1__deploy_stack_response__descriptor, on_submitted, story);
	free(text);
	return check("deploy", st);
}

static int watch(struct skep *s, struct story *story)
{
	Skep__V1__WatchJobRequest request = SKEP__V1__WATCH_JOB_REQUEST__INIT;
	request.id = story->job;
	return check("watch", skep_call(s, "/skep.v1.Jobs/Watch", &request.base,
				      &skep__v1__watch_job_response__descriptor, on_watched, story));
}

int main(int argc, char **argv)
{
	struct story story = {.job = ""};
	struct skep s;
	const char *token = getenv("SKEP_TOKEN");
	if (argc != 5) {
		(void)fprintf(stderr, "usage: deploy ADDRESS PROJECT STACK COMPOSE_FILE\n");
		return 2;
	}
	if (!skep_connect(&s, argv[1], token && *token ? token : NULL)) {
		(void)fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return 2;
	}
	int fine = deploy(&s, argv, &story) && watch(&s, &story);
	skep_close(&s);
	return fine && story.succeeded ? 0 : 1;
}
