/* reflect: finds files in a serialized google.protobuf.FileDescriptorSet, for gRPC's reflection.
 * Pure: views into the set, no index (a set is some tens of KB, and who asks is a person). */
#pragma once
#include <stdbool.h>
#include "base/str.h"

/* The next file (a FileDescriptorProto) from *pos, which begins with 0. False: that was all. */
bool reflect_next(struct str set, size_t *pos, struct str *ret_file);
/* False: no such file. */
bool reflect_file_by_name(struct str set, struct str name, struct str *ret_file);
/* By the full name of a message, enum, service, method, or of a field or value of one. */
bool reflect_file_by_symbol(struct str set, struct str symbol, struct str *ret_file);
/* The file that extends `type` with this number. number 0: calls fn with each number instead. */
bool reflect_extension(struct str set, struct str type, int number, struct str *ret_file,
	void (*fn)(void *data, int number), void *data);
/* The full name of each service. */
void reflect_services(
	struct str set, void (*fn)(void *data, struct str package, struct str name), void *data);
/* The next import of a file, from *pos. */
bool reflect_dependency(struct str file, size_t *pos, struct str *ret_name);
