#include "jobs/kinds.h"

#include <stddef.h>

#define MINUTE 60ULL
#define HOUR   (60 * MINUTE)

/* Priority, cost, short; at a time in a project and here; attempts, first and longest wait, limit. */
static const struct job_rule rules[] = {
	{JOB_REMOVE, 9, 1, true, 0, 0, 3, 1000, 60000, 2 * HOUR, CANCEL_TAKES_BACK},
	{JOB_ROLLBACK, 8, 2, true, 0, 0, 3, 1000, 60000, 6 * HOUR, CANCEL_TAKES_BACK},
	{JOB_RENEW_CERTIFICATE, 7, 1, true, 4, 4, 8, 60000, 6 * HOUR * 1000, 10 * MINUTE, CANCEL_WAITING},
	{JOB_PUBLISH_ROUTES, 7, 1, true, 1, 0, 8, 1000, 60000, MINUTE, CANCEL_WAITING},
	{JOB_SCALE, 6, 1, false, 0, 0, 3, 1000, 60000, 6 * HOUR, CANCEL_TAKES_BACK},
	{JOB_RESTART, 6, 1, false, 0, 0, 3, 1000, 60000, 6 * HOUR, CANCEL_TAKES_BACK},
	{JOB_ADOPT, 5, 2, false, 0, 0, 3, 1000, 60000, 2 * HOUR, CANCEL_TAKES_BACK},
	{JOB_UPDATE, 5, 4, false, 0, 0, 3, 1000, 60000, 24 * HOUR, CANCEL_TAKES_BACK},
	{JOB_DEPLOY, 5, 4, false, 0, 0, 3, 1000, 60000, 24 * HOUR, CANCEL_TAKES_BACK},
	{JOB_BUILD, 4, 10, false, 2, 2, 2, 5000, 60000, HOUR, CANCEL_TAKES_BACK},
	{JOB_HOUSEKEEPING, 1, 1, true, 1, 1, 3, 60000, HOUR * 1000, HOUR, CANCEL_WAITING},
};
static const struct job_rule ordinary = {0, 5, 1, false, 0, 0, 3, 1000, 60000, 24 * HOUR, CANCEL_TAKES_BACK};

const struct job_rule *job_rule_of(enum job_kind kind)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].kind == kind)
			return &rules[i];
	return &ordinary;
}
