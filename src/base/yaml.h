/* yaml: a JSON value as YAML, in blocks. Every text that could be read as something else is quoted as
 * JSON quotes it, which YAML understands. Pure. Callers: cli (-o yaml), compose (canonical text). */
#pragma once
#include <jansson.h>

struct buf;

void yaml_write(struct buf *b, const json_t *j);
