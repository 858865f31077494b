/* views: each thing that can be shown: its columns in a list, and the name that commands take for it. Static;
 * handed to view.h's functions by the commands. */
#pragma once
#include "cli/view.h"

extern const struct cli_view view_project, view_stack, view_service, view_task, view_release, view_job, view_schedule, view_token, view_registry,
	view_dependency, view_caller, view_info;
