#include "compose/schema.h"
#include <string.h>
#include "compose/model.h"

#define SVC(f)      offsetof(struct compose_service, f)
#define IN(type, f) offsetof(struct type, f)
#define RESOURCES   "Set resource limits using deploy.resources"
#define NOT_SENT    "Swarm services have no such setting; it is not sent"
#define NOT_RUN     "Swarm runs images only"
#define DEVICES                                                                                    \
	"Swarm reserves devices as generic resources, which the nodes announce: "                  \
	"deploy.resources.reservations.generic_resources"

static const struct schema_key healthcheck_keys[] = {
	{"test", K_TEST, 0, IN(compose_healthcheck, test), NULL, NULL},
	{"timeout", K_DURATION, 0, IN(compose_healthcheck, timeout), NULL, NULL},
	{"interval", K_DURATION, 0, IN(compose_healthcheck, interval), NULL, NULL},
	{"retries", K_INT, F_CAST | F_NUMBER | F_UNSIGNED | F_ZERO,
		IN(compose_healthcheck, retries), NULL, NULL},
	{"start_period", K_DURATION, SINCE(4), IN(compose_healthcheck, start_period), NULL, NULL},
	{"start_interval", K_DURATION, SINCE(12), IN(compose_healthcheck, start_interval), NULL,
		NULL},
	{"disable", K_BOOL, F_CAST, IN(compose_healthcheck, disable), NULL, NULL},
	{0},
};

static const struct schema_key logging_keys[] = {
	{"driver", K_STRING, 0, IN(compose_driver, name), NULL, NULL},
	{"options", K_OPTIONS, F_NULLS, IN(compose_driver, options), NULL, NULL},
	{0},
};

static const struct schema_key credential_keys[] = {
	{"config", K_STRING, SINCE(8), IN(compose_credential, config), NULL, NULL},
	{"file", K_STRING, 0, IN(compose_credential, file), NULL, NULL},
	{"registry", K_STRING, 0, IN(compose_credential, registry), NULL, NULL},
	{0},
};

static const struct schema_key rollout_keys[] = {
	{"parallelism", K_INT, F_CAST | F_UNSIGNED | F_ZERO, IN(compose_rollout, parallelism), NULL,
		NULL},
	{"delay", K_DURATION, 0, IN(compose_rollout, delay), NULL, NULL},
	{"failure_action", K_STRING, 0, IN(compose_rollout, failure_action), NULL, NULL},
	{"monitor", K_DURATION, 0, IN(compose_rollout, monitor), NULL, NULL},
	{"max_failure_ratio", K_NUMBER, F_CAST, IN(compose_rollout, max_failure_ratio), NULL, NULL},
	{"order", K_STRING, SINCE(4), IN(compose_rollout, order), NULL, NULL},
	{0},
};

static const struct schema_key discrete_keys[] = {
	{"kind", K_STRING, 0, IN(compose_generic, kind), NULL, NULL},
	{"value", K_INT, F_NUMBER, NO_FIELD, NULL, NULL},
	{0},
};
static const struct schema_key generic_keys[] = {
	{"discrete_resource_spec", K_MAP, 0, NO_FIELD, discrete_keys, NULL},
	{0},
};
static const struct schema_key limits_keys[] = {
	{"cpus", K_CPUS, 0, IN(compose_amount, nano_cpus), NULL, NULL},
	{"memory", K_BYTES, 0, IN(compose_amount, memory), NULL, NULL},
	{"pids", K_INT, SINCE(9), NO_FIELD, NULL, NULL},
	{0},
};
static const struct schema_key reservations_keys[] = {
	{"cpus", K_CPUS, 0, IN(compose_amount, nano_cpus), NULL, NULL},
	{"memory", K_BYTES, 0, IN(compose_amount, memory), NULL, NULL},
	{"devices", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, DEVICES},
	{"generic_resources", K_ITEMS, SINCE(5), NO_FIELD, generic_keys, NULL},
	{0},
};
static const struct schema_key resources_keys[] = {
	{"limits", K_MAP, 0, SVC(limits), limits_keys, NULL},
	{"reservations", K_MAP, 0, SVC(reservations), reservations_keys, NULL},
	{0},
};

static const struct schema_key restart_keys[] = {
	{"condition", K_STRING, 0, IN(compose_restart, condition), NULL, NULL},
	{"delay", K_DURATION, 0, IN(compose_restart, delay), NULL, NULL},
	{"max_attempts", K_INT, F_CAST | F_UNSIGNED | F_ZERO, IN(compose_restart, max_attempts),
		NULL, NULL},
	{"window", K_DURATION, 0, IN(compose_restart, window), NULL, NULL},
	{0},
};

static const struct schema_key preference_keys[] = {
	{"spread", K_STRING, 0, NO_FIELD, NULL, NULL},
	{0},
};
static const struct schema_key placement_keys[] = {
	{"constraints", K_STRINGS, 0, SVC(constraints), NULL, NULL},
	{"preferences", K_ITEMS, SINCE(3), NO_FIELD, preference_keys, NULL},
	{"max_replicas_per_node", K_INT, F_CAST | F_UNSIGNED | SINCE(8), NO_FIELD, NULL, NULL},
	{0},
};

static const struct schema_key deploy_keys[] = {
	{"mode", K_STRING, 0, NO_FIELD, NULL, NULL},
	{"replicas", K_INT, F_CAST | F_UNSIGNED | F_ZERO, SVC(replicas), NULL, NULL},
	{"labels", K_PAIRS, F_UNIQUE, SVC(deploy_labels), NULL, NULL},
	{"update_config", K_MAP, 0, SVC(update_config), rollout_keys, NULL},
	{"rollback_config", K_MAP, SINCE(7), SVC(rollback_config), rollout_keys, NULL},
	{"resources", K_MAP, 0, 0, resources_keys, NULL},
	{"restart_policy", K_MAP, 0, SVC(restart_policy), restart_keys, NULL},
	{"placement", K_MAP, 0, 0, placement_keys, NULL},
	{"endpoint_mode", K_STRING, SINCE(2), SVC(endpoint_mode), NULL, NULL},
	{0},
};

static const struct schema_key port_keys[] = {
	{"mode", K_STRING, 0, IN(compose_port, mode), NULL, NULL},
	{"target", K_INT, F_CAST | F_UNSIGNED, NO_FIELD, NULL, NULL},
	{"published", K_INT, F_CAST | F_UNSIGNED, NO_FIELD, NULL, NULL},
	{"protocol", K_STRING, 0, IN(compose_port, protocol), NULL, NULL},
	{"host_ip", K_STRING, F_SPEC, IN(compose_port, host_ip), NULL, NULL},
	{"name", K_STRING, F_SPEC, NO_FIELD, NULL, NULL},
	{"app_protocol", K_STRING, F_SPEC, NO_FIELD, NULL, NULL},
	{0},
};

static const struct schema_key bind_keys[] = {
	{"propagation", K_STRING, 0, IN(compose_mount, propagation), NULL, NULL},
	{"create_host_path", K_BOOL, F_DROPPED, NO_FIELD, NULL, NOT_SENT},
	{"selinux", K_STRING, F_DROPPED, NO_FIELD, NULL, NOT_SENT},
	{0},
};
static const struct schema_key mount_volume_keys[] = {
	{"nocopy", K_BOOL, F_CAST, IN(compose_mount, nocopy), NULL, NULL},
	{"subpath", K_STRING, 0, IN(compose_mount, subpath), NULL, NULL},
	{0},
};
static const struct schema_key tmpfs_keys[] = {
	{"size", K_INT, F_UNSIGNED | F_SIZE, NO_FIELD, NULL, NULL},
	{"mode", K_INT, F_SENT | F_OCTAL, NO_FIELD, NULL,
		"docker sends no mode for a tmpfs; it is not sent"},
	{0},
};
static const struct schema_key image_keys[] = {
	{"subpath", K_STRING, 0, IN(compose_mount, image_subpath), NULL, NULL},
	{0},
};
static const struct schema_key mount_keys[] = {
	{"type", K_STRING, 0, IN(compose_mount, type), NULL, NULL},
	{"source", K_STRING, 0, IN(compose_mount, source), NULL, NULL},
	{"target", K_STRING, 0, IN(compose_mount, target), NULL, NULL},
	{"read_only", K_BOOL, F_CAST, IN(compose_mount, read_only), NULL, NULL},
	{"consistency", K_STRING, 0, IN(compose_mount, consistency), NULL, NULL},
	{"bind", K_MAP, F_OPEN, 0, bind_keys, NULL},
	{"volume", K_MAP, F_OPEN, 0, mount_volume_keys, NULL},
	{"tmpfs", K_MAP, F_OPEN | SINCE(6), 0, tmpfs_keys, NULL},
	{"image", K_MAP, F_OPEN | F_SPEC, 0, image_keys, NULL},
	{"cluster", K_MAP, F_OPEN | F_SPEC, NO_FIELD, image_keys, NULL},
	{0},
};

static const struct schema_key file_keys[] = {
	{"source", K_STRING, 0, IN(compose_file_use, source), NULL, NULL},
	{"target", K_STRING, 0, IN(compose_file_use, target), NULL, NULL},
	{"uid", K_STRING, 0, IN(compose_file_use, uid), NULL, NULL},
	{"gid", K_STRING, 0, IN(compose_file_use, gid), NULL, NULL},
	{"mode", K_INT, F_CAST | F_NUMBER | F_UNSIGNED | F_OCTAL, IN(compose_file_use, mode), NULL,
		NULL},
	{0},
};

static const struct schema_key attachment_keys[] = {
	{"aliases", K_STRINGS, F_UNIQUE, IN(compose_attachment, aliases), NULL, NULL},
	{"driver_opts", K_OPTIONS, SINCE(13), IN(compose_attachment, driver_opts), NULL, NULL},
	{"ipv4_address", K_STRING, F_DROPPED, NO_FIELD, NULL, NOT_SENT},
	{"ipv6_address", K_STRING, F_DROPPED, NO_FIELD, NULL, NOT_SENT},
	{"priority", K_INT, F_SPEC | F_DROPPED, NO_FIELD, NULL, NOT_SENT},
	{"link_local_ips", K_STRINGS, F_SPEC | F_DROPPED, NO_FIELD, NULL, NOT_SENT},
	{0},
};

static const struct schema_key depends_keys[] = {
	{"condition", K_STRING, 0, NO_FIELD, NULL, NULL},
	{"required", K_TRISTATE, 0, NO_FIELD, NULL, NULL},
	{"restart", K_BOOL, F_DROPPED, NO_FIELD, NULL, "services restart by themselves here"},
	{0},
};

static const struct schema_key ulimit_keys[] = {
	{"hard", K_INT, F_CAST, IN(compose_ulimit, hard), NULL, NULL},
	{"soft", K_INT, F_CAST, IN(compose_ulimit, soft), NULL, NULL},
	{0},
};

static const struct schema_key env_file_keys[] = {
	{"path", K_STRING, 0, NO_FIELD, NULL, NULL},
	{"required", K_TRISTATE, 0, NO_FIELD, NULL, NULL},
	{"format", K_STRING, 0, NO_FIELD, NULL, NULL},
	{0},
};

static const struct schema_key extends_keys[] = {
	{"service", K_STRING, 0, NO_FIELD, NULL, NULL},
	{"file", K_STRING, 0, NO_FIELD, NULL, NULL},
	{0},
};

/* What docker's schema has of it; nothing is built. */
static const struct schema_key build_keys[] = {
	{"context", K_STRING, 0, NO_FIELD, NULL, NULL},
	{"dockerfile", K_STRING, 0, NO_FIELD, NULL, NULL},
	{"args", K_ENV, F_UNIQUE, NO_FIELD, NULL, NULL},
	{"labels", K_PAIRS, F_UNIQUE | SINCE(3), NO_FIELD, NULL, NULL},
	{"cache_from", K_STRINGS, F_UNIQUE | SINCE(2), NO_FIELD, NULL, NULL},
	{"extra_hosts", K_HOSTS, F_UNIQUE | SINCE(9), NO_FIELD, NULL, NULL},
	{"network", K_STRING, SINCE(4), NO_FIELD, NULL, NULL},
	{"target", K_STRING, SINCE(4), NO_FIELD, NULL, NULL},
	{"shm_size", K_TEXT, SINCE(5), NO_FIELD, NULL, NULL},
	{0},
};

static const struct schema_key service_keys[] = {
	{"annotations", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"attach", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"blkio_config", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"build", K_BUILD, F_UNSUPPORTED, NO_FIELD, build_keys, NULL},
	{"cap_add", K_STRINGS, F_UNIQUE, SVC(cap_add), NULL, NULL},
	{"cap_drop", K_STRINGS, F_UNIQUE, SVC(cap_drop), NULL, NULL},
	{"cgroup", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"cgroupns_mode", K_STRING, F_UNSUPPORTED | SINCE(9), NO_FIELD, NULL, NULL},
	{"cgroup_parent", K_STRING, F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"command", K_COMMAND, 0, SVC(command), NULL, NULL},
	{"configs", K_FILES, SINCE(3), NO_FIELD, file_keys, NULL},
	{"container_name", K_STRING, F_DEPRECATED, NO_FIELD, NULL,
		"Setting the container name is not supported."},
	{"cpu_count", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, RESOURCES},
	{"cpu_percent", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, RESOURCES},
	{"cpu_period", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, RESOURCES},
	{"cpu_quota", K_ANY, F_FORBIDDEN, NO_FIELD, NULL, RESOURCES},
	{"cpu_rt_period", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, RESOURCES},
	{"cpu_rt_runtime", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, RESOURCES},
	{"cpu_shares", K_ANY, F_FORBIDDEN, NO_FIELD, NULL, RESOURCES},
	{"cpus", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, RESOURCES},
	{"cpuset", K_ANY, F_FORBIDDEN, NO_FIELD, NULL, RESOURCES},
	{"credential_spec", K_MAP, SINCE(3), SVC(credential_spec), credential_keys, NULL},
	{"depends_on", K_DEPENDS, F_UNIQUE, NO_FIELD, depends_keys, NULL},
	{"deploy", K_MAP, F_NULL, 0, deploy_keys, NULL},
	{"develop", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"device_cgroup_rules", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"devices", K_STRINGS, F_UNSUPPORTED | F_UNIQUE, NO_FIELD, NULL, NULL},
	{"dns", K_ONE_OR_MORE, F_UNIQUE, SVC(dns), NULL, NULL},
	{"dns_opt", K_STRINGS, F_SPEC | F_UNIQUE, SVC(dns_options), NULL, NULL},
	{"dns_search", K_ONE_OR_MORE, F_UNIQUE, SVC(dns_search), NULL, NULL},
	{"domainname", K_STRING, F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"entrypoint", K_COMMAND, 0, SVC(entrypoint), NULL, NULL},
	{"environment", K_ENV, F_UNIQUE, SVC(environment), NULL, NULL},
	{"env_file", K_ENV_FILE, F_UNIQUE, NO_FIELD, env_file_keys, NULL},
	{"expose", K_STRINGS, F_DEPRECATED | F_NUMBER | F_UNIQUE, NO_FIELD, NULL,
		"Exposing ports is unnecessary - services on the same network can access each "
		"other's containers on any port."},
	{"extends", K_EXTENDS, F_FORBIDDEN, NO_FIELD, extends_keys,
		"Support for `extends` is not implemented yet."},
	{"external_links", K_STRINGS, F_UNSUPPORTED | F_UNIQUE, NO_FIELD, NULL, NULL},
	{"extra_hosts", K_HOSTS, F_UNIQUE, SVC(extra_hosts), NULL, NULL},
	{"gpus", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, DEVICES},
	{"group_add", K_ONE_OR_MORE, F_SPEC | F_UNIQUE | F_NUMBER, SVC(groups), NULL, NULL},
	{"healthcheck", K_MAP, 0, SVC(healthcheck), healthcheck_keys, NULL},
	{"hostname", K_STRING, 0, SVC(hostname), NULL, NULL},
	{"image", K_STRING, 0, SVC(image), NULL, NULL},
	{"init", K_TRISTATE, SINCE(7), SVC(init), NULL, NULL},
	{"ipc", K_STRING, F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"isolation", K_STRING, SINCE(5), SVC(isolation), NULL, NULL},
	{"label_file", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, "Write them under labels"},
	{"labels", K_PAIRS, F_UNIQUE, SVC(labels), NULL, NULL},
	{"links", K_STRINGS, F_UNSUPPORTED | F_UNIQUE, NO_FIELD, NULL, NULL},
	{"logging", K_MAP, 0, SVC(logging), logging_keys, NULL},
	{"mac_address", K_STRING, F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"mem_limit", K_ANY, F_FORBIDDEN, NO_FIELD, NULL, RESOURCES},
	{"mem_reservation", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, RESOURCES},
	{"mem_swappiness", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, RESOURCES},
	{"memswap_limit", K_ANY, F_FORBIDDEN, NO_FIELD, NULL, RESOURCES},
	{"models", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, NOT_RUN},
	{"network_mode", K_STRING, F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"networks", K_NETWORKS, F_UNIQUE, NO_FIELD, attachment_keys, NULL},
	{"oom_kill_disable", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"oom_score_adj", K_INT, F_CAST | F_SENT | SINCE(13), SVC(oom_score_adj), NULL,
		"docker does not send it to Swarm; it is not sent"},
	{"pid", K_STRING, F_UNSUPPORTED | F_NULL, NO_FIELD, NULL, NULL},
	{"pids_limit", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, RESOURCES},
	{"platform", K_STRING, F_SPEC | F_DROPPED, NO_FIELD, NULL,
		"the nodes' own platforms count; choose nodes by "
		"deploy.placement.constraints: [node.platform.arch == x86_64]"},
	{"ports", K_PORTS, F_UNIQUE, NO_FIELD, port_keys, NULL},
	{"privileged", K_BOOL, F_UNSUPPORTED | F_CAST, NO_FIELD, NULL, NULL},
	{"post_start", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"pre_stop", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"profiles", K_STRINGS, F_SPEC | F_UNIQUE, NO_FIELD, NULL, NULL},
	{"provider", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, NOT_RUN},
	{"pull_policy", K_STRING, F_SPEC | F_DROPPED, NO_FIELD, NULL,
		"an image is resolved to a digest once a deployment"},
	{"read_only", K_BOOL, F_CAST, SVC(read_only), NULL, NULL},
	{"restart", K_STRING, F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"runtime", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"scale", K_INT, F_SPEC | F_UNSIGNED, NO_FIELD, NULL, NULL},
	{"secrets", K_FILES, SINCE(1), NO_FIELD, file_keys, NULL},
	{"security_opt", K_STRINGS, F_UNSUPPORTED | F_UNIQUE, NO_FIELD, NULL, NULL},
	{"shm_size", K_TEXT, F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"stdin_open", K_BOOL, F_CAST, SVC(stdin_open), NULL, NULL},
	{"stop_grace_period", K_DURATION, 0, SVC(stop_grace_period), NULL, NULL},
	{"stop_signal", K_STRING, 0, SVC(stop_signal), NULL, NULL},
	{"storage_opt", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"sysctls", K_PAIRS, F_UNIQUE, SVC(sysctls), NULL, NULL},
	{"tmpfs", K_ONE_OR_MORE, F_SENT | F_UNIQUE, NO_FIELD, NULL,
		"docker does not send it to Swarm; use volumes with type: tmpfs"},
	{"tty", K_BOOL, F_CAST, SVC(tty), NULL, NULL},
	{"ulimits", K_ULIMITS, 0, NO_FIELD, ulimit_keys, NULL},
	{"use_api_socket", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, NOT_RUN},
	{"user", K_STRING, 0, SVC(user), NULL, NULL},
	{"userns_mode", K_STRING, F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"uts", K_ANY, F_SPEC | F_UNSUPPORTED, NO_FIELD, NULL, NULL},
	{"volume_driver", K_ANY, F_FORBIDDEN, NO_FIELD, NULL,
		"Instead of setting the volume driver on the service, define a volume using the "
		"top-level `volumes` "
		"option and specify the driver there."},
	{"volumes", K_VOLUMES, F_UNIQUE, NO_FIELD, mount_keys, NULL},
	{"volumes_from", K_ANY, F_FORBIDDEN, NO_FIELD, NULL,
		"To share a volume between services, define it using the top-level `volumes` "
		"option and reference it "
		"from each service that shares it using the service-level `volumes` option."},
	{"working_dir", K_STRING, 0, SVC(working_dir), NULL, NULL},
	{0},
};

static const struct schema_key subnet_keys[] = {
	{"subnet", K_STRING, 0, NO_FIELD, NULL, NULL},
	{"gateway", K_STRING, F_SPEC | F_DROPPED, NO_FIELD, NULL, "docker sends the subnet only"},
	{"ip_range", K_STRING, F_SPEC | F_DROPPED, NO_FIELD, NULL, "docker sends the subnet only"},
	{"aux_addresses", K_OPTIONS, F_SPEC | F_DROPPED, NO_FIELD, NULL,
		"docker sends the subnet only"},
	{0},
};
static const struct schema_key ipam_keys[] = {
	{"driver", K_STRING, 0, IN(compose_network, ipam_driver), NULL, NULL},
	{"config", K_ITEMS, 0, NO_FIELD, subnet_keys, NULL},
	{0},
};
static const struct schema_key network_keys[] = {
	{"name", K_STRING, SINCE(5), IN(compose_network, name), NULL, NULL},
	{"driver", K_STRING, 0, IN(compose_network, driver.name), NULL, NULL},
	{"driver_opts", K_OPTIONS, 0, IN(compose_network, driver.options), NULL, NULL},
	{"ipam", K_MAP, 0, 0, ipam_keys, NULL},
	{"external", K_EXTERNAL, F_CAST, NO_FIELD, NULL, NULL},
	{"internal", K_BOOL, F_CAST, IN(compose_network, internal), NULL, NULL},
	{"attachable", K_BOOL, F_CAST | SINCE(2), IN(compose_network, attachable), NULL, NULL},
	{"labels", K_PAIRS, F_UNIQUE, IN(compose_network, labels), NULL, NULL},
	{"enable_ipv6", K_BOOL, F_SPEC | F_DROPPED, NO_FIELD, NULL,
		"docker does not send it to Swarm"},
	{0},
};
static const struct schema_key volume_keys[] = {
	{"name", K_STRING, SINCE(4), IN(compose_volume, name), NULL, NULL},
	{"driver", K_STRING, 0, IN(compose_volume, driver.name), NULL, NULL},
	{"driver_opts", K_OPTIONS, 0, IN(compose_volume, driver.options), NULL, NULL},
	{"external", K_EXTERNAL, F_CAST, NO_FIELD, NULL, NULL},
	{"labels", K_PAIRS, F_UNIQUE, IN(compose_volume, labels), NULL, NULL},
	{0},
};
static const struct schema_key secret_keys[] = {
	{"name", K_STRING, SINCE(5), IN(compose_secret, name), NULL, NULL},
	{"file", K_STRING, 0, IN(compose_secret, file), NULL, NULL},
	{"environment", K_STRING, F_SPEC, NO_FIELD, NULL, NULL},
	{"external", K_EXTERNAL, F_CAST | F_OPEN, NO_FIELD, NULL, NULL},
	{"labels", K_PAIRS, F_UNIQUE, IN(compose_secret, labels), NULL, NULL},
	{"driver", K_STRING, SINCE(8), IN(compose_secret, driver.name), NULL, NULL},
	{"driver_opts", K_OPTIONS, SINCE(8), IN(compose_secret, driver.options), NULL, NULL},
	{"template_driver", K_STRING, SINCE(8), IN(compose_secret, template_driver), NULL, NULL},
	{0},
};
static const struct schema_key config_keys[] = {
	{"name", K_STRING, SINCE(5), IN(compose_secret, name), NULL, NULL},
	{"file", K_STRING, 0, IN(compose_secret, file), NULL, NULL},
	{"content", K_STRING, F_SPEC, NO_FIELD, NULL, NULL},
	{"environment", K_STRING, F_SPEC, NO_FIELD, NULL, NULL},
	{"external", K_EXTERNAL, F_CAST | F_OPEN, NO_FIELD, NULL, NULL},
	{"labels", K_PAIRS, F_UNIQUE, IN(compose_secret, labels), NULL, NULL},
	{"template_driver", K_STRING, SINCE(8), IN(compose_secret, template_driver), NULL, NULL},
	{0},
};

static const struct schema_key include_keys[] = {
	{"path", K_ONE_OR_MORE, 0, NO_FIELD, NULL, NULL},
	{"project_directory", K_STRING, 0, NO_FIELD, NULL, NULL},
	{"env_file", K_ONE_OR_MORE, 0, NO_FIELD, NULL, NULL},
	{0},
};

const struct schema_key schema_root[] = {
	{"version", K_STRING, 0, NO_FIELD, NULL, NULL},
	{"name", K_STRING, F_SPEC, NO_FIELD, NULL, NULL},
	{"include", K_INCLUDE, F_SPEC, NO_FIELD, include_keys, NULL},
	{"models", K_ANY, F_SPEC | F_REFUSED, NO_FIELD, NULL, NOT_RUN},
	{"services", K_NAMED, F_EXTRA, NO_FIELD, service_keys, NULL},
	{"networks", K_NAMED, F_EXTRA | F_NULL, NO_FIELD, network_keys, NULL},
	{"volumes", K_NAMED, F_EXTRA | F_NULL, NO_FIELD, volume_keys, NULL},
	{"secrets", K_NAMED, F_EXTRA | SINCE(1), NO_FIELD, secret_keys, NULL},
	{"configs", K_NAMED, F_EXTRA | SINCE(3), NO_FIELD, config_keys, NULL},
	{0},
};

const struct schema_key *schema_find(const struct schema_key *table, const char *name)
{
	for (; table->name; table++)
		if (table->name[0] == name[0] && strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

const struct schema_key *schema_service(const char *name)
{
	return schema_find(service_keys, name);
}

/* How many letters must be added, dropped or changed; names are short. */
static size_t distance(const char *a, const char *b)
{
	enum { MAX = 32 };
	size_t la = strlen(a), lb = strlen(b), row[MAX + 1];
	if (la > MAX || lb > MAX)
		return MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t change = corner + (a[i - 1] != b[j - 1]);
			corner = row[j];
			size_t step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			row[j] = change < step ? change : step;
		}
	}
	return row[lb];
}

const char *schema_nearest(const struct schema_key *table, const char *name)
{
	const char *best = NULL;
	size_t least = strlen(name) < 5 ? 2 : 3; /* below this many */
	for (; table->name; table++) {
		size_t d = distance(name, table->name);
		if (d < least) {
			least = d;
			best = table->name;
		}
	}
	return best;
}
