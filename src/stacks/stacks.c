#include "stacks/stacks.h"

#include "stacks/kinds.h"

const struct job_kind_def *const stacks_kinds[] = {
	&stacks_deploy_kind,
	&stacks_update_kind,
	&stacks_rollback_kind,
	&stacks_scale_kind,
	&stacks_restart_kind,
	&stacks_adopt_kind,
	&stacks_remove_kind,
	NULL,
};
