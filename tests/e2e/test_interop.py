"""The RPC stack before programs that nobody here wrote: gRPC's own interoperability clients (of Ruby, on gRPC's C core, and of Go), h2spec,
grpcurl and ghz. python3-grpcio has test_grpc.py; connectconformance is a part of tools/test of its own."""

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as xml

import pytest
from peers import peer
from rpc_server import InteropServer

HERE = os.path.dirname(os.path.abspath(__file__))

# All of the cases but those that ask Google's servers who the caller is (*_creds, oauth2_auth_token …), or that want several servers or
# load reports (pick_first_unary, orca_*).
CASES = ['empty_unary', 'large_unary', 'client_streaming', 'server_streaming', 'ping_pong', 'empty_stream', 'timeout_on_sleeping_server',
         'cancel_after_begin', 'cancel_after_first_response', 'status_code_and_message', 'custom_metadata', 'unimplemented_method',
         'unimplemented_service']
RUBY = [*CASES, 'client_compressed_unary', 'client_compressed_streaming']
GO = [*CASES, 'special_status_message']


@pytest.fixture(scope='module')
def server(protocol):
    with InteropServer() as made:
        yield made


def test_grpcs_ruby_client(server):
    if not shutil.which('ruby') or subprocess.run(['ruby', '-e', 'require "grpc"'], capture_output=True, check=False).returncode:
        pytest.skip('there is no ruby-grpc: tools/setup --with clients')
    done = subprocess.run(['ruby', f'{HERE}/interop.rb', str(server.port), *RUBY], capture_output=True, text=True, timeout=60, check=False)
    assert re.findall(r'^OK (\w+)$', done.stdout, re.M) == RUBY, done.stdout + done.stderr[-3000:]


@pytest.mark.parametrize('case', GO)
def test_grpcs_go_client(server, case):
    done = subprocess.run([peer('client'), '-server_host=127.0.0.1', f'-server_port={server.port}', f'-test_case={case}'],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


# h2spec is of 2020 and tests RFC 7540. {section: {case: why it is none of ours}}
H2SPEC_EXCEPTIONS = {
    'http2/3.5': {'Sends invalid connection preface':
                  'the port speaks HTTP/1.1 too: what begins with a capital letter and is no preface is answered 400, and closed'},
    'http2/5.1': dict.fromkeys(
        ['closed: Sends a DATA frame after sending RST_STREAM frame', 'closed: Sends a HEADERS frame after sending RST_STREAM frame',
         'closed: Sends a DATA frame', 'closed: Sends a HEADERS frame'],
        'RFC 9113, 5.1: frames on a closed stream are discarded, and only MAY be an error: nghttp2 discards them'),
    'http2/5.1.1': {'Sends stream identifier that is numerically smaller than previous':
                    'RFC 9113, 5.1.1: the larger number has closed the smaller one implicitly; a closed stream, see above'},
}
# Its POST has no content-type, which is answered at once: DATA that comes behind the answer meets a closed stream, see 5.1 above, and DATA that
# comes before it a half-closed one, an error. 5.1's "half closed (remote): Sends a DATA frame" is the same with a GET, whose answer is late.
H2SPEC_RACE = ('http2/6.1', 'Sends a DATA frame on the stream that is not in "open" or "half-closed (local)" state')


def h2spec(server, path, *sections):
    """{(section, case): why it failed, or None}"""
    report = f'{os.environ.get("TMPDIR", "/tmp")}/h2spec-{os.getpid()}.xml'
    try:
        done = subprocess.run([peer('h2spec'), '-h', '127.0.0.1', '-p', str(server.port), '-P', path, '-o', '1', '-j', report, *sections],
                              capture_output=True, text=True, timeout=100, check=False)
        assert os.path.exists(report), done.stdout + done.stderr
        found = {}
        for case in xml.parse(report).getroot().iter('testcase'):
            why = case.find('failure') if case.find('failure') is not None else case.find('error')
            found[case.get('package'), case.get('classname')] = None if why is None else ''.join(why.itertext())
        return found
    finally:
        if os.path.exists(report):
            os.unlink(report)


def test_h2spec(server):
    """145 cases; the answers of /Late/ come after a while, so that its streams are still half-closed when the case goes on."""
    at_once = h2spec(server, '/grpc.testing.TestService/CacheableUnaryCall?encoding=json&message=%7B%7D', 'generic', 'hpack', 'http2')
    late = h2spec(server, '/skep.test.Late/Empty?encoding=json&message=%7B%7D', 'http2/5.1', 'http2/6.1')
    assert len(at_once) == 145 and len(late) >= 13
    failed = {key: why for key, why in {**at_once, **late}.items() if why is not None}
    excepted = {(section, case) for section, cases in H2SPEC_EXCEPTIONS.items() for case in cases}
    assert set(failed) - {H2SPEC_RACE} == excepted, {key: why for key, why in failed.items() if key not in excepted}
    assert ('http2/5.1', 'half closed (remote): Sends a DATA frame') in late


@pytest.fixture(scope='module')
def grpcurl(skepd):
    secret = skepd.call('Auth', 'CreateToken', name='grpcurl', role=4).secret

    def run(*words, data=None):
        command = [peer('grpcurl'), '-plaintext', '-H', f'authorization: Bearer {secret}', *(['-d', json.dumps(data)] if data else []),
                   f'127.0.0.1:{skepd.port()}', *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout if done.returncode == 0 else done.stderr
    return run


def test_grpcurl(grpcurl):
    services = grpcurl('list').split()
    assert {'skep.v1.Stacks', 'skep.v1.Jobs', 'grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection'} <= set(services)
    assert 'rpc Watch ( .skep.v1.WatchJobRequest ) returns ( stream .skep.v1.WatchJobResponse )' in grpcurl('describe', 'skep.v1.Jobs')
    assert json.loads(grpcurl('skep.v1.Auth/WhoAmI')) == {'name': 'token:grpcurl', 'role': 'ROLE_ADMIN'}
    made = json.loads(grpcurl('skep.v1.Projects/Create', data={'name': 'by-grpcurl'}))
    assert made['name'] == 'by-grpcurl'
    said = grpcurl('skep.v1.Jobs/Watch', data={'id': 'x'})
    assert 'Code: InvalidArgument' in said and '"field": "id"' in said
    said = grpcurl('skep.v1.Jobs/Watch', data={'id': '018f4c2e-7d1a-7c3b-9f00-0a1b2c3d4e5f'})
    assert 'Code: NotFound' in said


def test_ghz(skepd):
    done = subprocess.run([peer('ghz'), '--insecure', '--call', 'skep.v1.System/Info', '-c', '50', '--connections', '5', '-n', '5000',
                           '-O', 'json', f'127.0.0.1:{skepd.port()}'], capture_output=True, text=True, timeout=60, check=False)
    report = json.loads(done.stdout)
    assert report['statusCodeDistribution'] == {'OK': 5000}, report.get('errorDistribution')
