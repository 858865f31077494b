/* ops: what the nouns give to the table in engine.c; each is documented in docker.h. Private to
 * docker/. */
#pragma once
#include "docker/docker.h"

struct engine;

struct docker_call *engine_info(struct docker *d, uint64_t ms, docker_on_info done, void *data);

struct docker_call *engine_service_list(struct docker *d, const struct docker_filter *f,
	uint64_t ms, docker_on_services done, void *data);
struct docker_call *engine_service_inspect(
	struct docker *d, const char *id, uint64_t ms, docker_on_services done, void *data);
struct docker_call *engine_service_create(struct docker *d, const json_t *spec,
	const struct docker_service_options *o, uint64_t ms, docker_on_id done, void *data);
struct docker_call *engine_service_update(struct docker *d, const char *id, uint64_t version,
	const json_t *spec, const struct docker_service_options *o, uint64_t ms, docker_on_id done,
	void *data);
struct docker_call *engine_service_remove(
	struct docker *d, const char *id, uint64_t ms, docker_on_done done, void *data);

struct docker_call *engine_task_list(struct docker *d, const struct docker_task_filter *f,
	uint64_t ms, docker_on_tasks done, void *data);

struct docker_call *engine_container_inspect(struct docker *d, const char *id, uint64_t ms,
	docker_on_container done, void *data);

struct docker_call *engine_network_list(struct docker *d, const struct docker_filter *f,
	uint64_t ms, docker_on_networks done, void *data);
struct docker_call *engine_network_inspect(
	struct docker *d, const char *id, uint64_t ms, docker_on_networks done, void *data);
struct docker_call *engine_network_create(
	struct docker *d, const json_t *spec, uint64_t ms, docker_on_id done, void *data);
struct docker_call *engine_network_remove(
	struct docker *d, const char *id, uint64_t ms, docker_on_done done, void *data);

struct docker_call *engine_object_list(struct docker *d, enum docker_kind k,
	const struct docker_filter *f, uint64_t ms, docker_on_objects done, void *data);
struct docker_call *engine_object_inspect(struct docker *d, enum docker_kind k, const char *id,
	uint64_t ms, docker_on_objects done, void *data);
struct docker_call *engine_object_create(struct docker *d, enum docker_kind k, const json_t *spec,
	uint64_t ms, docker_on_id done, void *data);
struct docker_call *engine_object_remove(struct docker *d, enum docker_kind k, const char *id,
	uint64_t ms, docker_on_done done, void *data);

struct docker_call *engine_node_list(
	struct docker *d, uint64_t ms, docker_on_nodes done, void *data);

struct docker_call *engine_image_resolve(struct docker *d, const char *ref,
	const char *registry_auth, uint64_t ms, docker_on_image done, void *data);

struct docker_call *engine_registry_login(
	struct docker *d, const json_t *auth, uint64_t ms, docker_on_done done, void *data);

struct docker_call *engine_logs(struct docker *d, const struct docker_logs *l, uint64_t ms,
	docker_on_done done, void *data);
void engine_logs_continue(struct docker *d, struct docker_call *c);

struct docker_events *engine_events_start(struct docker *d, docker_on_event on_event, void *data);
void engine_events_stop(struct docker *d, struct docker_events *ev);
/* Stops every subscription. */
void engine_events_stop_all(struct engine *e);
