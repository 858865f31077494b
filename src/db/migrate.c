#include "db/migrate.h"
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "pg/pg.h"

/* A migration may rewrite a large table. */
#define MIGRATION_MS (30 * 60 * 1000)
#define READ_MS      30000

enum { APPLIED, PARTITIONS };
static const struct pg_stmt sql[] = {
	[APPLIED] = {"migrations_applied",
		"select name, checksum from schema_migrations order by name"},
	[PARTITIONS] = {"migrations_partitions", "select skep_ensure_partitions()"},
};

/* One daemon at a time, until the end of the transaction. */
#define LOCK "select pg_advisory_xact_lock(hashtext('skep_migrate'));\n"
static const char make_table[] = LOCK
	"create table if not exists schema_migrations ("
	" name text constraint schema_migrations_pkey primary key,"
	" checksum text not null," /* SHA-256 of the file, hex */
	" applied_at timestamptz not null default now());\n";

/*	make_table → read ⇄ apply (one file) → ensure partitions → done
 * After each file the list is read again: another daemon may be at it too. */
struct migrate {
	struct pg *pg;
	const struct migration *files;
	void (*done)(void *data, const struct status *st, unsigned applied);
	void *data;
	struct arena *arena;
	unsigned applied;
	const char *current; /* name of the file under way */
};

static void read_applied(struct migrate *m);

static void end(struct migrate *m, const struct status *st)
{
	m->done(m->data, st, m->applied);
	arena_destroy(m->arena);
	free(m);
}

static char *checksum(struct arena *a, const struct migration *file)
{
	unsigned char digest[SHA256_LEN];
	crypto_sha256(file->sql, digest);
	return str_hex(a, digest, sizeof digest);
}

static void on_partitions(void *data, const struct status *st, const struct pg_results *r)
{
	(void)r;
	end(data, st);
}

static void ensure_partitions(struct migrate *m)
{
	struct pg_batch *b = pg_batch_create(m->pg);
	pg_add(b, &sql[PARTITIONS]);
	pg_run(b, READ_MS, on_partitions, m);
}

/* ---- one file ---- */

static void on_file(void *data, const struct status *st, const struct pg_results *r)
{
	struct migrate *m = data;
	if (status_is_ok(st)) {
		m->applied++;
		read_applied(m);
		return;
	}
	/* another daemon was faster */
	if (strcmp(pg_constraint(r), "schema_migrations_pkey") == 0) {
		read_applied(m);
		return;
	}
	struct status why = status_wrap(st, "migration %s", m->current);
	end(m, &why);
}

static void add_literal(struct buf *b, const char *text)
{
	buf_addc(b, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			buf_addc(b, '\'');
		buf_addc(b, *text);
	}
	buf_addc(b, '\'');
}

/* The row goes first: where it stands already, nothing of the file is run. */
static void apply(struct migrate *m, const struct migration *file)
{
	struct buf script = {0};
	struct pg_batch *b = pg_batch_create(m->pg);
	m->current = file->name;
	buf_adds(&script, LOCK "insert into schema_migrations (name, checksum) values (");
	add_literal(&script, file->name);
	buf_addc(&script, ',');
	add_literal(&script, checksum(m->arena, file));
	buf_adds(&script, ");\n");
	buf_add_str(&script, file->sql);
	pg_add_script(b, buf_str(&script).ptr);
	buf_finish(&script);
	pg_run(b, MIGRATION_MS, on_file, m);
}

/* ---- which file ---- */

static const struct migration *file_named(const struct migrate *m, const char *name)
{
	for (const struct migration *f = m->files; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static int row_named(const struct pg_results *r, const char *name)
{
	for (int row = 0; row < pg_rows(r, 0); row++)
		if (strcmp(pg_text(r, 0, row, 0), name) == 0)
			return row;
	return -1;
}

/* What the database has must be the beginning of what we have. */
static struct status check(const struct migrate *m, const struct pg_results *r)
{
	for (int row = 0; row < pg_rows(r, 0); row++) {
		const char *name = pg_text(r, 0, row, 0);
		const struct migration *f = file_named(m, name);
		if (!f)
			return status_err(ST_FAILED_PRECONDITION,
				"the database has migration %s, which this skepd does not know: it"
				" was made by a newer"
				" skepd; start that one, or restore a back-up"
				" from before it", name);
		if (strcmp(pg_text(r, 0, row, 1), checksum(m->arena, f)) != 0)
			return status_err(ST_FAILED_PRECONDITION,
				"migration %s was applied and has changed since: restore the file,"
				" and put the change into a new one", name);
	}
	bool missing = false;
	for (const struct migration *f = m->files; f->name; f++) {
		if (row_named(r, f->name) < 0)
			missing = true;
		else if (missing)
			return status_err(ST_FAILED_PRECONDITION,
				"migration %s was applied and one before it was not: give the new"
				" file a number behind it", f->name);
	}
	return status_ok();
}

static void on_applied(void *data, const struct status *st, const struct pg_results *r)
{
	struct migrate *m = data;
	struct status why = status_is_ok(st) ? check(m, r) : *st;
	if (!status_is_ok(&why)) {
		end(m, &why);
		return;
	}
	for (const struct migration *f = m->files; f->name; f++) {
		if (row_named(r, f->name) < 0) {
			apply(m, f);
			return;
		}
	}
	ensure_partitions(m);
}

static void read_applied(struct migrate *m)
{
	struct pg_batch *b = pg_batch_create(m->pg);
	pg_add(b, &sql[APPLIED]);
	pg_run(b, READ_MS, on_applied, m);
}

static void on_table(void *data, const struct status *st, const struct pg_results *r)
{
	struct migrate *m = data;
	(void)r;
	if (!status_is_ok(st))
		end(m, st);
	else
		read_applied(m);
}

void db_migrate(struct pg *pg, const struct migration *files,
	void (*done)(void *data, const struct status *st, unsigned applied), void *data)
{
	struct migrate *m = mem_new(struct migrate);
	*m = (struct migrate){.pg = pg, .files = files, .done = done, .data = data,
		.arena = arena_create()};
	struct pg_batch *b = pg_batch_create(pg);
	pg_add_script(b, make_table);
	pg_run(b, MIGRATION_MS, on_table, m);
}
