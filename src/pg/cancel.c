#include "pg/cancel.h"
#include "base/log.h"
#include "loop/loop.h"

static void run(void *data)
{
	char words[256];
	if (!PQcancel(data, words, sizeof words))
		log_debug("a statement could not be cancelled", "error", words, NULL);
}

static void done(void *data, const struct status *st)
{
	(void)st; /* not even tried: the caller closes the connection in the end */
	PQfreeCancel(data);
}

void cancel_request(struct loop *l, PGconn *pq)
{
	PGcancel *c = PQgetCancel(pq);
	if (c)
		loop_work(l, run, done, c);
}
