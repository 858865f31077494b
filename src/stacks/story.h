/* story: what is told of services that did not come to run. Gathers what the Engine still knows of
 * the tasks to blame - their last log lines, how their containers ended, what their health checks
 * say, why each node refuses them, what the image's registry answers - and hands the run the text
 * that people read and the same as fields (job_run_story). Called by rollout_watch.c; lives in the
 * run's arena. */
#pragma once

struct rollout;
struct status;

/* Ends the phase: sets ro->st and calls rollout_phase_over, later. Whatever cannot be gathered within
 * seconds is left out. */
void story_tell(struct rollout *ro);
/* rollout_stop: nothing fires any more. */
void story_stop(struct rollout *ro);
/* A write that the Engine refused, with what to do about it. */
void story_of_refusal(struct rollout *ro, const struct status *st);
