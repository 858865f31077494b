/* mem: malloc that never returns NULL (out of memory aborts: every size that a
 * caller controls has a limit instead). Called everywhere. The result belongs to the caller and goes to free(3). */
#pragma once
#include <stddef.h>

void *mem_alloc(size_t size); /* not zeroed */
void *mem_zalloc(size_t size);
void *mem_realloc(void *p, size_t size);
void *mem_realloc_array(void *p, size_t size, size_t n); /* overflow aborts */
char *mem_strdup(const char *s);                         /* NULL gives NULL */
#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))

/* What was freed goes back to the system, where the allocator keeps it for later (glibc's does). Milliseconds for each 100 MiB. */
void mem_give_back(void);

/* Says why on stderr, then aborts: for what the process cannot go on without (memory,
 * random bytes) and for broken contracts inside the program. */
_Noreturn void mem_abort(const char *why);
