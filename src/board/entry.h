/* entry: a job as bull-board is to see it: in which queue, in which of its lists, with which fields. Pure.
 *
 * A queue is a kind of job, "skep-deploy", so that it is nobody else's under a prefix that real BullMQ queues share. What
 * goes out is which job it is and how it stands, and nothing that a user wrote but the names of project and stack: no
 * parameters, no messages (their words may come from a tenant's programs). A failure is told by its code and step.
 *
 * The names and forms of the fields are BullMQ's (5 and 6; Bull reads what it knows of them): texts, times in ms. */
#pragma once
#include <stddef.h>
#include "base/str.h"
#include "db/jobs.h"

/* Of this kind's queue; lives in ret_text. */
#define BOARD_QUEUE_MAX 40
const char *board_queue(char ret_text[BOARD_QUEUE_MAX], enum job_kind kind);

/* The queue's list that holds the job: "wait", "delayed" (it waits for a time after now_us), "active", "completed", "failed". */
const char *board_place(const struct db_job *j, int64_t now_us);

/* Appends what the script `put` takes (script.h), a JSON list with an entry for each job: {"id"} alone when there is no such
 * job any more, otherwise {"id","q","at","score","f":[field, text, …]}. */
void board_entries(struct buf *b, const struct uuid *ids, size_t n_ids, const struct db_job *jobs, size_t n_jobs, int64_t now_us);
