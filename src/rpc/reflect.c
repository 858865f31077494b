#include "rpc/reflect.h"
#include "rpc/pb.h"

/* Numbers of google/protobuf/descriptor.proto. */
enum { SET_FILE = 1 };
enum {
	FILE_NAME = 1,
	FILE_PACKAGE,
	FILE_DEPENDENCY,
	FILE_MESSAGE,
	FILE_ENUM,
	FILE_SERVICE,
	FILE_EXTENSION
};
enum { MESSAGE_FIELD = 2, MESSAGE_NESTED, MESSAGE_ENUM, MESSAGE_EXTENSION = 6, MESSAGE_ONEOF = 8 };
enum { ANY_NAME = 1, PARTS = 2 }; /* of services methods, of enums values */
enum { FIELD_EXTENDEE = 2, FIELD_NUMBER };

/* The next length-delimited field with this number, from *pos. */
static bool next(struct str bytes, size_t *pos, uint32_t number, struct str *ret)
{
	struct pb_reader r = pb_reader(str_make(bytes.ptr + *pos, bytes.len - *pos));
	struct pb_field f;
	while (!pb_done(&r) && pb_read(&r, &f)) {
		if (f.number != number || f.wire != PB_LEN)
			continue;
		*ret = f.bytes;
		*pos = (size_t)((const char *)r.at - bytes.ptr);
		return true;
	}
	return false;
}

static struct str text(struct str bytes, uint32_t number)
{
	size_t pos = 0;
	struct str found = STR("");
	(void)next(bytes, &pos, number, &found);
	return found;
}

bool reflect_next(struct str set, size_t *pos, struct str *ret_file)
{
	return next(set, pos, SET_FILE, ret_file);
}

bool reflect_dependency(struct str file, size_t *pos, struct str *ret_name)
{
	return next(file, pos, FILE_DEPENDENCY, ret_name);
}

bool reflect_file_by_name(struct str set, struct str name, struct str *ret_file)
{
	for (size_t pos = 0; reflect_next(set, &pos, ret_file);)
		if (str_eq(text(*ret_file, FILE_NAME), name))
			return true;
	return false;
}

/* Takes "name" or "name." from the front of *symbol. */
static bool strip(struct str *symbol, struct str name)
{
	if (symbol->len < name.len || memcmp(symbol->ptr, name.ptr, name.len) != 0)
		return false;
	struct str rest = {symbol->ptr + name.len, symbol->len - name.len};
	if (rest.len > 0 && rest.ptr[0] != '.')
		return false;
	*symbol = rest.len > 0 ? str_make(rest.ptr + 1, rest.len - 1) : rest;
	return true;
}

/* Whether one of the parts with this number is the symbol; services' methods and enums' values,
 * messages' fields too. */
static bool has_leaf(struct str bytes, uint32_t number, struct str symbol)
{
	struct str part;
	for (size_t pos = 0; next(bytes, &pos, number, &part);)
		if (str_eq(text(part, ANY_NAME), symbol))
			return true;
	return false;
}

static bool has_parts(struct str bytes, uint32_t number, struct str symbol)
{
	struct str part;
	for (size_t pos = 0; next(bytes, &pos, number, &part);) {
		struct str rest = symbol;
		if (strip(&rest, text(part, ANY_NAME)) &&
			(rest.len == 0 || has_leaf(part, PARTS, rest)))
			return true;
	}
	return false;
}

static bool has_message(struct str bytes, uint32_t number, struct str symbol)
{
	struct str part;
	for (size_t pos = 0; next(bytes, &pos, number, &part);) {
		struct str rest = symbol;
		if (!strip(&rest, text(part, ANY_NAME)))
			continue;
		if (rest.len == 0 || has_leaf(part, MESSAGE_FIELD, rest) ||
			has_leaf(part, MESSAGE_ONEOF, rest) ||
			has_leaf(part, MESSAGE_EXTENSION, rest) ||
			has_parts(part, MESSAGE_ENUM, rest) ||
			has_message(part, MESSAGE_NESTED, rest))
			return true;
	}
	return false;
}

bool reflect_file_by_symbol(struct str set, struct str symbol, struct str *ret_file)
{
	for (size_t pos = 0; reflect_next(set, &pos, ret_file);) {
		struct str rest = symbol;
		if (!strip(&rest, text(*ret_file, FILE_PACKAGE)) || rest.len == 0)
			continue;
		if (has_message(*ret_file, FILE_MESSAGE, rest) ||
			has_parts(*ret_file, FILE_SERVICE, rest) ||
			has_parts(*ret_file, FILE_ENUM, rest) ||
			has_leaf(*ret_file, FILE_EXTENSION, rest))
			return true;
	}
	return false;
}

static int number_of(struct str field)
{
	struct pb_reader r = pb_reader(field);
	struct pb_field f;
	while (!pb_done(&r) && pb_read(&r, &f))
		if (f.number == FIELD_NUMBER && f.wire == PB_VARINT)
			return (int)f.value;
	return 0;
}

bool reflect_extension(struct str set, struct str type, int number, struct str *ret_file,
	void (*fn)(void *data, int number), void *data)
{
	struct str file, field;
	bool found = false;
	for (size_t pos = 0; reflect_next(set, &pos, &file);) {
		for (size_t at = 0; next(file, &at, FILE_EXTENSION, &field);) {
			struct str extendee = text(field, FIELD_EXTENDEE); /* ".google…" */
			if (extendee.len == 0 ||
				!str_eq(str_make(extendee.ptr + 1, extendee.len - 1), type))
				continue;
			if (number == 0)
				fn(data, number_of(field));
			else if (number_of(field) != number)
				continue;
			*ret_file = file;
			found = true;
		}
	}
	return found;
}

void reflect_services(
	struct str set, void (*fn)(void *data, struct str package, struct str name), void *data)
{
	struct str file, service;
	for (size_t pos = 0; reflect_next(set, &pos, &file);)
		for (size_t at = 0; next(file, &at, FILE_SERVICE, &service);)
			fn(data, text(file, FILE_PACKAGE), text(service, ANY_NAME));
}
