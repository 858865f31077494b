"""What the benchmarks share: the test bed's servers, a count of the Engine's requests, the machine, the results."""

import collections
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
sys.path.insert(0, f'{ROOT}/tests/e2e')
os.environ.setdefault('SKEP_BIN_DIR', f'{ROOT}/build/release')

import native_client  # noqa: E402
from servers import Engine, Postgres, Redis  # noqa: E402

__all__ = ['Bed', 'Counter', 'build_dir', 'load', 'machine', 'save', 'cpu_seconds']

REQUEST = re.compile(rb'(?:^|\n)(GET|POST|HEAD|PUT|DELETE) (?:/v[\d.]+)?/([\w]+)\S* HTTP/1\.1\r\n')


class Counter:
    """A unix-socket proxy in front of the Engine that counts requests, by method and first word of the path ("GET tasks")."""

    def __init__(self, target, path):
        self.target, self.kinds = target, collections.Counter()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(128)
        self.host = f'unix://{path}'
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.target)
            threading.Thread(target=self.pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, False), daemon=True).start()

    def pump(self, source, to, count):
        try:
            while data := source.recv(1 << 18):
                if count:
                    self.kinds.update(f'{method.decode()} {noun.decode()}' for method, noun in REQUEST.findall(data))
                to.sendall(data)
        except OSError:
            pass
        for s in (source, to):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Bed:
    """PostgreSQL, Redis and, if asked, an Engine that is a Swarm, for a `with`."""

    def __init__(self, engine=True):
        self.postgres, self.redis = Postgres(), Redis()
        self.engine = Engine() if engine else None
        self.dir = tempfile.mkdtemp(prefix='skep-bench-', dir='/tmp')

    def __enter__(self):
        native_client.load(self.dir)
        self.postgres.start()
        self.redis.start()
        if self.engine:
            self.engine.start()
            self.engine.swarm_init()
            self.engine.load_image('hello', 'localhost/hello:1', ENTRYPOINT='["/hello"]')
        return self

    def __exit__(self, *unused):
        for server in (self.engine, self.redis, self.postgres):
            if server:
                server.stop()
                server.remove()
        shutil.rmtree(self.dir, ignore_errors=True)


def build_dir():
    return os.environ['SKEP_BIN_DIR']


def machine():
    with open('/proc/cpuinfo', encoding='ascii') as f:
        model = re.search(r'model name\s*: (.*)', f.read())
    commit = subprocess.run(['git', '-C', ROOT, 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True, check=False)
    return {'cpu': model.group(1) if model else platform.machine(), 'cores': os.cpu_count(), 'kernel': platform.release(),
            'commit': commit.stdout.strip()}


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def load(name):
    """The results that were saved last."""
    try:
        with open(f'{ROOT}/bench/results/{name}.json', encoding='utf-8') as f:
            return json.load(f)['results']
    except FileNotFoundError:
        return []


def save(name, command, results):
    path = f'{ROOT}/bench/results/{name}.json'
    with open(path, 'w', encoding='utf-8') as f:
        json.dump({'command': command, 'machine': machine(), 'results': results}, f, indent=1)
        f.write('\n')
    print(f'written to bench/results/{name}.json')
