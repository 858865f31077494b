/* stacks: what the handlers of skep.v1.Stacks share (stacks.c, stacks_deploy.c, stacks_watch.c): how a request
 * names a stack, by id or by project and name. Private to api/. */
#pragma once
#include <stdbool.h>
#include "db/stacks.h"
#include "skep/v1/stacks.pb-c.h"

struct rpc_call;

/* Borrows from the request, which lives as long as the call. */
struct db_stack_ref api_stack_ref(const Skep__V1__StackRef *r);
/* False: it names no stack, and the call has been ended with the words. */
bool api_stack_ref_check(struct rpc_call *call, const Skep__V1__StackRef *r);
