#include "db/sealed.h"
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "pg/pg.h"

#define READ_MS 60000 /* one of them looks at every row */

/* A sealed text begins with its version, the length of the key's id, and the id (crypto.h). Of a
 * long one only the beginning is read. Every sealed column stands here. */
#define HEAD(column, table) "select substring(" column " from 1 for 34) as head from " table
static const struct pg_stmt sealed_keys = {"sealed_keys",
	"select distinct convert_from(substring(head from 3 for get_byte(head, 1)), 'UTF8') from ("
	HEAD("source", "deployments") " union all "
	HEAD("rendered", "deployments") " union all "
	HEAD("password", "registries") " union all "
	HEAD("private_key", "ssl_certificates")
	") s where octet_length(head) > 2 order by 1 limit 10"};
/* $1 the keys that are held, $2 the one before is lost */
static const struct pg_stmt sealing_key = {"sealing_key",
	"select k from skep_sealing_key($1, $2) k where k <> ''"};

struct asking {
	void (*done)(void *data, const struct status *st, const char *const *ids, size_t n);
	void *data;
};

static void on_ids(void *data, const struct status *st, const struct pg_results *r)
{
	struct asking a = *(struct asking *)data;
	struct arena *arena = arena_create();
	size_t n = status_is_ok(st) ? (size_t)pg_rows(r, 0) : 0;
	const char **ids = arena_array(arena, const char *, n + 1);
	free(data);
	for (size_t i = 0; i < n; i++)
		ids[i] = pg_text(r, 0, (int)i, 0);
	a.done(a.data, st, ids, n);
	arena_destroy(arena);
}

void db_sealed_keys(struct pg *pg,
	void (*done)(void *data, const struct status *st, const char *const *ids, size_t n),
	void *data)
{
	struct asking *a = mem_new(struct asking);
	*a = (struct asking){done, data};
	struct pg_batch *b = pg_batch_create(pg);
	pg_add(b, &sealed_keys);
	pg_run(b, READ_MS, on_ids, a);
}

void db_sealing_key(struct pg *pg, const char *const *held, size_t n_held, bool anew,
	void (*done)(void *data, const struct status *st, const char *const *ids, size_t n),
	void *data)
{
	struct asking *a = mem_new(struct asking);
	*a = (struct asking){done, data};
	struct pg_batch *b = pg_batch_create(pg);
	pg_add(b, &sealing_key);
	pg_bind_text_array(b, held, n_held);
	pg_bind_bool(b, anew);
	pg_run(b, READ_MS, on_ids, a);
}
