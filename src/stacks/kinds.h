/* kinds: the job kinds of this folder, one file each; their table is stacks_kinds (stacks.h). */
#pragma once
#include "jobs/run.h"
#include "stacks/stacks.h"

/* deploy.c */
extern const struct job_kind_def stacks_deploy_kind, stacks_update_kind, stacks_rollback_kind;

extern const struct job_kind_def stacks_scale_kind;                      /* scale.c */
extern const struct job_kind_def stacks_restart_kind;                    /* restart.c */
extern const struct job_kind_def stacks_adopt_kind;                      /* adopt.c */
extern const struct job_kind_def stacks_remove_kind;                     /* remove.c */
