#include "stacks/hints.h"

#include <string.h>

/* A row holds when everything that it names does. */
struct hint {
	enum converge_cause cause;    /* FINE: any */
	enum docker_task_state state; /* UNKNOWN: any */
	enum st_code registry;        /* OK: any */
	const char *err, *log, *health; /* holds these words; NULL: any */
	bool oom_killed, unhealthy, checked; /* must be so */
	bool coded;                   /* exit_code counts */
	int64_t exit_code;
	const char *text;
};

static const struct hint hints[] = {
	/* ---- the image ---- */
	{.registry = ST_PERMISSION_DENIED,
		.text = "the registry does not let the Engine read this image: check the image's name "
			"and the credentials for its registry"},
	{.registry = ST_UNAUTHENTICATED,
		.text = "the registry wants a login for this image: check the image's name and the "
			"credentials for its registry"},
	{.registry = ST_NOT_FOUND,
		.text = "the registry has no such image or tag: check both, or push it first"},
	{.registry = ST_FAILED_PRECONDITION, /* docker_image_resolve: it is away */
		.text = "no registry answers at the image's address, and the node does not have the "
			"image: check the address and the network"},
	{.registry = ST_INTERNAL, /* dial tcp …, no such host */
		.text = "no registry answers at the image's address, and the node does not have the "
			"image: check the address and the network"},
	{.err = "No such image",
		.text = "the node does not have the image and could not pull it: check the name, the tag "
			"and the registry; `docker pull` on that node says more"},
	{.err = "no matching manifest",
		.text = "the image is not built for the node's architecture: build it for that one too, "
			"or choose nodes by node.platform.arch"},
	{.log = "exec format error",
		.text = "the program is built for another architecture, or is a script without its #! "
			"line"},
	{.err = "exec format error",
		.text = "the program is built for another architecture, or is a script without its #! "
			"line"},

	/* ---- no node ---- */
	{.err = "scheduling constraints not satisfied",
		.text = "no node meets the placement constraints: change them, or label a node (docker "
			"node update --label-add KEY=VALUE NODE)"},
	{.err = "insufficient resources",
		.text = "no node has as much left as is reserved: lower deploy.resources.reservations, "
			"or make room"},
	{.err = "unsupported platform",
		.text = "the image is not built for the nodes' architecture: build it for that one too"},
	{.err = "host-mode port already in use",
		.text = "another task holds the same host port: publish another one, or use mode: "
			"ingress"},
	{.err = "max replicas per node",
		.text = "more replicas are wanted than max_replicas_per_node lets the nodes take: change "
			"one of them, or add nodes"},
	{.err = "missing plugin",
		.text = "no node has the log, volume or network driver that the service names: check the "
			"name, or install the plugin"},
	{.err = "not available for new tasks",
		.text = "the nodes are down, paused or drained: docker node ls says which; docker node "
			"update --availability active NODE takes one back"},
	{.cause = CONVERGE_UNSCHEDULABLE,
		.text = "no node can take the service: see what each one says against it"},

	/* ---- ports ---- */
	{.err = "address already in use",
		.text = "something else on that node listens on the published port: publish another one, "
			"or stop what holds it (ss -ltnp on the node)"},
	{.err = "port is already allocated",
		.text = "another container on that node publishes the same port: publish another one, or "
			"remove that container"},
	{.err = "is already in use by service",
		.text = "another service publishes the same port on every node: publish another one, or "
			"remove that service"},

	/* ---- memory ---- */
	{.oom_killed = true,
		.text = "it used more memory than deploy.resources.limits.memory lets it: raise the limit, "
			"or make it use less"},

	/* ---- the health check ---- */
	{.unhealthy = true,
		.health = "executable file not found",
		.text = "the health check's program is not in the image: use one that is"},
	{.unhealthy = true,
		.health = "no such file or directory",
		.text = "the health check's program is not in the image (CMD-SHELL needs /bin/sh): use one "
			"that is"},
	{.unhealthy = true,
		.text = "its health check fails: see what the check says; does it ask the right port, and "
			"is start_period long enough?"},
	{.err = "unhealthy container",
		.text = "its health check fails: run the check's command in the container; does it ask the "
			"right port, and is start_period long enough?"},

	/* ---- what is to be run ---- */
	{.err = "executable file not found",
		.text = "the image has no such program: check command and entrypoint (a command in the "
			"text replaces the image's own)"},
	{.err = "unable to find user",
		.text = "the image has no such user: check `user`, or give its number"},
	{.err = "permission denied",
		.text = "what command or entrypoint names may not be executed: is it a program, with its "
			"x bit set?"},
	{.err = "is not a directory", .text = "working_dir names something else than a folder"},
	{.err = "/proc/sys/", .text = "the kernel has no such setting: check sysctls"},

	/* ---- mounts, networks, secrets ---- */
	{.err = "bind source path does not exist",
		.text = "the folder must be there on every node that may run the service: create it, use a "
			"volume, or choose nodes by a constraint"},
	{.err = "invalid mount config", .text = "check the service's volumes"},
	{.err = "error while mounting volume",
		.text = "the volume's driver could not mount it: check driver_opts, and that the node "
			"reaches the storage"},
	{.err = "unable to start container process: exec",
		.text = "the image has no such program: check command and entrypoint (a command in the "
			"text replaces the image's own)"},
	{.err = "looking up volume plugin",
		.text = "the node has no such volume driver: check its name, or install the plugin there"},
	{.err = "secret not found",
		.text = "the secret is gone from the Engine: create it, or declare it with file or "
			"environment"},
	{.err = "config not found",
		.text = "the config is gone from the Engine: create it, or declare it with file or content"},
	{.err = "could not find network",
		.text = "the network is gone: create it, or do not declare it as external"},
	{.err = "declared as external, but could not be found",
		.text = "create it (docker network create -d overlay NAME), or do not declare it as "
			"external"},

	/* ---- how it ended ---- */
	{.coded = true,
		.exit_code = 137,
		.text = "it was killed (137): most often for using more memory than the node or its limit "
			"has, or because it did not stop within stop_grace_period"},
	{.coded = true,
		.exit_code = 139,
		.text = "it crashed (139, a segmentation fault): a fault of the program, or of the image's "
			"libraries"},
	{.coded = true,
		.exit_code = 127,
		.text = "code 127: a shell did not find a program; check the names in its script"},
	{.coded = true,
		.exit_code = 126,
		.text = "code 126: a shell may not execute a program; check its x bit"},
	{.cause = CONVERGE_ENDS,
		.text = "its program ends by itself and well: a service's program must stay in the "
			"foreground; for work that has an end use mode: replicated-job, or restart_policy: "
			"{condition: none}"},
	{.cause = CONVERGE_ENDED,
		.text = "it is not started again because of its restart_policy: use condition: any for a "
			"service that is to stay"},
	{.err = "non-zero exit",
		.text = "the program itself gives up with that code: its log says why"},
	{.cause = CONVERGE_GONE, .text = "deploy again to bring it back"},

	/* ---- no progress ---- */
	{.cause = CONVERGE_STALLED,
		.state = DOCKER_TASK_PREPARING,
		.text = "the node still pulls the image, or prepares its mounts and networks: pull it there "
			"first, or wait longer with --stall"},
	{.cause = CONVERGE_STALLED,
		.state = DOCKER_TASK_STARTING,
		.checked = true,
		.text = "its health check has not passed yet: give it a start_period, or wait longer with "
			"--stall"},
	{.cause = CONVERGE_STALLED,
		.text = "if it only needs more time, wait longer with --stall"},
};

static bool holds(const char *text, const char *words)
{
	return !words || (text && strstr(text, words));
}

static bool fits(const struct hint *h, const struct hint_facts *f)
{
	if (h->cause != CONVERGE_FINE && h->cause != f->cause)
		return false;
	if (h->state != DOCKER_TASK_UNKNOWN && h->state != f->state)
		return false;
	if (h->registry != ST_OK && h->registry != f->registry)
		return false;
	if ((h->oom_killed && !f->oom_killed) || (h->unhealthy && !f->unhealthy) ||
		(h->checked && !f->checked) ||
		(h->coded && h->exit_code != f->exit_code))
		return false;
	return holds(f->err, h->err) && holds(f->log, h->log) && holds(f->health, h->health);
}

const char *hint_of(const struct hint_facts *f)
{
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (fits(&hints[i], f))
			return hints[i].text;
	return "";
}
