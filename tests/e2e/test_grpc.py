"""gRPC with a client that others wrote: grpcio, on gRPC's C core."""

import base64
import subprocess
import threading
import time

import grpc
import pytest
from rpc_server import TOKEN, RpcServer

METADATA = [('authorization', f'Bearer {TOKEN}')]


@pytest.fixture(scope='module')
def server(protocol):
    with RpcServer() as made:
        yield made


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.address, [('grpc.max_receive_message_length', -1)]) as made:
        yield made


def event(**fields):
    from skep.v1 import common_pb2
    return common_pb2.Event(**fields)


def stub(channel, kind, method):
    return getattr(channel, kind)(f'/t.T/{method}', lambda m: m.SerializeToString(), type(event()).FromString)


def unary(channel, method, message, metadata=METADATA, timeout=30, **how):
    return stub(channel, 'unary_unary', method)(message, metadata=metadata, timeout=timeout, **how)


def failure(fn, *args, **kwargs):
    with pytest.raises(grpc.RpcError) as e:
        fn(*args, **kwargs)
    return e.value


def test_unary(channel):
    sent = event(sequence=42, message='hé')
    assert unary(channel, 'Echo', sent) == sent


def test_each_failure_has_its_code_and_words(channel):
    e = failure(unary, channel, 'Echo', event(), metadata=[])
    assert e.code() == grpc.StatusCode.UNAUTHENTICATED and 'needs a token' in e.details()
    e = failure(unary, channel, 'Echo', event(), metadata=[('authorization', 'Bearer other')])
    assert e.code() == grpc.StatusCode.UNAUTHENTICATED and e.details() == 'the token is unknown'
    e = failure(unary, channel, 'Deploy', event())
    assert e.code() == grpc.StatusCode.PERMISSION_DENIED
    e = failure(unary, channel, 'Nix', event())
    assert e.code() == grpc.StatusCode.UNIMPLEMENTED and e.details() == 'there is no method "/t.T/Nix"'


def test_details_travel(channel):
    from google.rpc import error_details_pb2, status_pb2
    e = failure(unary, channel, 'Fail', event(message='ünïcode 100 %\n'))
    assert e.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert e.details() == 'not ünïcode 100 %\n'
    packed = dict(e.trailing_metadata())['grpc-status-details-bin']
    status = status_pb2.Status.FromString(packed)
    assert status.code == 9 and status.message == e.details()
    bad = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad)
    assert bad.field_violations[0].field == 'name'
    assert len(status.details) == 4


def test_deadline(channel):
    started = time.monotonic()
    e = failure(unary, channel, 'Hang', event(), timeout=0.2)
    assert e.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 5


def test_cancel(channel):
    call = stub(channel, 'unary_unary', 'Hang').future(event(), metadata=METADATA)
    call.cancel()
    assert call.cancelled()
    assert unary(channel, 'Echo', event(sequence=1)).sequence == 1


def test_server_stream(channel):
    got = list(stub(channel, 'unary_stream', 'Source')(event(sequence=2000, percent=3000), metadata=METADATA))
    assert [m.sequence for m in got] == list(range(1, 2001))


def test_client_stream(channel):
    messages = (event(sequence=i) for i in range(2001))
    assert stub(channel, 'stream_unary', 'Sink')(messages, metadata=METADATA).sequence == 2001000


def test_both_ways_one_after_the_other(channel):
    """Each message is sent when the answer to the one before has come."""
    turn, sent = threading.Semaphore(1), 50

    def messages():
        for i in range(sent):
            assert turn.acquire(timeout=30)
            yield event(sequence=i)
    got = []
    for answer in stub(channel, 'stream_stream', 'Bidi')(messages(), metadata=METADATA):
        got.append(answer.sequence)
        turn.release()
    assert got == list(range(sent))


@pytest.mark.parametrize('size', [0, 1, 16384, 70000, 4 * 1024 * 1024 - 100])
def test_sizes(channel, size):
    assert len(unary(channel, 'Echo', event(message='x' * size)).message) == size


def test_too_large(channel):
    e = failure(unary, channel, 'Echo', event(message='x' * 5000000))
    assert e.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and 'at most 4194304' in e.details()


@pytest.mark.parametrize('how', [grpc.Compression.Gzip, grpc.Compression.NoCompression])
def test_compressed(channel, how):
    assert unary(channel, 'Echo', event(message='x' * 100000), compression=how).message == 'x' * 100000


def test_deflate_is_refused_with_what_is_known(channel):
    e = failure(unary, channel, 'Echo', event(message='x' * 100000), compression=grpc.Compression.Deflate)
    assert e.code() == grpc.StatusCode.UNIMPLEMENTED
    assert 'gzip' in dict(e.initial_metadata() or e.trailing_metadata()).get('grpc-accept-encoding', '') or 'gzip' in e.details()


def test_many_at_a_time(channel):
    calls = [stub(channel, 'unary_unary', 'Echo').future(event(sequence=i), metadata=METADATA) for i in range(3000)]
    assert [call.result().sequence for call in calls] == list(range(3000))


def test_slow_reader_does_not_grow_the_server(server, channel):
    """A stream of 200 MB of which nothing is read, beside others that go on."""
    before = server.rss()
    stream = stub(channel, 'unary_stream', 'Source')(event(sequence=200, percent=1000000), metadata=METADATA)
    next(stream)
    for i in range(200):
        assert unary(channel, 'Echo', event(sequence=i)).sequence == i
    assert server.rss() < before + 60 * 1024 * 1024
    stream.cancel()


def test_drain_lets_calls_end(protocol):
    """What is under way ends; what comes later goes elsewhere: nothing is lost."""
    with RpcServer() as server, grpc.insecure_channel(server.address) as channel:
        turn = threading.Semaphore(1)

        def messages():
            for i in range(2):
                assert turn.acquire(timeout=30)
                yield event(sequence=i)
        answers = stub(channel, 'stream_stream', 'Bidi')(messages(), metadata=METADATA)
        assert next(answers).sequence == 0
        server.drain()
        turn.release()
        assert [m.sequence for m in answers] == [1]
        assert failure(unary, channel, 'Echo', event(), timeout=20).code() == grpc.StatusCode.UNAVAILABLE


def test_keepalive_policy(protocol, capfd):
    """A client that pings too often is told so, in the words that it knows (and logs)."""
    options = [('grpc.keepalive_time_ms', 10), ('grpc.keepalive_permit_without_calls', 1), ('grpc.http2.max_pings_without_data', 0)]
    with RpcServer() as server, grpc.insecure_channel(server.address, options) as channel:
        call = stub(channel, 'unary_unary', 'Hang').future(event(), metadata=METADATA)
        e = call.exception(timeout=60)
        assert e.code() == grpc.StatusCode.UNAVAILABLE
        assert 'ENHANCE_YOUR_CALM and debug data equal to "too_many_pings"' in capfd.readouterr().err


def test_h2load_checks_the_frames(server, tmp_path):
    """A client with its own HTTP/2, and many connections: each answer is a 200."""
    message = event(sequence=7).SerializeToString()
    body = b'\0' + len(message).to_bytes(4, 'big') + message
    path = tmp_path / 'body'
    path.write_bytes(body)
    done = subprocess.run(['h2load', '-n', '2000', '-c', '10', '-m', '20', '-d', str(path), '-H', 'te: trailers',
                           '-H', 'content-type: application/grpc', '-H', f'authorization: Bearer {TOKEN}',
                           f'http://{server.address}/t.T/Echo'], stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    assert '2000 succeeded' in done.stdout, done.stdout


def test_metadata_with_bytes(channel):
    """-bin metadata is no reason to fail, padded or not."""
    extra = [('x-trace-bin', bytes(range(7))), ('x-empty-bin', b''), ('x-text', base64.b64encode(b'x').decode())]
    assert unary(channel, 'Echo', event(sequence=1), metadata=METADATA + extra).sequence == 1
