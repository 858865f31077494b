/* grpc.reflection.v1 and v1alpha: the messages of both are the same in all but their package, so
 * that one handler serves both with v1's. */
#include "skep/v1/methods.h"

#include <string.h>
#include "api/api.h"
#include "base/arena.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "rpc/call.h"
#include "rpc/reflect.h"

#define FILES_MAX 256

typedef Grpc__Reflection__V1__ServerReflectionRequest request_t;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_t;

struct answer { /* to one request */
	struct arena *arena;
	response_t response;
	Grpc__Reflection__V1__FileDescriptorResponse files;
	Grpc__Reflection__V1__ExtensionNumberResponse extensions;
	Grpc__Reflection__V1__ListServiceResponse services;
	Grpc__Reflection__V1__ErrorResponse error;
};

static struct str descriptor_set(void)
{
	return str_make((const char *)skep_v1_descriptor_set, skep_v1_descriptor_set_len);
}

static void not_found(struct answer *r, const char *what, const char *name)
{
	grpc__reflection__v1__error_response__init(&r->error);
	r->error.error_code = ST_NOT_FOUND;
	r->error.error_message = arena_fmt(r->arena, "there is no %s %.200s here", what, name);
	r->response.message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
	r->response.error_response = &r->error;
}

static bool has_file(const struct answer *r, struct str file)
{
	for (size_t i = 0; i < r->files.n_file_descriptor_proto; i++)
		if (r->files.file_descriptor_proto[i].data == (const uint8_t *)file.ptr)
			return true;
	return false;
}

/* A file, and behind it all that it imports: who asks needs no second question. */
static void add_file(struct answer *r, struct str file)
{
	r->files.file_descriptor_proto = arena_array(r->arena, ProtobufCBinaryData, FILES_MAX);
	r->files.file_descriptor_proto[r->files.n_file_descriptor_proto++] =
		(ProtobufCBinaryData){file.len, (uint8_t *)file.ptr};
	for (size_t i = 0; i < r->files.n_file_descriptor_proto; i++) {
		const ProtobufCBinaryData *f = &r->files.file_descriptor_proto[i];
		struct str name, found;
		for (size_t pos = 0;
			reflect_dependency(str_make((const char *)f->data, f->len), &pos, &name);)
			if (reflect_file_by_name(descriptor_set(), name, &found) &&
				!has_file(r, found) && r->files.n_file_descriptor_proto < FILES_MAX)
				r->files.file_descriptor_proto[r->files.n_file_descriptor_proto++] =
					(ProtobufCBinaryData){found.len, (uint8_t *)found.ptr};
	}
}

static void answer_file(
	struct answer *r, bool found, struct str file, const char *what, const char *name)
{
	if (!found) {
		not_found(r, what, name);
		return;
	}
	grpc__reflection__v1__file_descriptor_response__init(&r->files);
	add_file(r, file);
	r->response.message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
	r->response.file_descriptor_response = &r->files;
}

static void count_extension(void *data, int number)
{
	struct answer *r = data;
	if (r->extensions.n_extension_number < FILES_MAX)
		r->extensions.extension_number[r->extensions.n_extension_number++] = number;
}

static void answer_extensions(struct answer *r, char *type)
{
	struct str file;
	grpc__reflection__v1__extension_number_response__init(&r->extensions);
	r->extensions.base_type_name = type;
	r->extensions.extension_number = arena_array(r->arena, int32_t, FILES_MAX);
	if (!reflect_extension(descriptor_set(), str_of(type), 0, &file, count_extension, r) &&
		!reflect_file_by_symbol(descriptor_set(), str_of(type), &file)) {
		not_found(r, "type", type);
		return;
	}
	r->response.message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
	r->response.all_extension_numbers_response = &r->extensions;
}

static void add_service(void *data, struct str package, struct str name)
{
	struct answer *r = data;
	Grpc__Reflection__V1__ServiceResponse *s =
		arena_new(r->arena, Grpc__Reflection__V1__ServiceResponse);
	grpc__reflection__v1__service_response__init(s);
	s->name = arena_fmt(r->arena, STR_FMT "." STR_FMT, STR_ARG(package), STR_ARG(name));
	if (r->services.n_service < FILES_MAX)
		r->services.service[r->services.n_service++] = s;
}

static void answer_services(struct answer *r)
{
	grpc__reflection__v1__list_service_response__init(&r->services);
	r->services.service =
		arena_array(r->arena, Grpc__Reflection__V1__ServiceResponse *, FILES_MAX);
	reflect_services(descriptor_set(), add_service, r);
	r->response.message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
	r->response.list_services_response = &r->services;
}

static void answer(struct answer *r, const request_t *q)
{
	struct str file = STR("");
	bool found;
	switch (q->message_request_case) {
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
		found = reflect_file_by_name(descriptor_set(), str_of(q->file_by_filename), &file);
		answer_file(r, found, file, "file", q->file_by_filename);
		return;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
		found = reflect_file_by_symbol(
			descriptor_set(), str_of(q->file_containing_symbol), &file);
		answer_file(r, found, file, "symbol", q->file_containing_symbol);
		return;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
		found = q->file_containing_extension->extension_number != 0 &&
			reflect_extension(descriptor_set(),
				str_of(q->file_containing_extension->containing_type),
				q->file_containing_extension->extension_number, &file, NULL, NULL);
		answer_file(r, found, file, "extension of",
			q->file_containing_extension->containing_type);
		return;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
		answer_extensions(r, q->all_extension_numbers_of_type);
		return;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
		answer_services(r);
		return;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__NOT_SET:
		break;
	}
	not_found(r, "question in", "the request");
	r->error.error_code = ST_INVALID_ARGUMENT;
}

static void on_message(struct rpc_call *call, const ProtobufCMessage *message)
{
	struct status ok = status_ok();
	if (!message) {
		rpc_call_finish(call, &ok);
		return;
	}
	struct answer *r = &(struct answer){.arena = arena_create()};
	const request_t *q = (const request_t *)message;
	grpc__reflection__v1__server_reflection_response__init(&r->response);
	r->response.valid_host = q->host;
	r->response.original_request = (request_t *)(uintptr_t)q;
	answer(r, q);
	if (!rpc_call_send(call, &r->response.base))
		rpc_call_pause(call); /* who does not read the answers asks no more */
	arena_destroy(r->arena);
}

static void on_writable(struct rpc_call *call)
{
	rpc_call_resume(call);
}

static void on_cancel(struct rpc_call *call)
{
	struct status st = status_err(ST_CANCELLED, "the client has left");
	rpc_call_finish(call, &st);
}

void api_grpc_reflection_server_reflection_info(
	struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)request;
	rpc_call_on_message(call, on_message);
	rpc_call_on_writable(call, on_writable);
	rpc_call_on_cancel(call, on_cancel);
}
