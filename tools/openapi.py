"""The OpenAPI document of proto/ (a part of tools/protoc-gen-skep): every path, with what the proto says of it: comments, rules, roles, failures.

Requests and answers see a message differently (64-bit numbers are strings in answers, rules hold for requests, unknown fields are errors
there), so a message that is in both has two schemas."""

import json
import re

from google.protobuf import descriptor_pb2

Field = descriptor_pb2.FieldDescriptorProto
PREFIX = 'skep.v1.'
PROBLEM = 'application/problem+json'
INT32 = {Field.TYPE_INT32, Field.TYPE_SINT32, Field.TYPE_SFIXED32}
UINT32 = {Field.TYPE_UINT32, Field.TYPE_FIXED32}
INT64 = {Field.TYPE_INT64, Field.TYPE_SINT64, Field.TYPE_SFIXED64}
UINT64 = {Field.TYPE_UINT64, Field.TYPE_FIXED64}
ROLES = ['', 'viewer', 'deployer', 'owner', 'admin']
# google.rpc.Code → HTTP, as src/rpc/rest.c has it.
STATUS = {'CANCELLED': 499, 'UNKNOWN': 500, 'INVALID_ARGUMENT': 400, 'DEADLINE_EXCEEDED': 504, 'NOT_FOUND': 404, 'ALREADY_EXISTS': 409,
          'PERMISSION_DENIED': 403, 'RESOURCE_EXHAUSTED': 429, 'FAILED_PRECONDITION': 409, 'ABORTED': 409, 'OUT_OF_RANGE': 400,
          'UNIMPLEMENTED': 501, 'INTERNAL': 500, 'UNAVAILABLE': 503, 'DATA_LOSS': 500, 'UNAUTHENTICATED': 401}
# Of fields without a comment of their own.
USUAL = {
    'project': 'Its name or id',
    'request_id': 'the same id within 24 hours gives the first answer again',
    'page_token': 'Where the page begins; none: at the first row',
    'next_page_token': 'The page_token of the next page; absent: there is none',
}
COMMON = {
    400: 'INVALID_ARGUMENT: something in the path, query or body; `details` say which field, what is wrong with it, and what would be right',
    401: 'UNAUTHENTICATED: no token, or one that is unknown, expired or revoked',
    403: 'PERMISSION_DENIED: the caller\'s role is too small',
    404: 'NOT_FOUND: it does not exist, or not for this caller',
    406: 'INVALID_ARGUMENT: what the request accepts does not exist',
    408: 'DEADLINE_EXCEEDED: the body did not come in time',
    409: 'FAILED_PRECONDITION: the same key, or request_id, came with another request before',
    412: 'ABORTED: `if-match` names another version than the present one',
    413: 'RESOURCE_EXHAUSTED: the body is larger than max_message',
    415: 'INVALID_ARGUMENT: the body is not application/json',
    429: 'RESOURCE_EXHAUSTED: a limit was reached; `retry-after` says when to try again',
    500: 'INTERNAL: a fault of the daemon; its log has it',
    503: 'UNAVAILABLE: the database or the Engine cannot be reached; `retry-after` says when to try again',
    504: 'DEADLINE_EXCEEDED: it took too long',
}


class Comments:
    """What stands above or behind each thing, by its full name."""

    KINDS = {4: 'message_type', 5: 'enum_type', 6: 'service'}
    INNER = {'DescriptorProto': {2: 'field', 3: 'nested_type', 4: 'enum_type'}, 'EnumDescriptorProto': {2: 'value'},
             'ServiceDescriptorProto': {2: 'method'}}

    def __init__(self, files):
        self.texts = {}
        for file in files:
            for location in file.source_code_info.location:
                name = self.name_of(file, list(location.path))
                words = (location.leading_comments + ' ' + location.trailing_comments).split()
                if name and words:
                    self.texts[name] = ' '.join(words)

    def name_of(self, file, path):
        names, kinds, here = [file.package], self.KINDS, file
        while path:
            if len(path) < 2 or path[0] not in kinds:
                return None
            here = getattr(here, kinds[path[0]])[path[1]]
            names.append(here.name)
            kinds = self.INNER.get(type(here).__name__, {})
            path = path[2:]
        return '.'.join(names) if len(names) > 1 else None

    def of(self, name):
        return self.texts.get(name, '')


def sentence(text):
    """A comment as a sentence: it begins with a capital letter, and ends."""
    if not text:
        return ''
    text = text[0].upper() + text[1:]
    return text if text[-1] in '.!?:…' else text + '.'


class Schemas:
    """components/schemas, filled as they are needed."""

    def __init__(self, by_name, enums, options, comments):
        self.by_name, self.enums, self.options, self.comments = by_name, enums, options, comments
        self.made, self.names = {}, {}

    def rules(self, field):
        return self.options.field(field, 'rules')

    def describe(self, schema, owner, field):
        words = self.comments.of(f'{owner}.{field.name}') or (USUAL.get(field.name, '') if field.type == Field.TYPE_STRING else '')
        rules = self.rules(field)
        help_text = f'Must be {rules.pattern_help}' if rules.pattern_help else ''
        text = ' '.join(filter(None, [sentence(words), sentence(help_text)]))
        if text:
            schema['description'] = text
        return schema

    # -- single values ------------------------------------------------------------------------------------

    def number(self, field, rules, is_request):
        if field.type in INT64 | UINT64 and not is_request:
            return {'type': 'string', 'format': 'int64' if field.type in INT64 else 'uint64'}
        schema = {'type': 'integer', 'format': 'int64' if field.type in INT64 | UINT64 else 'int32'}
        low = {**dict.fromkeys(INT32, -2**31), **dict.fromkeys(INT64, -2**63)}.get(field.type, 0)
        high = {**dict.fromkeys(INT32, 2**31 - 1), **dict.fromkeys(UINT32, 2**32 - 1), **dict.fromkeys(INT64, 2**63 - 1)}.get(field.type, 2**64 - 1)
        if is_request:
            schema['minimum'] = rules.min if rules.HasField('min') else low
            schema['maximum'] = rules.max if rules.HasField('max') else high
        return schema

    def text(self, rules, is_request):
        schema = {'type': 'string'}
        if not is_request:
            return schema
        least = max(rules.min_len, 1) if rules.required else 0
        if least:
            schema['minLength'] = least
        if rules.max_len:
            schema['maxLength'] = rules.max_len
        if rules.uuid:
            schema.update({'format': 'uuid'} if rules.required else
                          {'pattern': '^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?$'})
        elif rules.pattern:
            schema['pattern'] = f'^({rules.pattern})$' if rules.required else f'^({rules.pattern})?$'
        return schema

    def enum(self, field, rules, is_request):
        """Its values with what they mean; what a request must say is not said by the first one."""
        name = field.type_name.lstrip('.')
        values = [v.name for v in self.enums[name].value]
        if is_request and rules.required:
            values = values[1:]
        words = [f'`{v}`: {self.comments.of(f"{name}.{v}")}' for v in values if self.comments.of(f'{name}.{v}')]
        key = name.removeprefix(PREFIX) + ('' if values[0].endswith('_UNSPECIFIED') else 'Given')
        schema = {'type': 'string', 'enum': values}
        about = ' '.join(filter(None, [sentence(self.comments.of(name)), sentence('; '.join(words))]))
        if about:
            schema['description'] = about
        self.made[key] = schema
        ref = {'$ref': f'#/components/schemas/{key}'}
        return {'anyOf': [ref, {'type': 'integer'}]} if is_request else ref  # proto3's JSON reads numbers too

    def message(self, field, is_request):
        target = self.by_name[field.type_name.lstrip('.')]
        if target.full_name.endswith(('Int32Value', 'UInt32Value')):
            return {'type': 'integer'}
        well_known = {
            'TIMESTAMP': {'type': 'string', 'format': 'date-time'},
            'DURATION': {'type': 'string', 'pattern': r'^-?[0-9]{1,12}(\.[0-9]{1,9})?s$'},
            'EMPTY': {'type': 'object'}, 'STRUCT': {'type': 'object'}, 'VALUE': {}, 'ANY': {'type': 'object'},
            'FIELD_MASK': {'type': 'string'}, 'LIST_VALUE': {'type': 'array'}}
        return dict(well_known[target.wkt]) if target.wkt in well_known else self.ref(target, is_request)

    def single(self, field, rules, is_request):
        if field.type == Field.TYPE_MESSAGE:
            schema = self.message(field, is_request)
        elif field.type == Field.TYPE_ENUM:
            schema = self.enum(field, rules, is_request)
        elif field.type == Field.TYPE_STRING:
            schema = self.text(rules, is_request)
        elif field.type == Field.TYPE_BYTES:
            schema = {'type': 'string', 'format': 'byte', 'contentEncoding': 'base64'}
            if is_request and rules.max_len:
                schema['maxLength'] = (rules.max_len + 2) // 3 * 4
        elif field.type == Field.TYPE_BOOL:
            schema = {'type': 'boolean'}
        elif field.type in (Field.TYPE_DOUBLE, Field.TYPE_FLOAT):
            schema = {'type': 'number'}
        else:
            schema = self.number(field, rules, is_request)
        if rules.example:
            schema['examples'] = [self.example(field, rules.example)]
        return schema

    @staticmethod
    def example(field, text):
        if field.type in (Field.TYPE_STRING, Field.TYPE_BYTES, Field.TYPE_ENUM):
            return text
        try:
            return json.loads(text)
        except ValueError:
            return text

    # -- fields and messages ------------------------------------------------------------------------------

    def field(self, owner, field, is_request):
        rules = self.rules(field)
        target = self.by_name.get(field.type_name.lstrip('.')) if field.type == Field.TYPE_MESSAGE else None
        if target and target.proto.options.map_entry:
            schema = {'type': 'object', 'additionalProperties': self.single(target.fields[1], rules, is_request)}
            bounds = ('minProperties', 'maxProperties')
        elif field.label == Field.LABEL_REPEATED:
            schema = {'type': 'array', 'items': self.single(field, rules, is_request)}
            bounds = ('minItems', 'maxItems')
        else:
            return self.describe(self.single(field, rules, is_request), owner, field)
        if is_request and rules.required:
            schema[bounds[0]] = 1
        if is_request and rules.max_items:
            schema[bounds[1]] = rules.max_items
        return self.describe(schema, owner, field)

    def member(self, owner, field, is_request):
        """In a body null says the same as nothing, as proto3's JSON has it."""
        schema = self.field(owner, field, is_request)
        if not is_request or self.rules(field).required or not schema:
            return schema
        if '$ref' in schema or 'anyOf' in schema:
            about = {'description': schema['description']} if 'description' in schema else {}
            return {'anyOf': [*schema.get('anyOf', [{'$ref': schema.get('$ref')}]), {'type': 'null'}], **about}
        return {**schema, 'type': [schema['type'], 'null']}

    def object(self, message, is_request, without=()):
        fields = [f for f in message.fields if f.name not in without]
        schema = {'type': 'object', 'properties': {f.json_name: self.member(message.full_name, f, is_request) for f in fields}}
        about = sentence(self.comments.of(message.full_name))
        if about:
            schema['description'] = about
        required = [f.json_name for f in fields if self.rules(f).required]
        if is_request:
            schema['additionalProperties'] = False
            if required:
                schema['required'] = required
        return schema

    def name_for(self, message, is_request, without):
        name = message.full_name.removeprefix(PREFIX).replace('.', '')
        key = (message.full_name, is_request, tuple(sorted(without)))
        if key in self.names:
            return self.names[key]
        taken = set(self.names.values())
        if name in taken and not without:
            name += 'Input' if is_request else 'Output'
        elif name in taken:
            name += 'Without' + ''.join(w.title().replace('_', '') for w in sorted(without))
        self.names[key] = name
        return name

    def ref(self, message, is_request, without=()):
        name = self.name_for(message, is_request, without)
        if name not in self.made:
            self.made[name] = {}  # for those that hold themselves
            self.made[name] = self.object(message, is_request, without)
        return {'$ref': f'#/components/schemas/{name}'}


class Document:
    def __init__(self, methods, by_name, files, options):
        enums = {f'{f.package}.{e.name}': e for f in files for e in f.enum_type}
        self.comments = Comments(files)
        self.schemas = Schemas(by_name, enums, options, self.comments)
        self.methods = [m for m in methods if m.bindings]
        self.paths = {}

    # -- an operation -------------------------------------------------------------------------------------

    def parameter(self, place, name, owner, field):
        schema = self.schemas.field(owner, field, True)
        found = {'name': name, 'in': place, 'schema': schema}
        about = schema.pop('description', '')
        if place == 'path':
            found['required'] = True
            if schema.get('type') == 'string' and 'format' not in schema:
                schema['minLength'] = max(1, schema.get('minLength', 0))
        elif self.schemas.rules(field).required:
            found['required'] = True
        if about:
            found['description'] = about
        return found

    def query(self, binding, message, prefix='', depth=0):
        """What neither the path nor the body says."""
        for field in message.fields:
            path = prefix + field.name
            if path in binding.variables or (not prefix and field.name == binding.body):
                continue
            target = self.schemas.by_name.get(field.type_name.lstrip('.')) if field.type == Field.TYPE_MESSAGE else None
            if target and target.full_name == 'skep.v1.Page':
                yield from self.query(binding, target, '', depth + 1)
            elif target and target.wkt == 'NONE' and not target.proto.options.map_entry:
                if depth < 2 and not any(v.startswith(path + '.') for v in binding.variables):
                    yield from self.query(binding, target, path + '.', depth + 1)
            elif not (target and target.proto.options.map_entry):
                yield self.parameter('query', path, message.full_name, field)

    def parameters(self, binding):
        message, found = binding.method.input_message, []
        for segment in binding.segments:
            if segment.field:
                owner = message
                for part in segment.field.split('.')[:-1]:
                    field = next(f for f in owner.fields if f.name == part)
                    owner = self.schemas.by_name[field.type_name.lstrip('.')]
                field = next(f for f in owner.fields if f.name == segment.field.split('.')[-1])
                found.append(self.parameter('path', segment.name, owner.full_name, field))
        if binding.body != '*':
            found += self.query(binding, message)
        if self.is_done_once(binding.method):
            found.append({'$ref': '#/components/parameters/IdempotencyKey'})
        if binding.method.text_field(message, 'etag'):
            found.append({'$ref': '#/components/parameters/IfMatch'})
        if binding.method.text_field(binding.method.output_message, 'etag') and binding.verb == 'GET':
            found.append({'$ref': '#/components/parameters/IfNoneMatch'})
        if binding.method.resume.at:
            found.append({'$ref': '#/components/parameters/LastEventId'})
        return found

    @staticmethod
    def is_done_once(method):
        return not method.no_side_effects and method.text_field(method.input_message, 'request_id')

    def body(self, binding, number):
        message = binding.method.input_message
        if binding.body == '*':
            without = {v.split('.')[0] for v in binding.variables}
        else:
            field = next(f for f in message.fields if f.name == binding.body)
            message = self.schemas.by_name[field.type_name.lstrip('.')]
            without = {v.split('.')[1] for v in binding.variables if v.startswith(binding.body + '.')}
        ref = self.schemas.ref(message, True, without)
        schema = self.schemas.made[ref['$ref'].rsplit('/', 1)[-1]]
        given = binding.method.examples[:number][-1:]
        example = {'example': given[0]} if given else self.examples(ref) or {'example': {}}
        return {'required': bool(schema.get('required')), 'content': {'application/json': {'schema': ref, **example}}}

    def examples(self, ref):
        found = self.example(ref, 0)
        return {'example': found} if found else {}

    def example(self, schema, depth):
        """Of the fields that have one, and of those that must be there. None: nothing."""
        if '$ref' in schema:
            schema = self.schemas.made[schema['$ref'].rsplit('/', 1)[-1]]
        if 'examples' in schema:
            return schema['examples'][0]
        if 'enum' in schema or 'anyOf' in schema:
            return self.example(schema['anyOf'][0], depth) if 'anyOf' in schema else None
        schema = {**schema, 'type': schema['type'][0] if isinstance(schema.get('type'), list) else schema.get('type')}
        if schema.get('type') == 'array' and depth < 4:
            inner = self.example(schema['items'], depth + 1)
            return [inner] if inner is not None else None
        if schema.get('type') == 'object' and isinstance(schema.get('additionalProperties'), dict) and depth < 4:
            inner = self.example(schema['additionalProperties'], depth + 1)
            return {'web': inner} if inner is not None else None
        if schema.get('type') == 'object' and depth < 4:
            found = {name: self.example(inner, depth + 1) for name, inner in schema.get('properties', {}).items()}
            return {name: value for name, value in found.items() if value is not None} or None
        return None

    def answer(self, binding):
        method = binding.method
        about = sentence(self.comments.of(method.output_message.full_name)) or 'Done.'
        if method.proto.server_streaming:
            about = 'A message a line, or an event each.'
        if method.output_message.wkt == 'EMPTY':
            return {'204': {'description': 'Done.'}}
        ref = self.schemas.ref(method.output_message, False)
        if method.proto.server_streaming:
            return {'200': {'description': about, 'content': {
                'application/x-ndjson': {'schema': ref}, 'text/event-stream': {'schema': {'type': 'string'}}}}}
        found = {'200': {'description': about, 'content': {'application/json': {'schema': ref, **self.examples(ref)}}}}
        if method.text_field(method.output_message, 'etag'):
            found['200']['headers'] = {'ETag': {'description': 'This version.', 'schema': {'type': 'string'}}}
            if binding.verb == 'GET':
                found['304'] = {'description': 'The client has this version (`if-none-match`).'}
        return found

    def failures(self, binding, has_input):
        method, words = binding.method, {}
        common = {429, 500, 503, 504, 406}
        common |= {400} if has_input else set()
        common |= {401} if not method.anonymous else set()
        common |= {403} if not method.anonymous and method.role > 1 else set()
        common |= {404} if binding.variables or method.text_field(method.input_message, 'project') else set()
        common |= {409} if self.is_done_once(method) else set()
        common |= {412} if method.text_field(method.input_message, 'etag') else set()
        common |= {408, 413, 415} if binding.body else set()
        for failure in method.fails:
            words.setdefault(STATUS[failure.code], []).append(f'{failure.code}: {failure.when}')
        found = {}
        for status in sorted(common | set(words)):
            if status in words:
                text = '; '.join(([COMMON[status]] if status in common else []) + words[status])
                found[str(status)] = {'description': sentence(text), 'content': {PROBLEM: {'schema': {'$ref': '#/components/schemas/Problem'}}}}
            else:
                found[str(status)] = {'$ref': f'#/components/responses/{status}'}
        return found

    def operation(self, binding, number):
        method = binding.method
        service = method.service.name
        about = self.comments.of(method.path[1:].replace('/', '.'))
        role = 'Needs no token.' if method.anonymous else f'Needs the role {ROLES[method.role]}.'
        found = {'tags': [service], 'operationId': f'{service}_{method.proto.name}' + (f'_{number}' if number > 1 else ''),
                 'summary': self.summary(method, about), 'description': ' '.join(filter(None, [sentence(about), role]))}
        if method.anonymous:
            found['security'] = []
        parameters = self.parameters(binding)
        if parameters:
            found['parameters'] = parameters
        if binding.body:
            found['requestBody'] = self.body(binding, number)
        found['responses'] = {**self.answer(binding), **self.failures(binding, parameters or binding.body)}
        return found

    @staticmethod
    def summary(method, about):
        first = re.split(r'(?<=[^.])[.:;(] ', about + ' ')[0].strip().rstrip('.') if about else ''
        return first if first and len(first) <= 90 else f'{method.service.name}: {method.proto.name}'

    # -- the whole ----------------------------------------------------------------------------------------

    def build(self):
        for method in self.methods:
            for number, binding in enumerate(method.bindings, 1):
                self.paths.setdefault(binding.readable(), {})[binding.verb.lower()] = self.operation(binding, number)
        tags = {m.service.name: sentence(self.comments.of(f'{m.file.package}.{m.service.name}')) for m in self.methods}
        return {
            'openapi': '3.1.0',
            'info': {'title': 'Skep', 'version': 'v1', 'description': (
                'Deploys Compose projects to Docker Swarm through a durable queue. What stands here is the REST form of the API; the same '
                'methods are there by gRPC, Connect and gRPC-Web on the same port. JSON is proto3\'s: names in camelCase (snake_case is '
                'read too), fields with their default left out, 64-bit numbers as strings in answers.')},
            'servers': [{'url': '/'}],
            'security': [{'bearer': []}],
            'tags': [{'name': name, **({'description': text} if text else {})} for name, text in sorted(tags.items())],
            'paths': dict(sorted(self.paths.items())),
            'components': {'schemas': dict(sorted({**self.schemas.made, **problems()}.items())), 'parameters': PARAMETERS,
                           'responses': {str(status): {'description': sentence(text), 'content': {
                               PROBLEM: {'schema': {'$ref': '#/components/schemas/Problem'}}}} for status, text in COMMON.items()},
                           'securitySchemes': {'bearer': {'type': 'http', 'scheme': 'bearer', 'description':
                                                          'A token of `skep token create`. On the unix socket root and the daemon\'s own user need none.'}}}}


def header(name, text, **schema):
    return {'name': name, 'in': 'header', 'description': text, 'schema': {'type': 'string', **schema}}


PARAMETERS = {
    'IdempotencyKey': header('Idempotency-Key', 'The same key within 24 hours gives the first answer again.', maxLength=128, pattern='^[!-~]*$'),
    'IfMatch': header('If-Match', 'An ETag: only this version is changed.', maxLength=66),
    'IfNoneMatch': header('If-None-Match', 'An ETag: 304 when it is still this version.'),
    'LastEventId': header('Last-Event-ID', 'The `id` of the last event that was seen: the stream goes on behind it.', pattern='^[0-9.]{0,37}$'),
}


def problems():
    """RFC 9457, with google.rpc's details."""
    def detail(name, text, **properties):
        return {'type': 'object', 'description': text, 'properties': {'@type': {'type': 'string', 'const': f'type.googleapis.com/google.rpc.{name}'},
                                                                      **properties}, 'required': ['@type']}

    def listed(**fields):
        return {'type': 'array', 'items': {'type': 'object', 'properties': {n: {'type': 'string', 'description': t} for n, t in fields.items()}}}
    kinds = {
        'BadRequest': detail('BadRequest', 'Fields of the request.', fieldViolations=listed(field='Its path.', description='What is wrong, and what would be right.')),
        'PreconditionFailure': detail('PreconditionFailure', 'The state of the world.', violations=listed(type='As STACK_BUSY.', subject='As stack/web.', description='In words.')),
        'QuotaFailure': detail('QuotaFailure', 'A limit of the project.', violations=listed(subject='Whose.', description='In words.')),
        'RetryInfo': detail('RetryInfo', 'When to try again.', retryDelay={'type': 'string', 'examples': ['1.500s']}),
    }
    problem = {
        'type': 'object', 'description': 'A failure (RFC 9457), with the details that gRPC carries.', 'required': ['title', 'status', 'code', 'detail'],
        'properties': {'title': {'type': 'string', 'description': 'The status in words.'}, 'status': {'type': 'integer', 'minimum': 400, 'maximum': 599},
                       'code': {'type': 'string', 'enum': sorted(STATUS), 'description': 'gRPC\'s name of it.'},
                       'detail': {'type': 'string', 'description': 'What is wrong, where, and what would be right.'},
                       'details': {'type': 'array', 'items': {'anyOf': [{'$ref': f'#/components/schemas/{name}'} for name in kinds]}}},
        'examples': [{'title': 'Bad Request', 'status': 400, 'code': 'INVALID_ARGUMENT', 'detail': 'name: is required', 'details': [
            {'@type': 'type.googleapis.com/google.rpc.BadRequest', 'fieldViolations': [{'field': 'name', 'description': 'is required'}]}]}]}
    return {**kinds, 'Problem': problem}


def document(methods, by_name, files, options):
    return Document(methods, by_name, files, options).build()
