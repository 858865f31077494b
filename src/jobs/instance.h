/* instance: notices that Redis was emptied or is another one, by a random key that whoever finds none puts there. What Redis
 * held is then gone: the owner looks at PostgreSQL. Looks every 2 s. Owned by app.
 *
 * The key is Redis's own word, and anybody may write to it: a value that is none of ours only counts as a change, and
 * a key of another type is replaced. */
#pragma once

struct job_instance;
struct loop;
struct redis;
struct rng;

/* redis is borrowed, and may be NULL: then nothing happens. on_replaced fires from the loop. */
struct job_instance *job_instance_create(
	struct loop *l, struct redis *redis, struct rng *rng, void (*on_replaced)(void *data), void *data);
void job_instance_start(struct job_instance *i);
void job_instance_stop(struct job_instance *i);
void job_instance_destroy(struct job_instance *i); /* NULL is fine; after redis_destroy */
