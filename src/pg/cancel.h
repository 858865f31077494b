/* cancel: asks the server to cancel what a connection runs. libpq's call blocks (until 17), so it
 * runs on the work queue. It may come too late and hit the next statement: the caller reckons with
 * that. */
#pragma once
#include <libpq-fe.h>

struct loop;

/* Fire and forget; pq is not used after the return. */
void cancel_request(struct loop *l, PGconn *pq);
