/* views: the columns of each thing that is listed. */
#pragma once
#include "cli/view.h"

extern const struct cli_view view_project, view_stack, view_service, view_task, view_release, view_job, view_token,
	view_dependency, view_caller, view_info;
