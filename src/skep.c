/* skep: the command line client. All it does is in cli/; see cli/cli.h. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"
#include "cli/cli.h"

extern char **environ;

int main(int argc, char **argv)
{
	struct cli_host host = {
		.in = stdin,
		.out = stdout,
		.err = stderr,
		.env = (const char *const *)environ,
		.out_is_terminal = isatty(STDOUT_FILENO) == 1,
		.err_is_terminal = isatty(STDERR_FILENO) == 1,
	};
	log_configure(LOG_ERROR, LOG_KEY_VALUE);
	(void)signal(SIGPIPE, SIG_IGN); /* a lost connection is an error of a write, not our end */
	return cli_main(&host, argc, (const char *const *)argv);
}
