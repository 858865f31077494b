"""HTTP with a client that others wrote: curl, over HTTP/1.1 and HTTP/2."""

import json
import struct
import subprocess

import pytest
from rpc_server import TOKEN, RpcServer


@pytest.fixture(scope='module')
def server(protocol):
    with RpcServer() as made:
        yield made


@pytest.fixture(params=['--http1.1', '--http2-prior-knowledge'])
def curl(server, request):
    """curl(path, …) → (status, {header}, body)"""
    def run(path, *arguments, data=None, token=TOKEN, type='application/json'):
        command = ['curl', '-sS', '-i', request.param, '--max-time', '30', f'http://{server.address}{path}', *arguments]
        if token:
            command += ['-H', f'authorization: Bearer {token}']
        if data is not None:
            command += ['-H', f'content-type: {type}', '--data-binary', '@-']
        done = subprocess.run(command, input=data if data is not None else b'', stdout=subprocess.PIPE, check=True)
        head, body = done.stdout.split(b'\r\n\r\n', 1)
        while head.startswith(b'HTTP/1.1 100'):
            head, body = body.split(b'\r\n\r\n', 1)
        lines = head.decode().split('\r\n')
        return int(lines[0].split()[1]), dict(line.lower().split(': ', 1) for line in lines[1:]), body
    return run


def envelopes(body):
    while body:
        flags, length = struct.unpack('>BI', body[:5])
        yield flags, body[5:5 + length]
        body = body[5 + length:]


def test_call(curl):
    status, headers, body = curl('/t.T/Echo', data='{"sequence": 42, "message": "hé"}'.encode())
    assert status == 200 and headers['content-type'] == 'application/json'
    assert json.loads(body) == {'sequence': '42', 'message': 'hé'}


def test_failures(curl):
    status, headers, body = curl('/t.T/Echo', data=b'{"sequence": "x"}')
    assert status == 400 and headers['content-type'] == 'application/json'
    assert json.loads(body) == {'code': 'invalid_argument', 'message': 'sequence: must be a whole number of 64 bits'}
    assert curl('/t.T/Echo', data=b'{}', token=None)[0] == 401
    assert curl('/t.T/Deploy', data=b'{}')[0] == 403
    assert curl('/t.T/Nix', data=b'{}')[0] == 404


def test_details(curl):
    details = json.loads(curl('/t.T/Fail', data=b'{"message": "x"}')[2])['details']
    assert [d['type'] for d in details] == ['google.rpc.BadRequest', 'google.rpc.PreconditionFailure',
                                            'google.rpc.QuotaFailure', 'google.rpc.RetryInfo']


def test_gzip(curl):
    text = 'x' * 100000
    status, headers, body = curl('/t.T/Echo', '--compressed', data=json.dumps({'message': text}).encode())
    assert status == 200 and headers['content-encoding'] == 'gzip' and json.loads(body)['message'] == text


def test_get(curl):
    assert json.loads(curl('/t.T/Anon?connect=v1&encoding=json&message=%7B%22sequence%22:7%7D', token=None)[2]) == {'sequence': '7'}


def test_stream(curl):
    message = b'{"sequence": "1000", "percent": 2000}'
    status, _, body = curl('/t.T/Source', data=struct.pack('>BI', 0, len(message)) + message, type='application/connect+json')
    got = list(envelopes(body))
    assert status == 200
    assert [int(json.loads(m)['sequence']) for flags, m in got if flags == 0] == list(range(1, 1001))
    assert got[-1] == (2, b'{}')


def test_chunked_upload_with_100_continue(curl):
    messages = b''.join(struct.pack('>BI', 0, len(m)) + m for m in (b'{"sequence": "%d"}' % i for i in range(20000)))
    status, _, body = curl('/t.T/Sink', '-H', 'transfer-encoding: chunked', '-H', 'expect: 100-continue',
                           data=messages, type='application/connect+json')
    assert status == 200
    assert json.loads(next(envelopes(body))[1]) == {'sequence': str(sum(range(20000)))}


def test_grpc_web(curl):
    status, _, body = curl('/t.T/Echo', data=b'\0\0\0\0\2\x08\x07', type='application/grpc-web+proto')
    assert status == 200
    assert list(envelopes(body)) == [(0, b'\x08\x07'), (0x80, b'grpc-status: 0\r\n')]


def test_connection_is_used_again(server):
    url = f'http://{server.address}/t.T/Anon?encoding=json&message=%7B%7D'
    done = subprocess.run(['curl', '-sS', '--max-time', '30', '-w', '%{num_connects}', url, url, url],
                          stdout=subprocess.PIPE, check=True)
    assert done.stdout == b'{}1{}0{}0'
