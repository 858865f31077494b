"""clients/: every example is built from this tree and deploys a stack to a real daemon, as its README says, and tells its end. What cannot be
built here (there is no Go, no Node.js) is skipped, with words: clients/build says them."""

import os
import shutil
import subprocess
import sys

import pytest

from daemon import compose, hello, serving
from servers import ROOT
from storm import free_port
from test_tls import Authority


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('tls'))


@pytest.fixture(scope='module')
def skepd(new_daemon, authority):
    """With a certificate, and a page of another origin (on this port) that may call."""
    page = free_port()
    made = new_daemon(tls_certificate=authority.sign('server.pem', 'DNS:localhost,IP:127.0.0.1'), tls_client_ca=authority.ca,
                      cors_origins=f'http://127.0.0.1:{page}')
    made.page = page
    with serving(made):
        yield made


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """(folder, {example: why it was not built})"""
    folder = tmp_path_factory.mktemp('clients')
    done = subprocess.run([f'{ROOT}/clients/build', folder], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split(' ', 1) for line in done.stdout.splitlines()]
    return str(folder), dict(rest.split(': ', 1) for word, rest in lines if word == 'skipped')


def address(skepd):
    return f'127.0.0.1:{skepd.port()}'


def url(skepd):
    return f'http://{address(skepd)}'


# {test: (what it needs of clients/build, its command before "PROJECT STACK FILE", what its environment has more)}
EXAMPLES = {
    'c': ('c', lambda f, s: [f'{f}/deploy-c', address(s)], {}),
    'python-native': ('python', lambda f, s: [sys.executable, f'{ROOT}/clients/python/deploy_native.py', address(s)], {}),
    'python-grpc': ('python', lambda f, s: [sys.executable, f'{ROOT}/clients/python/deploy_grpc.py', address(s)], {'PYTHONPATH': '{}/python'}),
    'go-grpc': ('go', lambda f, s: [f'{f}/deploy-grpc', address(s)], {}),
    'go-connect': ('go', lambda f, s: [f'{f}/deploy-connect', url(s)], {}),
    'node': ('typescript', lambda f, s: ['node', f'{f}/typescript/node.js', url(s)], {}),
    'chromium': ('typescript', lambda f, s: ['node', f'{f}/typescript/chromium.mjs', f'{url(s)}/page', url(s)], {}),
    'curl-rest': (None, lambda f, s: [f'{ROOT}/clients/curl/deploy', url(s)], {}),
    'curl-connect': (None, lambda f, s: [f'{ROOT}/clients/curl/deploy', '--connect', url(s)], {}),
}


# The same over other ways: {test: (example, its command's address or what replaces it, its environment: {ca}, {me}, {socket}, {page})}.
# Those that show a client certificate, or come by the unix socket, have no token.
WAYS = {
    'c, unix': ('c', 'unix://{socket}', {}),
    'python-native, unix': ('python-native', 'unix://{socket}', {}),
    'python-grpc, unix': ('python-grpc', 'unix:{socket}', {}),
    'python-grpc, TLS': ('python-grpc', 'localhost:{port}', {'SKEP_CA': '{ca}', 'SKEP_TOKEN': '{token}'}),
    'python-grpc, certificate': ('python-grpc', 'localhost:{port}', {'SKEP_CA': '{ca}', 'SKEP_CERTIFICATE': '{me}'}),
    'go-grpc, unix': ('go-grpc', 'unix://{socket}', {}),
    'go-grpc, TLS': ('go-grpc', 'localhost:{port}', {'SKEP_CA': '{ca}', 'SKEP_TOKEN': '{token}'}),
    'go-grpc, certificate': ('go-grpc', 'localhost:{port}', {'SKEP_CA': '{ca}', 'SKEP_CERTIFICATE': '{me}'}),
    'go-connect, TLS': ('go-connect', 'https://localhost:{port}', {'SKEP_CA': '{ca}', 'SKEP_TOKEN': '{token}'}),
    'go-connect, certificate': ('go-connect', 'https://localhost:{port}', {'SKEP_CA': '{ca}', 'SKEP_CERTIFICATE': '{me}'}),
    'node, TLS': ('node', 'https://localhost:{port}', {'NODE_EXTRA_CA_CERTS': '{ca}', 'SKEP_TOKEN': '{token}'}),
    'curl-rest, unix': ('curl-rest', 'http://skep', {'CURL_OPTIONS': '--unix-socket {socket}'}),
    'curl-connect, TLS': ('curl-connect', 'https://localhost:{port}', {'CURL_OPTIONS': '--cacert {ca}', 'SKEP_TOKEN': '{token}'}),
    'curl-rest, certificate': ('curl-rest', 'https://localhost:{port}', {'CURL_OPTIONS': '--cacert {ca} --cert {me}'}),
}


@pytest.fixture
def run(skepd, project, built, tmp_path):
    """run(example, Compose text, token) → (exit status, what it has said)"""
    folder, skipped = built

    def run(example, text, secret, address=None, **environ):
        needs, command, more = EXAMPLES[example]
        if needs in skipped:
            pytest.skip(skipped[needs])
        for program in {'chromium': ['chromium'], 'curl-rest': ['jq'], 'curl-connect': ['jq']}.get(example, []):
            if not shutil.which(program):
                pytest.skip(f'there is no {program}: tools/setup --with clients')
        file = tmp_path / 'compose.yml'
        file.write_bytes(text)
        environment = {**skepd.environment, 'HOME': str(tmp_path), 'SKEP_TOKEN': secret, **{k: v.format(folder) for k, v in more.items()}}
        environment = {k: v for k, v in {**environment, **environ}.items() if not k.endswith('SAN_OPTIONS') and v}
        words = command(folder, skepd)
        if address:
            words[-1 if example != 'chromium' else -2] = address
        done = subprocess.run([*words, project.name, 'web', str(file)], env=environment, timeout=60, capture_output=True,
                              text=True, check=False)
        return done.returncode, done.stdout + done.stderr
    return run


@pytest.mark.parametrize('example', EXAMPLES)
def test_example(skepd, project, run, example):
    def token(role):
        return skepd.call('Auth', 'CreateToken', project=project.name, name=f'{example} {role}', role=role).secret
    deployer = token(2)
    status, said = run(example, compose({'app': hello()}), deployer)
    assert status == 0 and said.rstrip().endswith('SUCCEEDED') and 'job.step converge' in said, said
    assert project.status() == 'RUNNING'
    # What goes wrong is told in full: a job that fails, a text with a mistake in it, a caller who may not.
    status, said = run(example, compose({'app': hello(networks=['n'])}, networks={'n': {'external': True, 'name': 'no-such'}}), deployer)
    assert status == 1 and 'FAILED' in said, said
    status, said = run(example, b'services: {app: {image: [x]}}', deployer)
    words = 'the Compose text has 1 error' if example == 'curl-connect' else 'must be a string'  # Connect's details are base64
    assert status == 1 and words in said, said
    if example == 'chromium':
        return  # it takes its time to begin
    status, said = run(example, compose({'app': hello()}), token(1))
    assert status == 1 and 'deployer' in said, said


def test_every_way(skepd, project, run, authority):
    """Over the unix socket, inside TLS with an authority of one's own, with a client certificate: what the READMEs show, one behind the other."""
    made = skepd.call('Auth', 'CreateToken', project=project.name, name='ways', role=2)
    known = {'socket': skepd.socket, 'port': skepd.port(), 'ca': authority.ca, 'token': made.secret,
             'me': authority.sign('me.pem', f'URI:urn:skep:token:{made.token.id}')}
    project.deploy({'app': hello()})
    missing, tried = [], 0
    for way, (example, address, environ) in WAYS.items():
        try:
            status, said = run(example, compose({'app': hello()}), None, address.format(**known), **{k: v.format(**known) for k, v in environ.items()})
        except pytest.skip.Exception as why:
            missing.append(str(why))
            continue
        tried += 1
        assert status == 0 and said.rstrip().endswith('SUCCEEDED'), f'{way}: {said}'
    assert tried >= 7, missing


def test_pages_of_other_origins(skepd, project, run):
    """In a real browser: the one that cors_origins names may call, another one may not."""
    secret = skepd.call('Auth', 'CreateToken', project=project.name, name='page', role=2).secret
    status, said = run('chromium', compose({'app': hello()}), secret, f'http://127.0.0.1:{skepd.page}/page')
    assert status == 0 and said.rstrip().endswith('SUCCEEDED'), said
    status, said = run('chromium', compose({'app': hello()}), secret, f'http://127.0.0.1:{free_port()}/page')
    assert status == 1 and 'blocked by CORS policy' in said and 'preflight' in said, said


def test_every_example_has_a_readme():
    for folder in 'c', 'python', 'go', 'typescript', 'curl':
        with open(f'{ROOT}/clients/{folder}/README.md', encoding='utf-8') as f:
            text = f.read()
        assert 'SKEP_TOKEN' in text and os.path.isdir(f'{ROOT}/clients/{folder}'), folder
