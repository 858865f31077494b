"""Each limit on what a peer controls is an option, is reached here, and is counted: an option without a case is an error."""

import contextlib
import re
import socket
import struct
import subprocess

import pytest
import storm
from native_client import RpcError, method
from servers import binary, eventually
from storm import H2, field, frame
from test_storms import INFO

CASES, LIMITS = {}, re.compile('^(max_.*|http2_.*|token_.*|(handshake|frame|idle|stall)_timeout)$')
# Counted by another one's name.
PARTS = {'token_burst': 'token_rate'}


def case(option, **options):
    """What reaches the limit of this option, when the daemon has these ones."""
    def keep(function):
        CASES[option] = (options, function)
        return function
    return keep


def options():
    """{option} of skepd config --help"""
    said = subprocess.run([binary('skepd'), 'config', '--help'], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in said.split('\n') if re.match('  [a-z]', line)}


def test_every_limit_has_a_case(protocol):
    found = {name for name in options() if LIMITS.match(name)}
    assert len(found) > 15 and found == set(CASES) | set(PARTS)


@pytest.fixture(scope='module')
def first(new_daemon):
    """With the usual limits; the others are on its database."""
    made = new_daemon().start()
    yield made
    made.stop()


@pytest.fixture
def daemon(new_daemon, first, request):
    made = new_daemon(database=first.database, key_file=first.options['key_file'], docker='unix:///nonexistent', **CASES[request.param][0])
    made.start(ready=False)
    made.first = first
    yield made
    made.stop()


def counted(skepd):
    """{counter: its value}"""
    return {c.name: c.value for c in skepd.call('System', 'Counters').counters}


def reached(skepd, option):
    """How often, once it has been."""
    def look():
        try:
            return counted(skepd)[f'limit_{option}']
        except RpcError:  # of max_calls itself
            return 0
    return eventually(f'limit_{option} is counted', look)


# ---- the cases ----

def http(skepd, *requests, linger=False):
    """Sends; all that comes until the connection ends (linger: until something has)."""
    with socket.create_connection(('127.0.0.1', skepd.port()), 10) as s:
        s.sendall(b''.join(requests))
        found = b''
        while more := s.recv(1 << 16):
            found += more
            if linger:
                break
        return found


def get(path, *lines):
    return '\r\n'.join([f'GET {path} HTTP/1.1', 'host: x', *lines, '', '']).encode()


def half_a_frame(skepd, size=200_000):
    """Of a long message, by the native protocol: an open socket."""
    s = socket.create_connection(('127.0.0.1', skepd.port()), 10)
    with contextlib.suppress(OSError):
        s.sendall(struct.pack('>BI', 0, size * 2) + bytes(size))
    return s


def watches(skepd, count):
    """Calls that stay: over the unix socket, so many on one connection."""
    client = skepd.client()
    path, request, reply = method('Events', 'Watch')
    calls = [client.open(path, request(), reply) for _ in range(count)]
    return client, calls


def flood(skepd, make):
    with H2(('127.0.0.1', skepd.port())) as c:
        c.send(b''.join(make(i) for i in range(2000)))
        c.frames()


@case('max_message', max_message='16KiB')
def too_long(skepd):
    head = b'POST /v1/projects HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 20000\r\n\r\n'
    assert b' 413 ' in http(skepd, head)


@case('max_metadata', max_metadata=256)
def much_metadata(skepd):
    path, request, reply = method('System', 'Info')
    with skepd.client() as client, pytest.raises(Exception, match='RESOURCE_EXHAUSTED'):
        list(client.open(path, request(), reply, metadata={'x': 'y' * 300}))


@case('max_header', max_header='1KiB')
def long_header(skepd):
    assert b' 431 ' in http(skepd, get('/v1/system', 'connection: close', 'x: ' + 'y' * 1100))
    assert b' 431 ' in http(skepd, get('/v1/' + 'y' * 1100, 'connection: close'))


@case('max_connections', max_connections=8)
def many_connections(skepd):
    with contextlib.ExitStack() as stack:
        for s in storm.connect_many(('127.0.0.1', skepd.port()), 12):
            stack.enter_context(s)
        reached(skepd, 'max_connections')


@case('max_connections_per_address', max_connections_per_address=4)
def many_of_one_address(skepd):
    with contextlib.ExitStack() as stack:
        for s in storm.connect_many(('127.0.0.1', skepd.port()), 6):
            stack.enter_context(s)
        reached(skepd, 'max_connections_per_address')


@case('max_streams', max_streams=3)
def many_streams(skepd):
    client, calls = watches(skepd, 4)
    with client, pytest.raises(Exception, match='3 calls are open on this connection'):
        next(calls[3])


@case('max_calls', max_calls=5)
def many_calls(skepd):
    one, _ = watches(skepd, 4)
    other, calls = watches(skepd, 4)
    with one, other, pytest.raises(Exception, match='too many calls are open'):
        next(calls[3])


def ask_and_not_read(skepd, requests=20000):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(('127.0.0.1', skepd.port()))
    s.setblocking(False)
    with contextlib.suppress(OSError):
        for _ in range(requests // 100):
            s.send(get('/openapi.json') * 100)
    return s


@case('max_buffered', max_buffered='64KiB')
def pressed(skepd):
    with ask_and_not_read(skepd):
        reached(skepd, 'max_buffered')


@case('max_buffered_hard', max_buffered='64KiB', max_buffered_hard='64KiB')
def hard(skepd):
    with ask_and_not_read(skepd):
        reached(skepd, 'max_buffered_hard')


@case('max_buffered_total', max_buffered_total='1MiB')
def total(skepd):
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(half_a_frame(skepd))
        reached(skepd, 'max_buffered_total')


@case('handshake_timeout', handshake_timeout='100ms')
def says_nothing(skepd):
    http(skepd, b'')


@case('frame_timeout', frame_timeout='100ms', handshake_timeout='10s')
def drips(skepd):
    http(skepd, get('/v1/system'), b'GET /v1/sys')


@case('idle_timeout', idle_timeout='1s', handshake_timeout='1s')
def rests(skepd):
    assert b' 200 ' in http(skepd, get('/v1/system'))


@case('stall_timeout', stall_timeout='200ms')
def takes_nothing(skepd):
    with ask_and_not_read(skepd):
        reached(skepd, 'stall_timeout')


@case('http2_resets', http2_resets=1)
def resets(skepd):
    flood(skepd, lambda i: frame(storm.HEADERS, storm.END_HEADERS, 2 * i + 1, storm.request(INFO)) + frame(storm.RST_STREAM, 0, 2 * i + 1, struct.pack('>I', 8)))


@case('http2_controls', http2_controls=1)
def controls(skepd):
    flood(skepd, lambda i: frame(storm.SETTINGS, 0, 0))


@case('http2_ping_interval')
def pings(skepd):
    flood(skepd, lambda i: frame(storm.PING, 0, 0, bytes(8)) if i < 20 else b'')


@case('token_rate', token_rate=1, token_burst=3)
def many_of_one_token(skepd):
    token = skepd.first.call('Auth', 'CreateToken', name='rate', role=1).secret
    answer = http(skepd, get('/v1/me', f'authorization: Bearer {token}') * 6 + get('/v1/me', f'authorization: Bearer {token}', 'connection: close'))
    assert b' 429 ' in answer and b'retry-after: ' in answer


@pytest.mark.parametrize(('daemon', 'option'), [(name, name) for name in CASES], indirect=['daemon'])
def test_limit(daemon, option):
    before = counted(daemon)[f'limit_{option}']
    CASES[option][1](daemon)
    assert reached(daemon, option) > before


# ---- an answer that HTTP/2's window holds back ----

def no_window(skepd, path, *fields):
    """A connection whose streams may send nothing, with one that has been asked for something."""
    c = H2(('127.0.0.1', skepd.port()), timeout=10)
    c.send(frame(storm.SETTINGS, 0, 0, struct.pack('>HI', 4, 0)))
    block = b''.join(field(n, v) for n, v in [(b':method', b'GET'), (b':scheme', b'http'), (b':path', path), (b':authority', b'x'), *fields])
    c.send(frame(storm.HEADERS, storm.END_HEADERS | storm.END_STREAM, 1, block))
    return c


@pytest.mark.parametrize('daemon', ['stall_timeout'], indirect=True)
@pytest.mark.parametrize('what', ['whole', 'stream'])
def test_a_stream_that_is_not_taken(daemon, what):
    """The stream ends, and is counted; its connection, which others may be using, stays."""
    token = daemon.first.call('Auth', 'CreateToken', name=what, role=1).secret
    path = b'/v1/system' if what == 'whole' else b'/v1/events:watch'
    before = counted(daemon)['limit_stall_timeout']
    with no_window(daemon, path, (b'authorization', f'Bearer {token}'.encode())) as c:
        found = [(None, 0, 0, b'')]
        while not any(kind == storm.RST_STREAM and stream == 1 for kind, _, stream, _ in found):
            assert found, 'the connection ended'
            found = c.some_frames()
        assert reached(daemon, 'stall_timeout') == before + 1
        c.send(frame(storm.PING, 0, 0, bytes(8)))
        assert any(kind == storm.PING for kind, *_ in c.some_frames())
