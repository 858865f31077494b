/* forms: the small languages inside Compose's strings. Pure; results live in the arena.
 * Each returns NULL or false with a reason when the text is not well formed. Internal to compose.
 */
#pragma once
#include "compose/node.h"

/* Splits as a shell does: quotes, backslashes, and # at a word's start begins a comment. NULL =
 * fine. */
const char *form_shell_words(struct arena *a, const char *text, struct compose_strings *ret_words);

/* "[ip:][published:]target[/protocol]", each a number or a range. Appends mappings {target,
 * published, protocol, mode, host_ip} to `out`. NULL = fine. */
const char *form_port(struct arena *a, const char *text, struct compose_mark at, bool docker_order,
	struct node *out);

/* "source:target[:options]" → the mapping of the long form. NULL = fine. */
const char *form_volume(
	struct arena *a, const char *text, struct compose_mark at, struct node **ret_mount);

/* "0.5", "1/4", "2e-1", "0x1" → 1e-9 CPUs. NULL = fine. */
const char *form_cpus(struct arena *a, const char *text, int64_t *ret_nano);

/* What units.RAMInBytes would say of a text that size_parse refused. */
const char *form_size_error(struct arena *a, const char *text);

/* A reference as docker takes it: "[host[:port]/]path[:tag][@digest]". *ret_full has "docker.io/"
 * and "library/" dropped and ":latest" put in when neither tag nor digest is there. NULL = fine. */
const char *form_image(struct arena *a, const char *text, const char **ret_full);

/* always, unless-stopped, on-failure[:n], no → a policy; ret->set stays false for "no". NULL =
 * fine. */
const char *form_restart(struct arena *a, const char *text, struct compose_restart *ret);

/* A capability as the Engine wants it: upper case, CAP_ in front, ALL as it is. */
const char *form_capability(struct arena *a, const char *text);

/* `path` as seen from `dir`; "." and ".." are resolved by their names alone. */
const char *form_path(struct arena *a, const char *dir, const char *path);
