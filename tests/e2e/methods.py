"""Every method of skep.v1 from its descriptors: its paths, what its options say, how a message becomes a request by plain HTTP or by
Connect with JSON, and what /openapi.json says of the answer."""

import collections
import copy
import glob
import http.client
import importlib
import json
import os
import re
import struct
import urllib.parse

import jsonschema
from native_client import PROTO
from servers import ROOT

Answer = collections.namedtuple('Answer', 'status headers body')
Binding = collections.namedtuple('Binding', 'verb path body number')
VERBS = ('get', 'put', 'post', 'delete', 'patch')


class Method:
    """One rpc of skep.v1."""

    def __init__(self, service, method):
        options = importlib.import_module('skep.v1.options_pb2')
        annotations = importlib.import_module('google.api.annotations_pb2')
        said = method.GetOptions().Extensions
        rule = said[annotations.http]
        self.service, self.verb, self.name = service.name, method.name, f'{service.name}.{method.name}'
        self.path = f'/skep.v1.{service.name}/{method.name}'
        self.input, self.output, self.is_stream = method.input_type, method.output_type, method.server_streaming
        self.is_read = said[options.no_side_effects]
        self.fails = [(f.code, f.when) for f in said[options.fails]]
        self.resumes = bool(said[options.resume].at)
        self.bindings = [self.binding(r, i) for i, r in enumerate([rule, *rule.additional_bindings], 1)]

    @staticmethod
    def binding(rule, number):
        verb = next(v for v in VERBS if getattr(rule, v))
        return Binding(verb.upper(), getattr(rule, verb), rule.body, number)

    def takes(self, field):
        return field in self.input.fields_by_name

    def gives(self, field):
        return field in self.output.fields_by_name

    def operation(self, binding):
        return f'{self.service}_{self.verb}' + (f'_{binding.number}' if binding.number > 1 else '')


def all_methods():
    """{Service.Method: Method}"""
    found = {}
    for file in sorted(glob.glob(f'{PROTO}/skep/v1/*.proto')):
        module = importlib.import_module(f'skep.v1.{os.path.basename(file)[:-6]}_pb2')
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                made = Method(service, method)
                found[made.name] = made
    return found


# ---- messages as requests ----

def snake(name):
    return re.sub('[A-Z]', lambda m: '_' + m[0].lower(), name)


def take(message, path):
    """The value at a.b.c, which is then no longer there."""
    first, _, rest = path.partition('.')
    return take(message[first], rest) if rest else message.pop(first)


def query_of(message, prefix=''):
    for name, value in message.items():
        if name == 'page' or isinstance(value, dict):
            yield from query_of(value, '' if name == 'page' else f'{prefix}{snake(name)}.')
        else:
            for item in value if isinstance(value, list) else [value]:
                yield prefix + snake(name), json.dumps(item) if isinstance(item, bool) else str(item)


def transcode(binding, message):
    """(path with query, body or None, names in the query)"""
    left = copy.deepcopy(message)
    path = re.sub(r'\{([^}]+)\}', lambda m: urllib.parse.quote(str(take(left, m[1])), safe=''), binding.path)
    body = None
    if binding.body == '*':
        body, left = {k: v for k, v in left.items() if v != {}}, {}
    elif binding.body:
        body = left.pop(binding.body)
    pairs = list(query_of(left))
    return path + ('?' + urllib.parse.urlencode(pairs) if pairs else ''), body, {name for name, _ in pairs}


# ---- what the document says ----

class Document:
    def __init__(self):
        with open(f'{ROOT}/gen/openapi.json', encoding='utf-8') as f:
            self.all = json.load(f)
        self.operations = {o['operationId']: o for verbs in self.all['paths'].values() for o in verbs.values()}
        self.strict = copy.deepcopy(self.all)  # nothing is answered that does not stand there
        for schema in self.strict['components']['schemas'].values():
            if schema.get('type') == 'object' and 'properties' in schema:
                schema.setdefault('additionalProperties', False)

    def check(self, schema, value, what):
        resolver = jsonschema.RefResolver('', self.strict)
        errors = list(jsonschema.Draft202012Validator(schema, resolver=resolver).iter_errors(value))
        assert not errors, f'{what}: {[(list(e.path), e.message[:300]) for e in errors]} in {json.dumps(value)[:2000]}'

    def check_request(self, operation, body, query):
        o = self.operations[operation]
        names = {p['name'] for p in o.get('parameters', []) if p.get('in') == 'query'}
        assert query <= names, f'{operation}: the query has {query - names}, which the document does not know'
        if body is not None:
            self.check(o['requestBody']['content']['application/json']['schema'], body, f'body of {operation}')

    def response(self, operation, status):
        found = self.operations[operation]['responses'].get(str(status))
        assert found, f'{operation} answered {status}, which the document does not know'
        while '$ref' in found:
            found = self.all['components']['responses'][found['$ref'].rsplit('/', 1)[-1]]
        return found

    def check_answer(self, operation, answer):
        said = self.response(operation, answer.status).get('content', {})
        kind = answer.headers.get('content-type', '').split(';')[0]
        if not said:
            assert answer.body in (b'', None), f'{operation}: {answer}'
            return
        assert kind in said, f'{operation} answered {answer.status} with {kind}'
        if 'json' in kind and 'ndjson' not in kind:
            self.check(said[kind]['schema'], answer.body, f'{operation} {answer.status}')
        if answer.status >= 400:
            assert answer.body['status'] == answer.status and answer.body['detail'], answer
            assert answer.body['code'] in self.response(operation, answer.status)['description'], \
                f'{operation} answered {answer.status} {answer.body["code"]} ({answer.body["detail"]}): undocumented'


# ---- a connection ----

class Caller:
    """Calls with a token over one kept connection; streams have one of their own."""

    def __init__(self, port, token):
        self.port, self.token = port, token
        self.connection = self.connect()

    def connect(self):
        return http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)

    def send(self, connection, verb, path, body=None, **headers):
        headers = {name.replace('_', '-'): value for name, value in headers.items() if value}
        if self.token:
            headers.setdefault('authorization', f'Bearer {self.token}')
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault('content-type', 'application/json')
        connection.request(verb, path, body, headers)
        return connection.getresponse()

    def ask(self, verb, path, body=None, **headers):
        answer = self.send(self.connection, verb, path, body, **headers)
        text, found = answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        if text and 'json' in found.get('content-type', ''):
            text = json.loads(text)
        return Answer(answer.status, found, text)

    def first(self, verb, path, body=None, until=b'\n', **headers):
        """The beginning of a stream: Answer, with all up to `until` as its body (a failure whole)."""
        connection, text = self.connect(), b''
        try:
            answer = self.send(connection, verb, path, body, **headers)
            found = {name.lower(): value for name, value in answer.getheaders()}
            if answer.status != 200:
                return Answer(answer.status, found, json.loads(answer.read()))
            while not text.endswith(until):
                more = answer.read(1)
                if not more:
                    break
                text += more
            return Answer(answer.status, found, text)
        finally:
            connection.close()

    def first_of_connect_stream(self, path, message):
        connection = self.connect()
        try:
            data = json.dumps(message).encode()
            answer = self.send(connection, 'POST', path, struct.pack('>BI', 0, len(data)) + data, content_type='application/connect+json')
            assert answer.status == 200
            flags, length = struct.unpack('>BI', answer.read(5))
            return flags, json.loads(answer.read(length))
        finally:
            connection.close()

    def close(self):
        self.connection.close()
