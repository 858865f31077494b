/* stacks: what the handlers of skep.v1.Stacks share (stacks.c, stacks_deploy.c, stacks_watch.c, stacks_plan.c): how a request
 * names a stack, by id or by project and name; what a Deploy and a Plan carry. Private to api/. */
#pragma once
#include <stdbool.h>
#include "db/stacks.h"
#include "stacks/release.h"
#include "skep/v1/stacks.pb-c.h"

struct rpc_call;

/* Borrows from the request, which lives as long as the call. */
struct db_stack_ref api_stack_ref(const Skep__V1__StackRef *r);
/* False: it names no stack, and the call has been ended with the words. */
bool api_stack_ref_check(struct rpc_call *call, const Skep__V1__StackRef *r);

/* Texts, files and variables of a request; borrows from it. */
struct release_upload api_upload(struct arena *a, const Skep__V1__DeployStackRequest *q);
/* "changed", "never"; "" = always. */
const char *api_resolve_image(const Skep__V1__DeployStackRequest *q);
/* Ends the call with every error of the texts. */
void api_refuse_texts(struct rpc_call *call, const struct compose_problems *errors);
/* As many texts as there are warnings. */
const char **api_warnings(struct arena *a, const struct compose_problems *warnings);
