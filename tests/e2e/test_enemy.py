"""What an enemy asks by HTTP: paths, queries, headers and bodies that two readers could understand in two ways, or that say one thing twice.
Each is refused in words, and nothing is done. (test_storms.py has floods and framing, test_tls.py certificates and tokens in clear.)"""

import gzip
import json
import socket

import pytest
import storm
from storm import H2, field, frame

OTHER = '018f4c2e-7d1a-7c3b-9f00-0a1b2c3d4e5f'


@pytest.fixture(scope='module')
def ask(skepd):
    """ask(verb, path, body, *header lines) → (status, text), byte by byte as written."""
    token = skepd.call('Auth', 'CreateToken', name='enemy', role=4).secret
    viewer = skepd.call('Projects', 'Create', name='own') and skepd.call('Auth', 'CreateToken', name='viewer', role=1, project='own').secret
    skepd.call('Projects', 'Create', name='other')

    def run(verb, path, body=None, *lines, host='host: x', auth=f'authorization: Bearer {token}', type='content-type: application/json'):
        data = body if isinstance(body, bytes) else (body or '').encode()
        head = [f'{verb} {path} HTTP/1.1', *filter(None, [host, auth]), 'connection: close']
        if body is not None:
            head += [*filter(None, [type]), f'content-length: {len(data)}']
        head += [line.replace('VIEWER', viewer) for line in lines]
        with socket.create_connection(('127.0.0.1', skepd.port()), 10) as s:
            s.sendall('\r\n'.join([*head, '', '']).encode('utf-8', 'surrogateescape') + data)
            found = b''
            while more := s.recv(1 << 16):
                found += more
        first, _, text = found.partition(b'\r\n\r\n')
        return int(first.split()[1]), text.decode(errors='replace')
    run.token, run.port = token, skepd.port()
    return run


PATHS = {
    '/v1/projects/%6fwn': 200,  # RFC 3986 §6.2.2.2
    '/v1/projects/%256fwn': 404,
    '/v1/projects/%6Fwn/': 404,
    '/v1/projects/..%2fprojects%2fown': 404,
    '/v1/projects/%2e%2e/projects/own': 404,
    '/v1/projects/../projects/own': 404,
    '/v1/./projects/own': 404,
    '//v1/projects/own': 404,
    '/v1//projects/own': 404,
    '/v1/projects//own': 404,
    '/V1/projects/own': 404,
    '/v1/projects/OWN': 404,
    '/v1/%70rojects/own': 404,
    '/v1/projects/own;x=1': 404,
    '/v1/projects/own%2Fstacks': 404,
    '/v1/projects/own%00': 400,
    '/v1/projects/own%ff': 400,
    '/v1/projects/%': 400,
    '/v1/projects/%4': 400,
    '/v1/projects/%zz': 400,
    '/v1/projects/own/stacks/:diff': 404,
    '/v1/projects/own/stacks/x%3Adiff': 404,
    '/v1/jobs%3Astats': 404,
    '/skep.v1.Projects%2FGet': 404,
    '/skep.v1.projects/get': 404,
    '/v1/projects/' + 'a' * 20000: 400,
    '/v1/projects/' + 'a' * 40000: 431,
    'http://elsewhere/v1/projects/own': 200,  # RFC 9112 §3.2.2
    'ftp://x/v1/projects/own': 400,
    'v1/projects/own': 400,
    '*': 400,
}


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path[:40])
def test_paths(ask, path):
    assert ask('GET', path)[0] == PATHS[path]


SAID_TWICE = [
    ('GET', '/v1/jobs?page_size=1&page_size=2', None),
    ('GET', '/v1/jobs?page_size=1&page%5fsize=2', None),
    ('GET', '/v1/jobs?page_size=1&pageSize=2', None),
    ('GET', '/v1/jobs?page.page_size=1&page_size=2', None),
    ('GET', '/v1/jobs?page.pageSize=1&page.page_size=2', None),
    ('GET', '/v1/projects/own/jobs?project=other', None),
    ('GET', '/v1/projects/own/jobs?%70roject=other', None),
    ('GET', f'/v1/projects/own/stacks/x?stack.id={OTHER}', None),
    ('GET', '/v1/projects/own/stacks/x?stack.project=other', None),
    ('DELETE', f'/v1/projects/own/stacks/x?stack.id={OTHER}', None),
    ('GET', f'/v1/stacks/{OTHER}?stack.project=other&stack.name=x', None),
    ('POST', '/v1/projects/own/stacks/x:restart', {'stack': {'id': OTHER}}),
    ('POST', f'/v1/stacks/{OTHER}:restart', {'stack': {'project': 'other', 'name': 'x'}}),
    ('POST', '/v1/projects/own/stacks/x:deploy', {'project': 'other', 'compose': [{'name': 'c', 'text': ''}]}),
    ('POST', '/v1/projects/own/stacks/x:plan', {'name': 'y', 'compose': [{'name': 'c', 'text': ''}]}),
    ('PATCH', '/v1/projects/own', {'project': 'other', 'description': 'x'}),
    ('PATCH', '/v1/projects/own', '{"description": "x", "description": "y"}'),
    ('POST', '/v1/projects', '{"name": "enemy", "requestId": "a", "request_id": "b"}'),
    ('POST', '/v1/projects/own/stacks/x:scale', '{"replicas": {"a": 1, "a": 2}}'),
]


@pytest.mark.parametrize('case', SAID_TWICE, ids=lambda case: f'{case[0]} {case[1][:60]}')
def test_what_is_said_twice(ask, case):
    """In the path, the query, the body: neither wins."""
    verb, path, body = case
    status, text = ask(verb, path, json.dumps(body) if isinstance(body, dict) else body)
    assert status == 400 and ('stands twice' in text or 'stands in the path' in text), (status, text)


HEADERS_TWICE = [
    ('GET', '/v1/me', None, 'authorization: Bearer VIEWER'),
    ('POST', '/skep.v1.Auth/WhoAmI', '{}', 'authorization: Bearer VIEWER'),
    ('POST', '/v1/projects', '{"name": "enemy"}', 'content-type: text/plain'),
    ('POST', '/v1/projects', '{"name": "enemy"}', 'content-encoding: identity', 'content-encoding: gzip'),
    ('POST', '/v1/projects', '{"name": "enemy"}', 'idempotency-key: a', 'idempotency-key: b'),
    ('PATCH', '/v1/projects/own', '{"description": "enemy"}', 'if-match: "x"', 'if-match: *'),
    ('GET', '/v1/events:watch', None, 'last-event-id: 1.1', 'last-event-id: 2.1'),
    ('POST', '/skep.v1.Auth/WhoAmI', '{}', 'connect-timeout-ms: 1', 'connect-timeout-ms: 10000'),
    ('GET', '/v1/me', None, 'host: y'),
]


@pytest.mark.parametrize('case', HEADERS_TWICE, ids=lambda case: f'{case[1]} {case[-1]}')
def test_headers_that_stand_twice(ask, case):
    verb, path, body, *lines = case
    status, text = ask(verb, path, body, *lines)
    assert status == 400 and ('stands twice' in text or 'one host' in text), (status, text)


def test_headers_against_the_body(ask):
    for body, line in (('{"name": "enemy", "requestId": "a"}', 'idempotency-key: b'), ('{"name": "enemy", "requestId": "a"}', 'idempotency-key: "b"')):
        status, text = ask('POST', '/v1/projects', body, line)
        assert status == 400 and 'request_id: stands in the idempotency-key' in text, (status, text)
    status, text = ask('PATCH', '/v1/projects/own', '{"description": "x", "etag": "1"}', 'if-match: "2"')
    assert status == 400 and 'etag: stands in if-match' in text, (status, text)
    assert ask('POST', '/v1/projects', '{"name": "same", "requestId": "a"}', 'idempotency-key: a')[0] == 200


@pytest.mark.parametrize('host', ['x y', 'x/y', 'user@x', 'é', 'x\ty', 'x"', '<x>', 'x\\y'])
def test_a_host_that_is_none(ask, host):
    status, text = ask('GET', '/v1/me', host=f'host: {host}')
    assert status == 400 and 'host' in text, (status, text)


@pytest.mark.parametrize('host', ['', '[::1]:7700', 'a.b-c_d:1', '127.0.0.1'])
def test_a_host_that_is_one(ask, host):
    assert ask('GET', '/v1/me', host=f'host: {host}')[0] == 200


BODIES = {
    'trailing': (b'{"name": "enemy"} {}', 400), 'comma': (b'{"name": "enemy",}', 400), 'comment': (b'{/**/}', 400), 'NaN': (b'{"name": NaN}', 400),
    'array': (b'[]', 400), 'null': (b'null', 400), 'byte order mark': (b'\xef\xbb\xbf{"name": "enemy"}', 400), 'utf-16': ('{"name": "enemy"}'.encode('utf-16'), 400),
    'half a character': (b'{"name": "\\ud800"}', 400), 'NUL': (b'{"name": "a\\u0000b"}', 400), 'not utf-8': (b'{"name": "\xff"}', 400),
    'depth': (b'{"page":' * 3000 + b'1' + b'}' * 3000, 400), 'depth of lists': (b'[' * 100000, 400), 'prototype': (b'{"__proto__": {}}', 400),
    'gzip': (gzip.compress(b'{"name": "packed"}'), 200), 'gzip and more': (gzip.compress(b'{"name": "enemy"}') + b'x', 400),
    'gzip twice': (gzip.compress(gzip.compress(b'{"name": "enemy"}')), 400), 'gzip bomb': (gzip.compress(bytes(100 << 20)), 413),
    'two members of gzip': (gzip.compress(b'{"name":') + gzip.compress(b'"enemy"}'), 400),
}


@pytest.mark.parametrize('case', BODIES)
def test_bodies(ask, case):
    body, expected = BODIES[case]
    status, text = ask('POST', '/v1/projects', body, *(['content-encoding: gzip'] if 'gzip' in case else []))
    assert status == expected, (status, text)


TYPES = {'application/json; charset=utf-8': 200, 'APPLICATION/JSON': 200, 'application/jsonx': 415, 'text/json': 415, 'text/plain': 415,
         'application/x-www-form-urlencoded': 415, 'multipart/form-data; boundary=x': 415, 'application/json, text/html': 415, 'application/proto': 415,
         '': 415}


@pytest.mark.parametrize('type', TYPES)
def test_types_of_bodies(ask, type):
    """What a page of another origin can send without asking first is taken by nothing."""
    name = f'type-{list(TYPES).index(type)}'
    assert ask('POST', '/v1/projects', json.dumps({'name': name}), type=f'content-type: {type}')[0] == TYPES[type]
    assert ask('GET', f'/v1/projects/{name}')[0] == (200 if TYPES[type] == 200 else 404)


@pytest.mark.parametrize('value', ['', 'Bearer', 'Bearer ', 'Basic TOKEN', 'TOKEN', 'Bearer TOKEN x', 'Bearer "TOKEN"', 'Bearer TOKENx', 'Bearer ' + 'x' * 8000])
def test_authorizations(ask, value):
    assert ask('GET', '/v1/me', auth='authorization: ' + value.replace('TOKEN', ask.token))[0] == 401
    assert ask('GET', f'/v1/me?access_token={ask.token}', auth=None)[0] == 401


@pytest.mark.parametrize('token', ['1', '-1', 'x', '9' * 20, "1' or '1'='1", '1.1.1', '999999999999.1'])
def test_positions_that_nobody_gave(ask, token):
    assert ask('GET', '/v1/events:watch', None, f'last-event-id: {token}', 'accept: text/event-stream')[0] == 400


def test_verbs(ask):
    for verb, status in {'TRACE': 405, 'PUT': 405, 'BREW': 400, 'HEAD': 200, 'OPTIONS': 204}.items():
        assert ask(verb, '/v1/projects/own')[0] == status, verb
    assert ask('GET', '/v1/projects/own', None, 'x-http-method-override: DELETE')[0] == 200
    for verb in 'GET', 'DELETE':
        assert ask(verb, '/v1/projects/own', '{}')[0] == 400
    assert ask('GET', '/v1/projects/own')[0] == 200


# ---- HTTP/2: pseudo-fields ----

PLAIN = {':method': 'GET', ':scheme': 'http', ':path': '/v1/me', ':authority': 'x'}
REFUSED = {
    'no path': {':path': None}, 'no method': {':method': None}, 'no scheme': {':scheme': None}, 'an empty path': {':path': ''},
    'no slash': {':path': 'v1/me'}, 'a star': {':path': '*'}, 'an address': {':path': 'http://x/v1/me'}, 'a version': {':path': '/v1/me HTTP/1.1'},
    'a line break': {':path': '/v1/me\r\nx: y'}, 'a NUL': {'x': 'a\0b'}, 'a break in a value': {'x': 'a\r\nb'}, 'capitals': {'X-Y': 'z'},
    'connection': {'connection': 'close'}, 'chunked': {'transfer-encoding': 'chunked'}, 'te': {'te': 'gzip'}, 'status': {':status': '200'},
    'an unknown one': {':evil': '1'}, 'a blank in the verb': {':method': 'GET x'}, 'another host': {'host': 'y'}, 'a host that is none': {':authority': 'a b'},
    'a length that is less': {':method': 'POST', ':path': '/v1/projects', 'content-type': 'application/json', 'content-length': '2'},
    'a length that is more': {':method': 'POST', ':path': '/v1/projects', 'content-type': 'application/json', 'content-length': '99'},
}


def status_of(ask, fields, body=None, more=b''):
    """Of the first stream: its status, or 0 when it was reset."""
    block = b''.join(field(n.encode(), v.encode()) for n, v in fields.items() if v is not None)
    block += field(b'authorization', f'Bearer {ask.token}'.encode()) + more
    with H2(('127.0.0.1', ask.port), timeout=10) as c:
        c.send(frame(storm.HEADERS, storm.END_HEADERS | (0 if body else storm.END_STREAM), 1, block) +
               (frame(storm.DATA, storm.END_STREAM, 1, body) if body else b'') + frame(storm.PING, 0, 0, bytes(8)))
        while True:
            found = c.some_frames()
            for kind, _, stream, payload in found:
                if stream == 1 and kind == storm.HEADERS:
                    return {0x88: 200, 0x8c: 400, 0x8d: 404}.get(payload[0], payload[:5])
                if stream == 1 and kind == storm.RST_STREAM:
                    return 0
            assert found, 'the connection ended'


@pytest.mark.parametrize('case', REFUSED)
def test_pseudo_fields(ask, case):
    status = status_of(ask, {**PLAIN, **REFUSED[case]}, b'{"name": "enemy"}' if 'length' in case else None)
    assert status in (0, 400), status


def test_fields_twice_by_http2(ask):
    assert status_of(ask, PLAIN) == 200
    for twice in (b'authorization', b'Bearer x'), (b':path', b'/v1/system'), (b'content-type', b'a'):
        more = field(*twice) * (2 if twice[0] == b'content-type' else 1)
        assert status_of(ask, PLAIN, more=more) in (0, 400), twice


def test_nothing_was_done(ask):
    names = [p['name'] for p in json.loads(ask('GET', '/v1/projects?page_size=100')[1])['projects']]
    assert 'enemy' not in names and not [n for n in names if n.startswith('type-') and TYPES[list(TYPES)[int(n[5:])]] != 200]
    assert json.loads(ask('GET', '/v1/projects/own')[1]).get('description', '') == ''
