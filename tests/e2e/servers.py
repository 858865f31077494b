"""The real servers of the end-to-end tests. Each is private: our child, in the foreground, in a short directory of its own
below /tmp, reached by a unix socket, ended by its pid - and by the kernel, should pytest die first."""

import base64
import ctypes
import fcntl
import glob
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_PDEATHSIG = 1


def pg_program(name):
    """Of the newest PostgreSQL, where Debian puts it."""
    found = glob.glob(f'/usr/lib/postgresql/*/bin/{name}')
    if not found:
        raise FileNotFoundError(f'no PostgreSQL is installed: /usr/lib/postgresql/*/bin/{name}')
    return max(found, key=lambda path: int(path.split('/')[4]))


def eventually(what, check, timeout=30, every=0.02):
    """check() until it returns something true, which is returned. An exception counts as false, but is shown in the end."""
    deadline = time.monotonic() + timeout
    why = None
    while True:
        try:
            found = check()
            if found:
                return found
            why = None
        except (AssertionError, OSError, RuntimeError, LookupError, http.client.HTTPException) as e:
            why = e
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {timeout} s: {what}') from why
        time.sleep(every)


def short_dir(name):
    return tempfile.mkdtemp(prefix=f'skep-{name}-', dir='/tmp')


def enter_own_network(and_own=0):
    """This thread, and what it starts from now on, is alone with a loopback of its own. False: that is not allowed."""
    if libc.unshare(CLONE_NEWNET | and_own):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # SIOCSIFFLAGS: lo is up
        fcntl.ioctl(s, 0x8914, struct.pack('16sH14x', b'lo', 0x41))
    return True


class Server:
    """One process: start, stop, kill9, log."""

    def __init__(self, name):
        self.name, self.dir, self.process = name, short_dir(name), None
        self.log_path = f'{self.dir}/{name}.log'

    def run(self, argv, prepare=None, death=signal.SIGKILL, **how):
        def child():
            libc.prctl(PR_SET_PDEATHSIG, death)
            if prepare:
                prepare()
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=child,
                                            start_new_session=True, **how)

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as f:
            return f.read()

    def wait_up(self, check, timeout=30):
        def up():
            if not self.is_alive():
                raise SystemError(f'{self.name} ended by itself: {self.log()[-3000:]}')
            return check()
        eventually(f'{self.name} answers', up, timeout)

    def send(self, number):
        if self.is_alive():
            self.process.send_signal(number)

    def end(self, number=signal.SIGTERM, timeout=30):
        """The exit status; a process that does not end in time is killed, and that is an error. number None: ends by itself."""
        if self.process is None:
            return 0
        if number:
            self.send(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f'{self.name} did not end within {timeout} s: {self.log()[-2000:]}') from None
        finally:
            self.process = None

    def kill9(self):
        self.end(signal.SIGKILL)

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Postgres(Server):
    """As the user postgres, never root. conninfo(database) is what libpq takes. settings: beside or in place of the quick
    ones, which would lose what the machine's end finds unwritten."""

    def __init__(self, **settings):
        super().__init__('pg')
        self.settings = {'unix_socket_directories': self.dir, 'listen_addresses': '', 'fsync': 'off', 'full_page_writes': 'off',
                         'shared_buffers': '32MB', 'max_connections': '100', **settings}
        self.socket = f'{self.dir}/.s.PGSQL.5432'
        self.user = pwd.getpwnam('postgres') if os.geteuid() == 0 else None
        self.how = {'user': self.user.pw_uid, 'group': self.user.pw_gid, 'extra_groups': []} if self.user else {}
        if self.user:
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)
        subprocess.run([pg_program('initdb'), '--no-sync', '--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C',
                        '-D', f'{self.dir}/data'], check=True, stdout=subprocess.DEVNULL, cwd='/', **self.how)

    def start(self):
        flags = [word for key, value in self.settings.items() for word in ('-c', f'{key}={value}')]
        self.run([pg_program('postgres'), '-D', f'{self.dir}/data', *flags], cwd='/', **self.how)
        self.wait_up(lambda: self.query('select 1') == '1')

    def stop(self):
        self.end(signal.SIGINT)

    def stop_immediately(self):
        """pg_ctl's -m immediate: no goodbye, recovery at the next start."""
        self.end(signal.SIGQUIT)

    def query(self, sql, database='postgres'):
        done = subprocess.run(['psql', '-h', self.dir, '-U', 'postgres', '-d', database, '-qAtX', '-v', 'ON_ERROR_STOP=1',
                               '-c', sql], capture_output=True, text=True, check=False, timeout=30)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()

    def dump(self, database):
        return subprocess.run([pg_program('pg_dump'), '-h', self.dir, '-U', 'postgres', database], capture_output=True,
                              check=True, timeout=60).stdout

    def conninfo(self, database, directory=None):
        return f'host={directory or self.dir} user=postgres dbname={database}'


class Redis(Server):
    def __init__(self):
        super().__init__('redis')
        self.socket = f'{self.dir}/s'
        self.url = f'unix://{self.socket}'

    def start(self):
        self.run(['redis-server', '--port', '0', '--unixsocket', self.socket, '--save', '', '--appendonly', 'no',
                  '--dir', self.dir])
        self.wait_up(lambda: self.command('PING') == 'PONG')

    def stop(self):
        self.end()

    def command(self, *words):
        done = subprocess.run(['redis-cli', '-s', self.socket, *words], capture_output=True, text=True, check=False, timeout=10)
        return done.stdout.strip()

    def dump(self):
        """Everything it holds, as it would store it."""
        path = f'{self.dir}/dump'
        subprocess.run(['redis-cli', '-s', self.socket, '--rdb', path], capture_output=True, check=True, timeout=30)
        with open(path, 'rb') as f:
            return f.read()


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__('localhost', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine(Server):
    """A Docker Engine in network and mount namespaces of its own, so that no port, bridge or rule of the machine is touched.
    Published ports are reached by http(); images are made from tests/images, nothing is pulled."""

    def __init__(self):
        super().__init__('eng')
        self.socket = f'{self.dir}/s'
        self.host = f'unix://{self.socket}'
        self.last_port = 20000

    @staticmethod
    def unshare():
        if not enter_own_network(CLONE_NEWNS) or libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None):
            os._exit(126)

    def start(self):
        shutil.rmtree(f'{self.dir}/exec', ignore_errors=True)  # as after a boot
        self.run(['dockerd', '--data-root', f'{self.dir}/data', '--exec-root', f'{self.dir}/exec', '--pidfile', f'{self.dir}/pid',
                  '-H', self.host], prepare=self.unshare, death=signal.SIGTERM)
        self.wait_up(lambda: self.call('GET', '/_ping') == 'OK', 60)

    def stop(self):
        self.end(timeout=60)

    def processes(self):
        """Of the Engine, and of what it started: all in its network, and what runs below them."""
        home, found = os.stat(f'/proc/{self.process.pid}/ns/net').st_ino, set()
        for path in glob.glob('/proc/[0-9]*'):
            try:
                if os.stat(f'{path}/ns/net').st_ino == home:
                    found.add(int(path.split('/')[2]))
            except OSError:
                pass
        below, left = children(), list(found)
        while left:
            for pid in below.get(left.pop(), ()):
                if pid not in found:
                    found.add(pid)
                    left.append(pid)
        return found

    def crash(self):
        """As if somebody had pulled the plug: nothing of it runs any more."""
        for pid in self.processes() - {self.process.pid}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.kill9()

    def swarm_init(self):
        self.call('POST', '/swarm/init', {'ListenAddr': '127.0.0.1:2377', 'AdvertiseAddr': '127.0.0.1'})

    def load_image(self, source, reference, **changes):
        """tests/images/<source> as `reference`; changes: Dockerfile instructions."""
        tar = f'{self.dir}/{source}.tar'
        if not os.path.exists(tar):
            subprocess.run([f'{ROOT}/tests/images/build', source, tar], check=True)
        repo, tag = reference.rsplit(':', 1)
        query = [('fromSrc', '-'), ('repo', repo), ('tag', tag), *(('changes', f'{k} {v}') for k, v in changes.items())]
        with open(tar, 'rb') as f:
            self.call('POST', f'/images/create?{urllib.parse.urlencode(query)}', f.read())

    def call(self, verb, path, body=None, headers=None, **query):
        """The Engine's JSON (or text); RuntimeError with its words."""
        headers = dict(headers or {})
        if isinstance(body, dict):
            body, headers['Content-Type'] = json.dumps(body), 'application/json'
        if query:
            path += '?' + urllib.parse.urlencode({k: json.dumps(v) if isinstance(v, dict) else v for k, v in query.items()})
        connection = UnixHTTP(self.socket)
        try:
            connection.request(verb, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise RuntimeError(f'{verb} {path}: {answer.status} {text.decode(errors="replace")}')
        if 'json' in answer.getheader('Content-Type', '') and text.count(b'\n') <= 1 and text.strip():
            return json.loads(text)
        return text.decode(errors='replace')

    # -- what it runs ---------------------------------------------------------------------------------

    def of_namespace(self, kind, namespace):
        return self.call('GET', f'/{kind}', filters={'label': [f'com.docker.stack.namespace={namespace}']}) or []

    def services(self, namespace):
        """{name without the namespace: the Engine's object}"""
        return {s['Spec']['Name'][len(namespace) + 1:]: s for s in self.of_namespace('services', namespace)}

    def tasks(self, namespace, **filters):
        labels = [f'com.docker.stack.namespace={namespace}']
        return self.call('GET', '/tasks', filters={'label': labels, **filters})

    def running(self, namespace):
        """{service: container ids of its running tasks}"""
        names = {s['ID']: name for name, s in self.services(namespace).items()}
        found = {name: [] for name in names.values()}
        for t in self.tasks(namespace):
            if t['Status']['State'] == 'running' and t['DesiredState'] == 'running' and t['ServiceID'] in names:
                found[names[t['ServiceID']]].append(t['Status']['ContainerStatus']['ContainerID'])
        return found

    def objects(self, namespace):
        """Names of everything that carries the namespace, by kind."""
        found = {'services': [s['Spec']['Name'] for s in self.of_namespace('services', namespace)],
                 'networks': [n['Name'] for n in self.of_namespace('networks', namespace)],
                 'secrets': [s['Spec']['Name'] for s in self.of_namespace('secrets', namespace)],
                 'configs': [s['Spec']['Name'] for s in self.of_namespace('configs', namespace)]}
        return {kind: sorted(names) for kind, names in found.items() if names}

    def counts(self, namespace):
        return {kind: len(names) for kind, names in self.objects(namespace).items()}

    def sweep(self, namespace):
        """By hand: what a failed test left behind."""
        for s in self.of_namespace('services', namespace):
            self.call('DELETE', f'/services/{s["ID"]}')
        for kind in ('secrets', 'configs', 'networks'):
            for o in self.of_namespace(kind, namespace):
                number = o.get('ID', o.get('Id'))
                eventually(f'{kind} of {namespace} can be removed', lambda k=kind, n=number: self.gone(k, n), 60, 0.2)

    def gone(self, kind, number):
        try:
            self.call('DELETE', f'/{kind}/{number}')
        except RuntimeError as e:
            if ' 404 ' not in str(e):
                raise
        return True

    def free_port(self):
        """One that no test has used yet."""
        self.last_port += 1
        return self.last_port

    def http(self, port, path='/', timeout=5):
        """(status, text) of a published port."""
        answer = []

        def ask():  # a thread of its own: it does not come back from the Engine's network
            try:
                with open(f'/proc/{self.process.pid}/ns/net', 'rb') as f:
                    if libc.setns(f.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), 'setns')
                connection = http.client.HTTPConnection('127.0.0.1', port, timeout=timeout)
                connection.request('GET', path)
                reply = connection.getresponse()
                answer.append((reply.status, reply.read().decode()))
                connection.close()
            except (OSError, http.client.HTTPException) as e:
                answer.append(e)
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer[0]


def children():
    """{pid: its children's pids}, of every process."""
    found = {}
    for path in glob.glob('/proc/[0-9]*/stat'):
        try:
            with open(path, encoding='utf-8', errors='replace') as f:
                text = f.read()
        except OSError:
            continue
        found.setdefault(int(text.rsplit(')', 1)[1].split()[1]), []).append(int(text.split()[0]))
    return found


class Node(Engine):
    """An Engine with a cable to the others', which is there before it starts. plug(node) makes it."""

    def __init__(self, address, plug):
        super().__init__()
        self.address, self.plug = address, plug

    def run(self, argv, **how):
        wait = 'until ip -o addr show dev cable 2>/dev/null | grep -q inet; do sleep 0.05; done; exec "$@"'
        super().run(['sh', '-c', wait, 'sh', *argv], **how)
        self.plug(self)

    def stop(self):
        if self.is_alive():
            super().stop()


class Swarm:
    """Three Engines, the first one a manager. Their cables meet in a network namespace of its own: nothing of the machine is
    touched, and everything goes with the processes."""

    def __init__(self):
        self.hub = subprocess.Popen(['sleep', 'infinity'], preexec_fn=self.prepare_hub)
        self.nodes = [Node(f'198.51.100.{n}', self.plug) for n in (1, 2, 3)]
        self.manager = self.nodes[0]

    @staticmethod
    def why_not():
        """Why there can be none on this machine; None: there can."""
        if os.geteuid() != 0:
            return 'network namespaces need root'
        for program in ('ip', 'nsenter', 'dockerd'):
            if not shutil.which(program):
                return f'there is no {program}'
        made = subprocess.run(['unshare', '--net', 'ip', 'link', 'add', 'br0', 'type', 'bridge'], capture_output=True, text=True,
                              check=False)
        return made.stderr.strip() or 'no bridge can be made' if made.returncode else None

    @staticmethod
    def prepare_hub():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if libc.unshare(CLONE_NEWNET):
            os._exit(126)

    @staticmethod
    def ip(pid, *words):
        subprocess.run(['nsenter', f'--net=/proc/{pid}/ns/net', 'ip', *words], check=True)

    def plug(self, node):
        number = self.nodes.index(node) + 1
        pid = node.process.pid
        subprocess.run(['nsenter', f'--net=/proc/{self.hub.pid}/ns/net', 'ip', 'link', 'del', f'n{number}'], check=False,
                       capture_output=True)  # of before a crash
        self.ip(self.hub.pid, 'link', 'add', f'n{number}', 'master', 'br0', 'type', 'veth', 'peer', 'name', 'cable',
                'netns', str(pid))
        self.ip(self.hub.pid, 'link', 'set', f'n{number}', 'up')
        self.ip(pid, 'link', 'set', 'cable', 'up')
        self.ip(pid, 'addr', 'add', f'{node.address}/24', 'dev', 'cable')

    def start(self):
        eventually('the hub has a network of its own',
                   lambda: os.stat(f'/proc/{self.hub.pid}/ns/net').st_ino != os.stat('/proc/self/ns/net').st_ino)
        self.ip(self.hub.pid, 'link', 'add', 'br0', 'type', 'bridge')
        self.ip(self.hub.pid, 'link', 'set', 'br0', 'up')
        for node in self.nodes:
            node.start()
        manager = {'ListenAddr': '0.0.0.0:2377', 'AdvertiseAddr': self.manager.address}
        # A node that is gone is noticed within seconds, not within half a minute.
        self.manager.call('POST', '/swarm/init', {**manager, 'Spec': {'Dispatcher': {'HeartbeatPeriod': 1000000000}}})
        token = self.manager.call('GET', '/swarm')['JoinTokens']['Worker']
        for node in self.nodes[1:]:
            node.call('POST', '/swarm/join', {'ListenAddr': '0.0.0.0:2377', 'AdvertiseAddr': node.address,
                                              'RemoteAddrs': [f'{self.manager.address}:2377'], 'JoinToken': token})
        eventually('three nodes are ready', lambda: [self.state(n) for n in self.nodes] == ['ready'] * 3)

    def seen(self, node):
        """A node as the manager sees it."""
        return next(n for n in self.manager.call('GET', '/nodes') if n['Status'].get('Addr') == node.address)

    def state(self, node):
        return self.seen(node)['Status']['State']

    def make(self, node, availability):
        seen = self.seen(node)
        self.manager.call('POST', f'/nodes/{seen["ID"]}/update?version={seen["Version"]["Index"]}',
                          {**seen['Spec'], 'Availability': availability})

    def running_on(self, namespace):
        """{service: addresses of the nodes that its running tasks are on, sorted}"""
        names = {s['ID']: name for name, s in self.manager.services(namespace).items()}
        where = {n['ID']: n['Status'].get('Addr') for n in self.manager.call('GET', '/nodes')}
        found = {name: [] for name in names.values()}
        for t in self.manager.tasks(namespace, **{'desired-state': ['running']}):
            if t['Status']['State'] == 'running':
                found[names[t['ServiceID']]].append(where[t['NodeID']])
        return {name: sorted(addresses) for name, addresses in found.items()}

    def stop(self):
        for node in reversed(self.nodes):
            node.stop()
        self.hub.kill()
        self.hub.wait()

    def remove(self):
        for node in self.nodes:
            node.remove()


class Registry(Server):
    """An image registry on the Engine's loopback, where only the Engine reaches it. One user may pull and push."""

    USER, PASSWORD = 'ci', 'pass "word" /+?'

    def __init__(self, engine, port=5001):
        super().__init__('reg')
        self.engine, self.host = engine, f'127.0.0.1:{port}'
        users = subprocess.run(['htpasswd', '-inB', self.USER], input=self.PASSWORD, capture_output=True, text=True, check=True)
        with open(f'{self.dir}/users', 'w', encoding='ascii') as f:
            f.write(users.stdout.strip() + '\n')
        settings = {'version': 0.1, 'log': {'level': 'warn'}, 'storage': {'filesystem': {'rootdirectory': f'{self.dir}/data'}},
                    'http': {'addr': self.host}, 'auth': {'htpasswd': {'realm': 'test', 'path': f'{self.dir}/users'}}}
        with open(f'{self.dir}/config.yml', 'w', encoding='ascii') as f:
            json.dump(settings, f)

    def join_engine(self):
        with open(f'/proc/{self.engine.process.pid}/ns/net', 'rb') as f:
            if libc.setns(f.fileno(), CLONE_NEWNET):
                os._exit(126)

    def start(self):
        self.run(['docker-registry', 'serve', f'{self.dir}/config.yml'], prepare=self.join_engine)
        port = int(self.host.split(':')[1])
        self.wait_up(lambda: self.engine.http(port, '/v2/')[0] == 401)

    def stop(self):
        self.end()

    def auth(self):
        text = json.dumps({'username': self.USER, 'password': self.PASSWORD, 'serveraddress': self.host})
        return base64.urlsafe_b64encode(text.encode()).decode()

    def push(self, source, name, **changes):
        """tests/images/<source> as <host>/<name>; it is then in the registry and not in the Engine. Its digest."""
        reference = f'{self.host}/{name}'
        self.engine.load_image(source, reference, **changes)
        repo, tag = reference.rsplit(':', 1)
        said = self.engine.call('POST', f'/images/{repo}/push?tag={tag}', headers={'X-Registry-Auth': self.auth()})
        told = [json.loads(line) for line in said.splitlines() if line.strip()]
        assert not any('error' in line for line in told), said
        self.engine.call('DELETE', f'/images/{reference}')
        return next(line['aux']['Digest'] for line in told if 'aux' in line)


def binary(name):
    """skepd or skep of the build directory SKEP_BIN_DIR."""
    build = os.environ.get('SKEP_BIN_DIR') or f'{ROOT}/build/asan'
    path = f'{os.path.abspath(build)}/src/{name}'
    if not os.path.exists(path):
        raise FileNotFoundError(f'there is no {path}: build first (cmake --preset asan && cmake --build --preset asan), '
                                'or name another build directory in SKEP_BIN_DIR')
    return path
