/* pbjson_impl: what pbjson's files share: single values. Pure. */
#pragma once
#include "rpc/pbjson.h"
#include "rpc/pbjson_lex.h"

/* Bytes of one value of this type in a message. */
size_t pbjson_size_of(ProtobufCType type);
/* Stores a value at `to`. plain: it is text of a query or a map's key, where nothing tells words
 * and numbers from strings. What the type wants, for the error; NULL: it is stored. */
const char *pbjson_store(struct arena *a, const ProtobufCFieldDescriptor *d, struct lex_token t,
	bool plain, void *to);
