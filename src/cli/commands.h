/* commands: the one table of commands, and the functions in it, one file a noun. */
#pragma once
#include <stdint.h>
#include "cli/command.h"

typedef struct Google__Protobuf__Timestamp Google__Protobuf__Timestamp;
typedef struct Skep__V1__StackRef Skep__V1__StackRef;
typedef struct Skep__V1__DeployStackRequest Skep__V1__DeployStackRequest;

extern const struct cli_program cli_program;

/* cmd_project.c */
int cmd_project_create(struct cli *c);
int cmd_project_ls(struct cli *c);
int cmd_project_get(struct cli *c);
int cmd_project_rm(struct cli *c);
int cmd_project_update(struct cli *c);
/* cmd_stack.c */
int cmd_stack_ls(struct cli *c);
int cmd_stack_get(struct cli *c);
int cmd_stack_ps(struct cli *c);
int cmd_stack_services(struct cli *c);
int cmd_stack_releases(struct cli *c);
int cmd_stack_watch(struct cli *c);
/* cmd_deploy.c: what makes a job */
int cmd_stack_deploy(struct cli *c);
int cmd_stack_scale(struct cli *c);
int cmd_stack_rollback(struct cli *c);
int cmd_stack_restart(struct cli *c);
int cmd_stack_rm(struct cli *c);
int cmd_stack_adopt(struct cli *c);
/* cmd_export.c */
int cmd_stack_export(struct cli *c);
/* cmd_compose.c */
int cmd_compose_config(struct cli *c);
int cmd_compose_render(struct cli *c);
/* cmd_plan.c */
int cmd_stack_plan(struct cli *c);
int cmd_stack_diff(struct cli *c);
/* cmd_job.c */
int cmd_job_ls(struct cli *c);
int cmd_job_get(struct cli *c);
int cmd_job_watch(struct cli *c);
int cmd_job_cancel(struct cli *c);
int cmd_job_retry(struct cli *c);
/* cmd_job_stats.c */
/* The number of the kind that --kind asks for; 0 without one. */
int cmd_job_kind(struct cli *c, int *ret_kind);
int cmd_job_stats(struct cli *c);
int cmd_job_pause(struct cli *c);
int cmd_job_resume(struct cli *c);
/* cmd_schedule.c */
int cmd_schedule_create(struct cli *c);
int cmd_schedule_ls(struct cli *c);
int cmd_schedule_get(struct cli *c);
int cmd_schedule_update(struct cli *c);
int cmd_schedule_pause(struct cli *c);
int cmd_schedule_resume(struct cli *c);
int cmd_schedule_rm(struct cli *c);
/* cmd_top.c */
int cmd_top(struct cli *c);
/* cmd_events.c */
int cmd_events(struct cli *c);
/* cmd_token.c */
int cmd_token_create(struct cli *c);
int cmd_token_ls(struct cli *c);
int cmd_token_rm(struct cli *c);
/* cmd_registry.c */
int cmd_registry_login(struct cli *c);
int cmd_registry_ls(struct cli *c);
int cmd_registry_logout(struct cli *c);
/* cmd_system.c */
int cmd_whoami(struct cli *c);
int cmd_ready(struct cli *c);
int cmd_info(struct cli *c);
int cmd_version(struct cli *c);
/* cmd_context.c */
int cmd_context_ls(struct cli *c);
int cmd_context_use(struct cli *c);
int cmd_context_set(struct cli *c);
int cmd_context_rm(struct cli *c);
/* cmd_completion.c */
int cmd_completion(struct cli *c);
int cmd_complete(struct cli *c);

/* The project that a command is about: option, variable, context, else the one that the caller's token belongs to.
 * CLI_USAGE when there is none. */
int cmd_need_project(struct cli *c, const char **ret_project);
/* What a deploy and a plan send: texts, files, variables, which stack. */
int cmd_deploy_request(struct cli *c, Skep__V1__DeployStackRequest *ret_request);
/* The stack of the first argument, in that project. */
int cmd_stack_ref(struct cli *c, Skep__V1__StackRef *ret_ref);
/* SERVICE=N; false: it is not. */
bool cmd_scale_word(struct cli *c, const char *word, char **ret_service, uint32_t *ret_n);
/* The option `name`, a span before now or a moment, or else `otherwise` (NULL: *ret_time is left as it is). */
int cmd_time(struct cli *c, const char *name, const char *otherwise, Google__Protobuf__Timestamp **ret_time);
/* --limit: a number; otherwise `otherwise`. 0 = all. False: it is none, and that has been said. */
bool cmd_limit(struct cli *c, uint64_t otherwise, uint64_t *ret_limit);
