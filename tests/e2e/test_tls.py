"""TLS before clients that others wrote (openssl, curl, Python), and before skep: certificates of servers and clients, their renewal,
and the tokens that must not travel in clear."""

import json
import os
import signal
import socket
import ssl
import subprocess

import pytest

from daemon import Skepd
from servers import Engine, binary, eventually


class Authority:
    """An authority of the test's own, by the openssl command."""

    def __init__(self, directory):
        self.dir = str(directory)
        self.ca = f'{self.dir}/ca.pem'
        self.openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem',
                     '-subj', '/CN=test authority', '-days', '2')

    def openssl(self, *words):
        subprocess.run(['openssl', *words], cwd=self.dir, check=True, capture_output=True)

    def sign(self, file, names, name='test'):
        """Certificate and key in one file, which appears at once."""
        with open(f'{self.dir}/ext', 'w', encoding='ascii') as f:
            f.write(f'subjectAltName={names}')
        self.openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'new.key', '-out', 'new.csr',
                     '-subj', f'/CN={name}')
        self.openssl('x509', '-req', '-in', 'new.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'ext',
                     '-days', '2', '-out', 'new.pem')
        with open(f'{self.dir}/both', 'w', encoding='ascii') as both:
            for part in ('new.pem', 'new.key'):
                with open(f'{self.dir}/{part}', encoding='ascii') as f:
                    both.write(f.read())
        os.rename(f'{self.dir}/both', f'{self.dir}/{file}')
        return f'{self.dir}/{file}'


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('tls'))


@pytest.fixture(scope='module')
def skepd(new_daemon, authority):
    certificate = authority.sign('server.pem', 'DNS:localhost,IP:127.0.0.1')
    return new_daemon(tls_certificate=certificate, tls_client_ca=authority.ca).start()


@pytest.fixture(scope='module')
def token(skepd):
    return skepd.call('Auth', 'CreateToken', name='ci', role=1)


def skep(skepd, *words, host=None, ok=True, prefix=(), **env):
    done = subprocess.run([*prefix, binary('skep'), '--host', host or f'tls://localhost:{skepd.port()}', *words], text=True,
                          capture_output=True, timeout=60, env={**skepd.environment, 'HOME': skepd.dir, **env})
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout + done.stderr


def who(skepd, *words, **how):
    return json.loads(skep(skepd, *words, '-o', 'json', 'whoami', **how))


def test_skep_over_tls(skepd, authority, token):
    assert who(skepd, '--ca', authority.ca, '--token', token.secret)['name'] == 'token:ci'
    assert who(skepd, SKEP_CA=authority.ca, SKEP_TOKEN=token.secret, host=f'https://127.0.0.1:{skepd.port()}/')['role'] == 'ROLE_VIEWER'
    skep(skepd, 'context', 'set', 'here', '--ca', os.path.relpath(authority.ca), '--token', token.secret)
    environment = {**skepd.environment, 'HOME': skepd.dir}
    done = subprocess.run([binary('skep'), '--context', 'here', '-o', 'json', 'whoami'], capture_output=True, text=True, timeout=60,
                          env=environment, cwd='/')
    assert json.loads(done.stdout)['name'] == 'token:ci', done.stderr


def test_skep_trusts_nobody_else(skepd, authority, token):
    said = skep(skepd, '--token', token.secret, 'whoami', ok=False)
    assert 'TLS handshake: unable to get local issuer certificate' in said and '--ca' in said
    said = skep(skepd, '--ca', '/nonexistent', '--token', token.secret, 'whoami', ok=False)
    assert 'authority /nonexistent' in said


def test_client_certificate_has_a_tokens_rights(skepd, authority, token):
    good = authority.sign('good.pem', f'DNS:ci.example.com,URI:urn:skep:token:{token.token.id}')
    assert who(skepd, '--ca', authority.ca, '--certificate', good)['name'] == 'token:ci'
    none = authority.sign('none.pem', 'DNS:ci.example.com')
    assert 'needs a token' in skep(skepd, '--ca', authority.ca, '--certificate', none, 'whoami', ok=False)
    odd = authority.sign('odd.pem', 'URI:urn:skep:token:ci')
    assert 'is no token' in skep(skepd, '--ca', authority.ca, '--certificate', odd, 'whoami', ok=False)
    other = skepd.call('Auth', 'CreateToken', name='gone', role=4)
    gone = authority.sign('gone.pem', f'URI:urn:skep:token:{other.token.id}')
    assert who(skepd, '--ca', authority.ca, '--certificate', gone)['role'] == 'ROLE_ADMIN'
    skepd.call('Auth', 'RevokeToken', id=other.token.id)
    eventually('the certificate lets nobody in', lambda: 'revoked' in skep(
        skepd, '--ca', authority.ca, '--certificate', gone, 'whoami', ok=False), 20, 0.3)


def test_a_bearer_cannot_pose_as_a_certificate(skepd, token):
    reply = curl(skepd, '-H', f'authorization: Bearer certificate {token.token.id}', '-H', 'content-type: application/json', '-d', '{}',
                 path='/skep.v1.Auth/WhoAmI', insecure=True)
    assert 'unauthenticated' in reply


def curl(skepd, *words, path='/', insecure=False, ca=None):
    trust = ['-k'] if insecure else ['--cacert', ca]
    done = subprocess.run(['curl', '-sS', *trust, *words, f'https://localhost:{skepd.port()}{path}'], text=True, capture_output=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize('version', ['--http1.1', '--http2'])
@pytest.mark.parametrize('tls', [['--tlsv1.2', '--tls-max', '1.2'], ['--tlsv1.3']])
def test_curl(skepd, authority, token, version, tls):
    reply = curl(skepd, version, *tls, '-w', ' %{http_version}', '-H', f'authorization: Bearer {token.secret}', '-H',
                 'content-type: application/json', '-d', '{}', path='/skep.v1.Auth/WhoAmI', ca=authority.ca)
    assert '"name":"token:ci"' in reply.replace(' ', '') and reply.endswith('2' if version == '--http2' else '1.1')


def s_client(skepd, *words, text=b''):
    done = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{skepd.port()}', *words], input=text, capture_output=True,
                          timeout=60, check=False)
    return (done.stdout + done.stderr).decode(errors='replace')


def test_what_is_not_agreed_to(skepd):
    assert 'Cipher is (NONE)' in s_client(skepd, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0')
    assert 'Cipher is (NONE)' in s_client(skepd, '-tls1_2', '-cipher', 'AES256-SHA')  # no forward secrecy
    assert 'no application protocol' in s_client(skepd, '-alpn', 'imap')
    assert 'ALPN protocol: h2' in s_client(skepd, '-alpn', 'http/1.1,h2')
    assert 'no renegotiation' in s_client(skepd, '-tls1_2', text=b'R\n')


def connected(skepd, context, session=None):
    return context.wrap_socket(socket.create_connection(('127.0.0.1', skepd.port()), 30), server_hostname='localhost', session=session)


def ask(connection):
    """One request; by its answer the session tickets have come too."""
    connection.sendall(b'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n')
    return connection.recv(65536)


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(skepd, authority, version):
    context = ssl.create_default_context(cafile=authority.ca)
    context.minimum_version = context.maximum_version = version
    with connected(skepd, context) as first:
        assert ask(first).startswith(b'HTTP/1.1 404') and not first.session_reused
        session = first.session
    with connected(skepd, context, session) as second:
        assert ask(second).startswith(b'HTTP/1.1 404') and second.session_reused


def name_of(connection):
    return dict(pair[0] for pair in connection.getpeercert()['subject'])['commonName']


def test_renewed_without_losing_a_connection(skepd, authority):
    context = ssl.create_default_context(cafile=authority.ca)
    old = connected(skepd, context)
    assert name_of(old) == 'test'
    authority.sign('server.pem', 'DNS:localhost,IP:127.0.0.1', name='renewed')
    skepd.send(signal.SIGHUP)

    def served():
        with connected(skepd, context) as fresh:
            return name_of(fresh)
    eventually('the new one is served', lambda: served() == 'renewed')
    assert ask(old).startswith(b'HTTP/1.1 404')
    old.close()
    with open(f'{authority.dir}/server.pem', 'w', encoding='ascii') as f:
        f.write('nothing')
    skepd.send(signal.SIGHUP)
    eventually('it complains', lambda: 'the one before stays' in skepd.log_since_start())
    assert served() == 'renewed'
    authority.sign('server.pem', 'DNS:localhost,IP:127.0.0.1', name='looked at')
    eventually('the daemon looks by itself', lambda: served() == 'looked at')


def test_only_tls(new_daemon, authority):
    skepd = new_daemon(tls_certificate=authority.sign('only.pem', 'DNS:localhost'), listen='tls://127.0.0.1:0').start()
    with socket.create_connection(('127.0.0.1', skepd.port()), 30) as clear:
        clear.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        answer = clear.recv(65536)
        assert answer.startswith(b'HTTP/1.1 400') and b'takes only TLS' in answer
    assert 'takes only TLS' in skep(skepd, 'whoami', host=f'127.0.0.1:{skepd.port()}', ok=False)
    with socket.create_connection(('127.0.0.1', skepd.port()), 30) as silent:
        silent.sendall(b'\x16\x03\x01')
        skepd.stop()  # the drain does not wait for it


def test_a_silent_handshake_ends(new_daemon, authority):
    skepd = new_daemon(tls_certificate=authority.sign('slow.pem', 'DNS:localhost'), handshake_timeout='300ms').start()
    with socket.create_connection(('127.0.0.1', skepd.port()), 30) as silent:
        silent.sendall(b'\x16\x03\x01\x02\x00\x01')
        assert silent.recv(100) == b''
    skepd.stop()


@pytest.mark.parametrize('options, words', [
    ({'listen': 'tls://127.0.0.1:0'}, 'there is no tls_certificate'),
    ({'tls_key': '/etc/key'}, 'need tls_certificate'),
    ({'tls_certificate': '/nonexistent'}, 'certificate /nonexistent'),
    ({'tls_certificate': 'CA', 'tls_require_client': 'true'}, 'needs tls_client_ca'),
])
def test_wrong_options(authority, options, words):
    skepd = Skepd(**{key: authority.ca if value == 'CA' else value for key, value in options.items()})
    skepd.run([binary('skepd')], env={**skepd.environment, **{f'SKEP_{k.upper()}': v for k, v in skepd.options.items()}}, cwd='/')
    assert skepd.end(None) == 1 and words in skepd.log()
    skepd.remove()


class Elsewhere(Skepd):
    """In a network of its own, which has an address that is not the loopback's."""

    def run(self, argv, **how):
        super().run(argv, prepare=self.leave, **how)

    @staticmethod
    def leave():
        Engine.unshare()
        if subprocess.run(['ip', 'address', 'add', '192.0.2.1/32', 'dev', 'lo'], check=False).returncode:
            os._exit(126)


def test_no_token_in_clear(new_daemon, authority, postgres, redis, engine):
    postgres.query('create database clear')
    skepd = Elsewhere(postgres=postgres.conninfo('clear'), redis=redis.url, docker=engine.host, listen='0.0.0.0:0').start()
    try:
        assert 'no token is taken from other machines here' in skepd.log()
        token = skepd.call('Auth', 'CreateToken', name='ci', role=1).secret
        inside = ['nsenter', f'--net=/proc/{skepd.process.pid}/ns/net']
        host = f'192.0.2.1:{skepd.port()}'
        assert who(skepd, '--token', token, host=f'127.0.0.1:{skepd.port()}', prefix=inside)['name'] == 'token:ci'
        said = skep(skepd, '--token', token, 'whoami', host=host, prefix=inside, ok=False)
        assert 'would travel' in said and f'tls://{host}' in said
        said = skep(skepd, '--token', token, 'whoami', host=f'tcp://{host}', prefix=inside, ok=False)
        assert 'came in clear' in said and 'clear_tokens' in said
        skepd.stop()
        skepd.start(clear_tokens='true')
        inside[1] = f'--net=/proc/{skepd.process.pid}/ns/net'
        assert who(skepd, '--token', token, host=f'tcp://192.0.2.1:{skepd.port()}', prefix=inside)['name'] == 'token:ci'
        skepd.stop()
    finally:
        skepd.kill9()
        skepd.remove()
