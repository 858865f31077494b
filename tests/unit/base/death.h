/* death: runs what must end the process in a child, and tells whether it aborted. */
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN
#endif
#endif

static inline bool aborts(void (*fn)(void))
{
	int how = 0;
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		dup2(null, STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		signal(SIGABRT, SIG_DFL); /* cmocka catches some */
		fn();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &how, 0) != pid)
		return false;
	return WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT;
}
