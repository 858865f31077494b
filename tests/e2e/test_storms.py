"""Storms: slow clients, floods and bombs on each wire, requests that two readers could understand in two ways, ten thousand connections. During
and after each the daemon answers a fresh call at once, and its memory is back. (bench/rpc has the figures; here the bounds are generous,
since the sanitizers run and the machine does other things.)"""

import gzip
import resource
import socket
import ssl
import struct
import time

import pytest
import storm
from servers import binary, eventually
from storm import H2, frame
from test_tls import Authority

MIB = 1024 * 1024
FRESH_SECONDS = 2
INFO = b'/skep.v1.System/Info'


@pytest.fixture(scope='module')
def skepd(new_daemon, tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp('storm'))
    made = new_daemon(handshake_timeout='1s', frame_timeout='1s', stall_timeout='2s', max_connections=12000, max_connections_per_address=0,
                      tls_certificate=authority.sign('server.pem', 'DNS:localhost,IP:127.0.0.1'))
    # What was freed goes back at once: without this the sanitizer keeps up to 256 MiB of it, to catch who still uses it.
    old = made.environment.get('ASAN_OPTIONS', '')
    made.environment['ASAN_OPTIONS'] = f'{old}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64:allocator_release_to_os_interval_ms=50'
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(30000, hard), hard))
    try:
        made.start(ready=False)
        yield made
        made.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_sanitized():
    with open(binary('skepd'), 'rb') as f:
        return b'__asan_init' in f.read()


@pytest.fixture
def address(skepd):
    return '127.0.0.1', skepd.port()


def fresh_call(skepd):
    """Seconds that a call on a new connection takes."""
    began = time.monotonic()
    assert skepd.call('System', 'Info').version
    took = time.monotonic() - began
    assert took < FRESH_SECONDS, f'a fresh call took {took:.3f} s'


@pytest.fixture(autouse=True)
def calm_after_the_storm(skepd, address):
    with H2(address) as one, socket.create_connection(address):  # what is made once is there before it is measured
        one.send(frame(storm.HEADERS, storm.END_HEADERS | storm.END_STREAM, 1, storm.request(INFO)))
    fresh_call(skepd)
    before = skepd.rss()
    yield
    fresh_call(skepd)
    # The sanitizer keeps what was freed in lists of its own.
    most = before * 1.1 + (160 if is_sanitized() else 1) * MIB
    try:
        eventually('memory is back', lambda: skepd.rss() < most)
    except AssertionError:
        raise AssertionError(f'{before / MIB:.1f} MiB before, {skepd.rss() / MIB:.1f} MiB after') from None


# ---- slow clients ----

def tls_hello():
    """The first flight of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname='localhost')
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


SLOW = {
    'nothing': b'',
    'native': b'\0\0\0\0\x20' + b'\x08\x01',
    'http/1 request line': b'GET /v1/sys',
    'http/1 fields': b'GET /v1/system HTTP/1.1\r\nhost: x\r\nx-a: ',
    'http/1 body': b'POST /skep.v1.System/Info HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
    'http/2 preface': storm.PREFACE[:10],
    'http/2 fields': storm.PREFACE + frame(storm.SETTINGS, 0, 0) + frame(storm.HEADERS, 0, 1, storm.request(INFO)),
    'http/2 frame': storm.PREFACE + frame(storm.SETTINGS, 0, 0) + frame(storm.HEADERS, 4, 1, storm.request(INFO))[:20],
    'TLS record': b'\x16\x03\x01\x02\x00\x01',
}


@pytest.mark.parametrize('wire', SLOW)
def test_slow_clients_are_closed(skepd, address, wire):
    sockets = storm.connect_many(address, 200, SLOW[wire])
    for s in sockets[:20]:  # and a byte now and then makes it no better
        if SLOW[wire]:
            s.sendall(b'h' if 'http/1' in wire else b'\0')
    fresh_call(skepd)
    assert storm.wait_closed(sockets, 10) == 0


def test_tls_handshakes_that_stop_half_way(skepd, address):
    sockets = storm.connect_many(address, 200, tls_hello())
    fresh_call(skepd)
    assert storm.wait_closed(sockets, 10) == 0


def test_a_grpc_body_that_drips(skepd, address):
    """The stream ends, not its connection, which others may be using."""
    connections = [H2(address) for _ in range(50)]
    for c in connections:
        c.send(frame(storm.HEADERS, storm.END_HEADERS, 1, storm.request(INFO)) + frame(storm.DATA, 0, 1, b'\0\0\0'))
    fresh_call(skepd)
    for c in connections[:3]:
        c.socket.settimeout(1.5)
        assert any(kind == storm.HEADERS and flags & storm.END_STREAM and stream == 1 for kind, flags, stream, _ in c.frames())
        assert not c.closed
    for c in connections:
        c.close()


def test_clients_that_never_read(skepd, address):
    """A hundred thousand answers that nobody takes: they wait within bounds, and the connection is closed."""
    one = b'GET /v1/system HTTP/1.1\r\nhost: x\r\n\r\n'
    before, sockets = skepd.rss(), []
    for _ in range(20):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(address)
        s.setblocking(False)
        sockets.append(s)
        try:
            for _ in range(100):
                s.send(one * 1000)
        except OSError:
            pass
    fresh_call(skepd)
    assert skepd.rss() < before + 100 * MIB
    eventually('they are closed', lambda: skepd.call('System', 'Info') and all(is_reset(s) for s in sockets), timeout=20)
    for s in sockets:
        s.close()


def is_reset(s):
    """Without taking anything from it."""
    try:
        return s.send(b'G') == 0
    except BlockingIOError:
        return s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
    except OSError:
        return True


# ---- floods of HTTP/2 ----

def rapid_reset(i):
    stream = 2 * i + 1
    return frame(storm.HEADERS, storm.END_HEADERS, stream, storm.request(INFO)) + frame(storm.RST_STREAM, 0, stream, struct.pack('>I', 8))


FLOODS = {
    'rapid reset': (rapid_reset, 'streams were opened and taken back'),
    'settings': (lambda i: frame(storm.SETTINGS, 0, 0), 'frames that carry nothing'),
    'settings with content': (lambda i: frame(storm.SETTINGS, 0, 0, struct.pack('>HI', 4, 65535 + i % 2)), 'frames that carry nothing'),
    'ping': (lambda i: frame(storm.PING, 0, 0, bytes(8)), 'too_many_pings'),
    'priority': (lambda i: frame(storm.PRIORITY, 0, 2 * i + 1, struct.pack('>IB', 0, 1)), 'frames that carry nothing'),
    'empty data': (lambda i: (frame(storm.HEADERS, storm.END_HEADERS, 1, storm.request(INFO)) if i == 0 else b'') + frame(storm.DATA, 0, 1),
                   'frames that carry nothing'),
    'unknown frames': (lambda i: frame(0xbb, 0, 0), 'frames that carry nothing'),
}


@pytest.mark.parametrize('flood', FLOODS)
def test_floods(skepd, address, flood):
    make, words = FLOODS[flood]
    connections = [H2(address) for _ in range(3)]
    for c in connections:
        c.send(b''.join(make(i) for i in range(20000)))
    fresh_call(skepd)
    ends = [c.goaway() for c in connections]
    # The words get lost where the peer was still sending when the connection was closed; that it was closed does not.
    assert all(c.closed for c in connections)
    assert all(e is None or (e[0] == storm.ENHANCE_YOUR_CALM and words in e[1]) for e in ends), ends


def test_a_continuation_that_does_not_end(skepd, address):
    """Nor does it do so slowly: what the header may have in all is the limit."""
    with H2(address) as c:
        c.send(frame(storm.HEADERS, 0, 1, storm.request(INFO)))
        for i in range(20000):
            if c.closed:
                break
            c.send(frame(storm.CONTINUATION, 0, 1, storm.field(b'x-%d' % i, b'v' * 100)))
        fresh_call(skepd)
        c.frames()
        assert c.closed


def test_empty_continuations(skepd, address):
    with H2(address) as c:
        c.send(frame(storm.HEADERS, 0, 1, storm.request(INFO)))
        c.send(frame(storm.CONTINUATION, 0, 1) * 100000)
        fresh_call(skepd)
        c.frames()
        assert c.closed


def test_hpack_bomb(skepd, address):
    """Four thousand bytes in the table, referred to sixteen thousand times in each header: 64 MiB, were it unpacked."""
    before = skepd.rss()
    with H2(address, timeout=2) as c:
        block = storm.request(INFO) + storm.field(b'x', b'v' * 4000, indexed=True)
        for i in range(20):
            bomb = (block if i == 0 else storm.request(INFO)) + b'\xbe' * 16000
            c.send(frame(storm.HEADERS, storm.END_STREAM, 2 * i + 1, bomb[:16384]) +
                   frame(storm.CONTINUATION, storm.END_HEADERS, 2 * i + 1, bomb[16384:]))
        fresh_call(skepd)
        found = c.frames()
        assert c.closed or any(kind in (storm.HEADERS, storm.RST_STREAM) for kind, *_ in found)
    assert skepd.rss() < before + 30 * MIB


def test_more_streams_than_are_allowed(skepd, address):
    with H2(address, timeout=2) as c:
        c.send(b''.join(frame(storm.HEADERS, storm.END_HEADERS, 2 * i + 1, storm.request(INFO)) for i in range(5000)))
        fresh_call(skepd)
        refused = [payload for kind, _, _, payload in c.frames() if kind == storm.RST_STREAM]
        assert c.closed or refused


# ---- bombs ----

def test_gzip_bombs(skepd, address):
    bomb = gzip.compress(bytes(200 * MIB), 9)
    before = skepd.rss()
    with H2(address, timeout=2) as c:
        c.send(frame(storm.HEADERS, storm.END_HEADERS, 1, storm.request(INFO, (b'grpc-encoding', b'gzip'))))
        body = b'\1' + struct.pack('>I', len(bomb)) + bomb
        for at in range(0, len(body), 16384):
            c.send(frame(storm.DATA, 0, 1, body[at:at + 16384]))
        c.send(frame(storm.DATA, storm.END_STREAM, 1))
        found = b''.join(payload for *_, payload in c.frames())
    assert b'grpc-status' in found or len(found) > 0
    head = b'POST /skep.v1.System/Info HTTP/1.1\r\nhost: x\r\ncontent-type: application/proto\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n'
    assert exchange(address, head % len(bomb) + bomb).startswith(b'HTTP/1.1 429')
    fresh_call(skepd)
    assert skepd.rss() < before + 60 * MIB


@pytest.mark.parametrize('body', [b'[' * 2_000_000, b'{"a":' * 400_000, b'{' + b'"a":1,' * 400_000 + b'"a":1}', b'"' + b'\\u0041' * 400_000],
                         ids=['lists', 'objects', 'members', 'escapes'])
def test_json_bombs(skepd, address, body):
    head = b'POST /skep.v1.System/Info HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n'
    answer = exchange(address, head % len(body) + body)
    assert answer.startswith((b'HTTP/1.1 400', b'HTTP/1.1 429')), answer[:200]
    fresh_call(skepd)


# ---- requests that could be understood in two ways ----

def exchange(address, data, timeout=5):
    """All that comes back until the connection ends, or nothing has come for a while."""
    with socket.create_connection(address, timeout) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        found = b''
        try:
            while more := s.recv(1 << 16):
                found += more
        except OSError:
            pass
        return found


SMUGGLED = b'GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n'
POST = b'POST /skep.v1.System/Info HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n'
TWO_WAYS = {
    'length and chunks': POST + b'content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n' + SMUGGLED,
    'chunks and length': POST + b'transfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\n' + SMUGGLED,
    'two lengths': POST + b'content-length: 2\r\ncontent-length: 40\r\n\r\n{}' + SMUGGLED,
    'the same length twice': POST + b'content-length: 2\r\ncontent-length: 2\r\n\r\n{}' + SMUGGLED,
    'a list of lengths': POST + b'content-length: 2, 2\r\n\r\n{}' + SMUGGLED,
    'a length with a sign': POST + b'content-length: +2\r\n\r\n{}' + SMUGGLED,
    'a negative length': POST + b'content-length: -2\r\n\r\n{}' + SMUGGLED,
    'a length in hexadecimal': POST + b'content-length: 0x2\r\n\r\n{}' + SMUGGLED,
    'a length with a blank in it': POST + b'content-length: 2 0\r\n\r\n{}' + SMUGGLED,
    'a length beyond 64 bits': POST + b'content-length: 18446744073709551618\r\n\r\n{}' + SMUGGLED,
    'an empty length': POST + b'content-length:\r\n\r\n{}' + SMUGGLED,
    'a blank before the colon': POST + b'content-length : 2\r\n\r\n{}' + SMUGGLED,
    'a folded field': POST + b'content-length: 2\r\nx-a: b\r\n content-length: 40\r\n\r\n{}' + SMUGGLED,
    'a folded encoding': POST + b'transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n' + SMUGGLED,
    'a line feed alone': POST + b'content-length: 2\nx: y\r\n\r\n{}' + SMUGGLED,
    'a carriage return alone': POST + b'content-length: 2\rx: y\r\n\r\n{}' + SMUGGLED,
    'a NUL in a field': POST + b'x-a: b\0c\r\ncontent-length: 2\r\n\r\n{}' + SMUGGLED,
    'a NUL in a name': POST + b'x\0a: b\r\ncontent-length: 2\r\n\r\n{}' + SMUGGLED,
    'xchunked': POST + b'transfer-encoding: xchunked\r\n\r\n0\r\n\r\n' + SMUGGLED,
    'chunked, identity': POST + b'transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n' + SMUGGLED,
    'two encodings': POST + b'transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n' + SMUGGLED,
    'chunked by tabulator': POST + b'transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n' + SMUGGLED,
    'chunks in HTTP/1.0': POST.replace(b'1.1', b'1.0') + b'transfer-encoding: chunked\r\n\r\n0\r\n\r\n' + SMUGGLED,
    'a chunk of a huge size': POST + b'transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n0\r\n\r\n' + SMUGGLED,
    'a chunk beyond 64 bits': POST + b'transfer-encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n' + SMUGGLED,
    'a chunk with a sign': POST + b'transfer-encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n' + SMUGGLED,
    'a chunk 0x2': POST + b'transfer-encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n' + SMUGGLED,
    'a chunk with a line feed': POST + b'transfer-encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n' + SMUGGLED,
    'a chunk that is longer than said': POST + b'transfer-encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n' + SMUGGLED,
    'a chunk without its end': POST + b'transfer-encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n' + SMUGGLED,
    'no host': b'GET /v1/system HTTP/1.1\r\n\r\n' + SMUGGLED,
    'two hosts': b'GET /v1/system HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n' + SMUGGLED,
    'an unknown version': b'GET /v1/system HTTP/1.2\r\nhost: x\r\n\r\n' + SMUGGLED,
    'HTTP/2 by its name': b'GET /v1/system HTTP/2.0\r\nhost: x\r\n\r\n' + SMUGGLED,
    'no version': b'GET /v1/system\r\nhost: x\r\n\r\n' + SMUGGLED,
    'three blanks': b'GET  /v1/system  HTTP/1.1\r\nhost: x\r\n\r\n' + SMUGGLED,
    'a field without a colon': b'GET /v1/system HTTP/1.1\r\nhost: x\r\nnonsense\r\n\r\n' + SMUGGLED,
    'a field without a name': b'GET /v1/system HTTP/1.1\r\nhost: x\r\n: x\r\n\r\n' + SMUGGLED,
    'a field first that is folded': b'GET /v1/system HTTP/1.1\r\n x: y\r\nhost: x\r\n\r\n' + SMUGGLED,
    'another address': b'GET x/v1/system HTTP/1.1\r\nhost: x\r\n\r\n' + SMUGGLED,
    'CONNECT': b'CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n' + SMUGGLED,
}


@pytest.mark.parametrize('case', TWO_WAYS)
def test_smuggling(address, case):
    """One answer, which refuses it, and nothing behind it is read."""
    answer = exchange(address, TWO_WAYS[case])
    if case == 'a chunk of a huge size' and not answer:
        return  # it waits for the rest
    assert answer.startswith((b'HTTP/1.1 400 ', b'HTTP/1.1 405 ', b'HTTP/1.1 501 ', b'HTTP/1.1 505 ')), answer[:300]
    assert answer.count(b'HTTP/1.1 ') == 1 and b'smuggled' not in answer and b'connection: close' in answer.lower(), answer


def test_an_upgrade_is_no_way_in(address):
    """It is answered as if it had not been asked for, and the next request is the next request."""
    upgrade = b'GET /v1/system HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n'
    answer = exchange(address, upgrade + b'GET /v1/system HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    assert answer.count(b'HTTP/1.1 200 OK') == 2 and b'101' not in answer[:20]


# ---- ten thousand connections ----

def test_ten_thousand_connections(skepd, address):
    """Of every kind; those that are there go on being served, and so does a new one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12000:
        pytest.skip(f'only {hard} descriptors are allowed here')
    first = {0: SMUGGLED, 1: storm.PREFACE + frame(storm.SETTINGS, 0, 0), 2: b'\0\0\0\0\x0b\x3a\x09\x09' + bytes(8)}
    sockets = storm.connect_many(address, 9700, lambda i: first[i % 3]) + storm.tls_many(address, 300, 'http/1.1')
    fresh_call(skepd)
    for s in sockets[0:300:3]:
        assert s.recv(1 << 16).startswith(b'HTTP/1.1 404')
    for s in sockets[0:300:3] + sockets[-100:]:
        s.settimeout(10)
        s.sendall(b'GET /v1/system HTTP/1.1\r\nhost: x\r\n\r\n')
        assert s.recv(1 << 16).startswith(b'HTTP/1.1 200')
    for s in sockets:
        s.close()
