"""The wire as proto/WIRE.md describes it, against the real daemon: what is right works, what is wrong gets a status with
words or a closed connection with a logged reason, memory stays bounded and others are unaffected."""

import importlib
import socket
import struct
import threading

import pytest
from daemon import hello, number_of
from native_client import CODES, Client, RpcError, wire
from servers import eventually

MIB = 1024 * 1024


@pytest.fixture(scope='module')
def skepd(new_daemon):
    made = new_daemon(handshake_timeout='1s', stall_timeout='2s', max_connections=300)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def others_are_unaffected(skepd):
    """A client that was there before is there afterwards, and memory has not grown beyond what was sent."""
    with skepd.client() as client:
        client.unary('System', 'Info')
        before = skepd.rss()
        yield
        client.ping()
        assert client.unary('System', 'Info').version
    assert skepd.rss() < before + 160 * MIB, 'the sanitizer keeps what was freed for a while'


@pytest.fixture
def raw(skepd):
    """A client to misbehave with."""
    with skepd.client(timeout=20) as client:
        yield client


@pytest.fixture
def late(skepd):
    """Makes clients that are opened when all is prepared, so that their first frame comes in time."""
    opened = []

    def make():
        opened.append(skepd.client(timeout=20))
        return opened[-1]
    yield make
    for client in opened:
        client.close()


def frame(message):
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return struct.pack('>BI', 0, len(data)) + data


def opening(number, method='/skep.v1.System/Info', **fields):
    return wire().Frame(call=number, open={'method': method, 'payload': b'', 'end': True, **fields})


def finish_of(client, number):
    """The status code and message of that call's finish."""
    while True:
        seen = read(client)
        if seen.call == number and seen.WhichOneof('kind') == 'finish':
            return CODES[seen.finish.status.code], seen.finish.status.message


def read(client):
    flags, length = struct.unpack('>BI', client.read_exactly(5))
    assert flags == 0
    return wire().Frame.FromString(client.read_exactly(length))


def goaway_of(client):
    """Its status; the connection must be closed right behind it."""
    seen = read(client)
    assert seen.WhichOneof('kind') == 'goaway', seen
    client.socket.settimeout(5)
    assert client.socket.recv(1) == b''
    return CODES[seen.goaway.status.code], seen.goaway.status.message


# -- what is right ------------------------------------------------------------------------------------------------

def test_the_example_of_the_specification(raw):
    raw.socket.sendall(bytes.fromhex('00 0000001e 0801 121a 0a14') + b'/skep.v1.System/Info' + bytes.fromhex('2200 2801'))
    seen = read(raw)
    info = importlib.import_module('skep.v1.system_pb2').SystemInfo.FromString(seen.finish.payload)
    assert seen.call == 1 and not seen.finish.HasField('status') and info.version


def test_many_calls_at_once(raw):
    calls = [raw.stream('System', 'Info') for _ in range(200)]
    assert all(len(list(call)) == 1 for call in reversed(calls))


def test_replies_out_of_order(project, late):
    """A stream that waits holds up nobody."""
    job = project.submit({'app': hello(deploy={'update_config': {'monitor': '1s'}})}).job
    raw = late()
    events = raw.stream('Jobs', 'Watch', id=job.id)
    for _ in range(10):
        assert raw.unary('System', 'Info').version
    assert list(events)[-1].job.state == number_of('JOB_STATE_SUCCEEDED', 'jobs')


def test_frames_in_pieces(raw):
    data = frame(opening(1)) + frame(opening(2))
    for i in range(len(data)):
        raw.socket.sendall(data[i:i + 1])
    assert sorted(read(raw).call for _ in range(2)) == [1, 2]


def test_deadline(project, late):
    project.deploy({'app': hello()})
    with pytest.raises(RpcError, match='DEADLINE_EXCEEDED'):
        list(late().stream('Stacks', 'Watch', timeout_ms=200, stack=project.ref()))


def test_cancel(project, late):
    project.deploy({'app': hello()})
    stream = late().stream('Stacks', 'Watch', stack=project.ref())
    next(stream)
    stream.cancel()
    stream.cancel()
    with pytest.raises(RpcError, match='CANCELLED'):
        list(stream)


# -- what is wrong: the call ends -------------------------------------------------------------------------------------

def test_unknown_method(raw):
    for method in ('/skep.v1.System/Nothing', '/', '', 'x' * 3000, '/skep.v1.System/Info/'):
        raw.last += 1
        raw.socket.sendall(frame(opening(raw.last, method)))
        code, message = finish_of(raw, raw.last)
        assert code == 'UNIMPLEMENTED' and (method[:50] in message)


def test_unknown_calls(raw):
    for number, fields in enumerate([{'data': {'payload': b''}}, {'credit': {'bytes': 1}}, {'cancel': {}}], 1000):
        raw.send(number, **fields)
        assert finish_of(raw, number)[0] == 'NOT_FOUND'


def test_rules_are_told_all_at_once(skepd):
    with pytest.raises(RpcError) as e:
        skepd.call('Projects', 'Create', name='Not A Name', description='d' * 501, request_id='r' * 129)
    assert e.value.code == 'INVALID_ARGUMENT'
    assert set(e.value.violations()) == {'name', 'description', 'request_id'}
    assert 'lower-case letters, digits and hyphens' in e.value.violations()['name']


@pytest.mark.parametrize('payload', [b'\xff\xff\xff', b'\x0a\xff', b'\x0a\x02\xc3\x28', b'\x0a\x03a\x00b', b'\x0a\x05abc',
                                     b'\x0b'], ids=['bytes', 'short', 'not-utf8', 'nul', 'cut', 'group'])
def test_malformed_message(raw, payload):
    raw.socket.sendall(frame(opening(1, '/skep.v1.Projects/Get', payload=payload)))
    code, message = finish_of(raw, 1)
    assert code == 'INVALID_ARGUMENT' and message
    assert raw.last == 0 and finish_after(raw, 2) == 'OK', 'the connection lives'


def finish_after(client, number):
    client.socket.sendall(frame(opening(number)))
    return finish_of(client, number)[0]


def nested(depth, field=1):
    """Messages in messages."""
    data = b''
    for _ in range(depth):
        length, prefix = len(data), b''
        while length > 127:
            prefix += bytes([length & 127 | 128])
            length >>= 7
        data = bytes([field << 3 | 2]) + prefix + bytes([length]) + data
    return data


def test_20000_deep(raw):
    """Messages in messages, and groups in groups, which nobody has used for twenty years."""
    raw.socket.sendall(frame(opening(1, '/skep.v1.Stacks/Get', payload=nested(20_000))))
    assert finish_of(raw, 1)[0] in ('RESOURCE_EXHAUSTED', 'INVALID_ARGUMENT')
    raw.socket.sendall(frame(opening(2, '/skep.v1.Stacks/Get', payload=b'\x0b' * 20_000 + b'\x0c' * 20_000)))
    assert finish_of(raw, 2)[0] in ('RESOURCE_EXHAUSTED', 'INVALID_ARGUMENT')
    assert finish_after(raw, 3) == 'OK'


def test_20000_deep_envelope(raw):
    raw.socket.sendall(frame(b'\x08\x01' + nested(20_000, 2)))
    seen = read(raw)
    assert seen.WhichOneof('kind') in ('goaway', 'finish')


def test_too_many_elements(raw):
    """1 MiB of empty messages would make half a million objects."""
    raw.socket.sendall(frame(opening(1, '/skep.v1.Stacks/Deploy', payload=b'\x1a\x00' * (512 * 1024))))
    assert finish_of(raw, 1)[0] in ('RESOURCE_EXHAUSTED', 'INVALID_ARGUMENT')


def test_message_over_the_limit(raw):
    raw.socket.sendall(frame(opening(1, '/skep.v1.Projects/Get', payload=b'\x0a' + b'x' * (4 * MIB + 1))))
    code, message = finish_of(raw, 1)
    assert code == 'RESOURCE_EXHAUSTED' and message
    assert finish_after(raw, 2) == 'OK', 'other calls go on'


def test_metadata_over_the_limit(raw):
    raw.socket.sendall(frame(opening(1, metadata={f'k{i}': 'v' for i in range(65)})))
    assert finish_of(raw, 1)[0] == 'RESOURCE_EXHAUSTED'
    raw.socket.sendall(frame(opening(2, metadata={'k': 'v' * (17 * 1024)})))
    assert finish_of(raw, 2)[0] == 'RESOURCE_EXHAUSTED'
    assert finish_after(raw, 3) == 'OK'


def test_too_many_calls(project, late):
    project.deploy({'app': hello()})
    raw = late()
    calls = [raw.stream('Stacks', 'Watch', stack=project.ref()) for _ in range(256)]
    next(calls[-1])
    with pytest.raises(RpcError, match='RESOURCE_EXHAUSTED'):
        raw.unary('System', 'Info')
    calls[0].cancel()
    with pytest.raises(RpcError, match='CANCELLED'):
        list(calls[0])

    def is_taken():
        try:
            return raw.unary('System', 'Info').version
        except RpcError:
            return None
    eventually('one more is taken', is_taken)  # the handler of the cancelled one may be reading for it


# -- what is wrong: the connection ends ---------------------------------------------------------------------------------

BROKEN = {
    'flags': lambda: b'\x01\x00\x00\x00\x00',
    'not-protobuf': lambda: frame(b'\xff' * 50),
    'no-kind': lambda: frame(b'\x08\x01'),
    'two-kinds': lambda: frame(opening(1).SerializeToString() + wire().Frame(cancel={}).SerializeToString()),
    'number-falls': lambda: frame(opening(5)) + frame(opening(5)),
    'number-zero': lambda: frame(opening(0)),
    'finish': lambda: frame(wire().Frame(call=1, finish={})),
    'method-not-text': lambda: frame(b'\x08\x01\x12\x04\x0a\x02\xc3\x28'),
}


@pytest.mark.parametrize('bad', BROKEN)
def test_malformed_frame(skepd, raw, bad):
    raw.socket.sendall(b'\x00' + BROKEN[bad]()[1:] if bad != 'flags' else frame(opening(1)) + BROKEN[bad]())
    if bad in ('number-falls', 'flags'):
        assert read(raw).WhichOneof('kind') == 'finish'
    code, message = goaway_of(raw)
    assert code == 'INVALID_ARGUMENT' and message
    eventually('the reason is logged', lambda: message in skepd.log())


def test_frame_over_every_limit(raw):
    raw.socket.sendall(b'\x00\xff\xff\xff\xff\x08\x01' + b'x' * 64)
    code, message = goaway_of(raw)
    assert code == 'RESOURCE_EXHAUSTED' and message


@pytest.mark.parametrize('first', [b'GET / HTTP/1.1\r\n\r\n', b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', b'\x16\x03\x01\x02\x00',
                                   b'\r\n'])
def test_other_protocols(raw, first):
    raw.socket.sendall(first)
    raw.socket.settimeout(5)
    try:
        while raw.socket.recv(4096):
            pass
    except ConnectionResetError:
        pass


def test_one_that_says_nothing_and_one_that_trickles(skepd):
    """A byte now and then is no first frame: both are closed when the handshake's time is over, with words."""
    silent, trickler = skepd.client(), skepd.client()
    data, stop = frame(opening(1)), threading.Event()

    def trickle():
        for i in range(len(data) - 1):
            if stop.wait(0.2):
                return
            try:
                trickler.socket.sendall(data[i:i + 1])
            except OSError:
                return
    thread = threading.Thread(target=trickle)
    thread.start()
    for client in (silent, trickler):
        assert goaway_of(client)[0] == 'DEADLINE_EXCEEDED'
        client.close()
    stop.set()
    thread.join()


def test_one_that_stops_reading(skepd, project):
    """It asks for much and takes nothing: it is cut off, and what waited for it is freed."""
    for n in range(30):
        skepd.call('Auth', 'CreateToken', project=project.name, name='n' * 100, role=number_of('ROLE_VIEWER', 'options'))
    greedy = skepd.client()
    greedy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = importlib.import_module('skep.v1.auth_pb2').ListTokensRequest(project=project.name).SerializeToString()
    greedy.socket.setblocking(False)
    number, pending = 0, b''
    closed = []

    def ask_more():
        nonlocal number, pending
        try:
            for _ in range(200):
                if not pending:
                    number += 1
                    pending = frame(opening(number, '/skep.v1.Auth/ListTokens', payload=request))
                pending = pending[greedy.socket.send(pending):]
        except BlockingIOError:
            pass
        except OSError as e:
            closed.append(e)
        return closed
    eventually('it is cut off', ask_more, 20)
    assert 'connection closed' in skepd.log()
    greedy.close()


def test_more_connections_than_allowed(skepd):
    """Those that have never said anything make room."""
    with skepd.client() as early:
        early.unary('System', 'Info')
        silent = []
        for _ in range(400):
            s = socket.socket(socket.AF_UNIX)
            s.connect(skepd.socket)
            silent.append(s)
        assert skepd.call('System', 'Info').version
        assert early.unary('System', 'Info').version
        for s in silent:
            s.close()


def test_half_closed(raw):
    """A client that shuts down its writing side has given up."""
    raw.socket.sendall(frame(opening(1)))
    assert finish_of(raw, 1)[0] == 'OK'
    raw.socket.shutdown(socket.SHUT_WR)
    raw.socket.settimeout(5)
    assert raw.socket.recv(1) == b''


def test_connections_that_break_off_anywhere(skepd):
    data = frame(opening(1)) + frame(opening(2, '/skep.v1.Projects/List'))
    for n in range(len(data)):
        with skepd.client() as client:
            client.socket.sendall(data[:n])


# -- Compose texts ------------------------------------------------------------------------------------------------------

BOMB = b'a: &a [x, x, x, x, x, x, x, x, x, x]\n' + b''.join(
    b'%c: &%c [%s]\n' % (c, c, b', '.join([b'*%c' % (c - 1)] * 10)) for c in range(ord('b'), ord('k')))
TEXTS = {
    'alias bomb': BOMB + b'services: {s: {image: x, command: *j}}',
    'merge bomb': b'x-a: &a {' + b', '.join(b'k%d: v' % i for i in range(1000)) + b'}\nservices:\n' + b''.join(
        b'  s%d: {image: x, labels: {<<: *a}, environment: {<<: *a}}\n' % i for i in range(2000)),
    'depth 1e5': b'[' * 100_000,
    'depth 1e5 of maps': b'{a: ' * 100_000,
    'depth 1e5 in blocks': b'- ' * 100_000 + b'x',
    'duplicate keys': b'services:\n  a: {image: x}\n  a: {image: y}\n',
    '1 MiB + 1': b'#' * (MIB + 1),
    'binary': bytes(range(256)) * 64,
    'nul': b'services:\n  a: {image: "x\\0"}\n',
    'not UTF-8': b'services:\n  a: {image: "\xc3\x28"}\n',
    'unclosed': b'services:\n  a: {image: "x\n',
    'a tab': b'services:\n\ta: x\n',
    'unknown key': b'services:\n  a:\n    image: x\n    no_such_key: 1\n',
    'wrong type': b'services:\n  a:\n    image: [x]\n',
    'a list': b'- a\n- b\n',
    'unknown alias': b'services: *nothing\n',
    'alias to itself': b'services: &a {b: *a}\n',
    'undefined network': b'services:\n  a: {image: x, networks: [nowhere]}\n',
    'circle': b'services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n',
    'bad interpolation': b'services:\n  a: {image: "${"}\n',
}


@pytest.mark.parametrize('what', TEXTS)
def test_compose_text(project, what):
    """INVALID_ARGUMENT, each error with its line and column; nothing is stored."""
    with pytest.raises(RpcError) as e:
        project.submit(TEXTS[what])
    assert e.value.code in ('INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED'), e.value
    places = list(e.value.violations())
    assert places
    for place in places:
        name, line, column = place.rsplit(':', 2)
        assert name == 'compose.yml' and int(line) >= 1 and int(column) >= 1, places
    assert not project.skepd.call('Stacks', 'List', project=project.name).stacks


def test_compose_errors_are_told_all_at_once(project):
    text = b'services:\n  a:\n    image: x\n    bad_one: 1\n    ports: ["x"]\n  b:\n    bad_two: 2\n'
    with pytest.raises(RpcError) as e:
        project.submit(text)
    assert {'compose.yml:4:5', 'compose.yml:7:5'} <= set(e.value.violations()), e.value.violations()
