#include "base/mem.h"
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void mem_abort(const char *why)
{
	/* No stdio: it may want memory. */
	static const char prefix[] = "skep: fatal: ";
	if (write(STDERR_FILENO, prefix, sizeof(prefix) - 1) < 0 ||
		write(STDERR_FILENO, why, strlen(why)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
		abort();
	abort();
}

static void *checked(void *p)
{
	if (!p)
		mem_abort("out of memory");
	return p;
}

void *mem_alloc(size_t size)
{
	return checked(malloc(size ? size : 1));
}

void *mem_zalloc(size_t size)
{
	return checked(calloc(1, size ? size : 1));
}

void *mem_realloc(void *p, size_t size)
{
	return checked(realloc(p, size ? size : 1));
}

void *mem_realloc_array(void *p, size_t size, size_t n)
{
	size_t total;
	if (__builtin_mul_overflow(size, n, &total))
		mem_abort("array size overflows");
	return mem_realloc(p, total);
}

char *mem_strdup(const char *s)
{
	return s ? checked(strdup(s)) : NULL;
}

void mem_give_back(void)
{
#if defined(__GLIBC__)
	(void)malloc_trim(0);
#endif
}
