"""tests/serve/rpc_serve: the unit tests' server behind a port, for clients that others wrote."""

import os
import subprocess

from servers import binary

TOKEN = 'viewer'


class RpcServer:
    """with RpcServer(max_message=1000000) as server: … server.port. What the sanitizers have to say is an error."""

    PROGRAM = 'rpc_serve'

    def __init__(self, **limits):
        path = f'{os.path.dirname(binary("skepd"))}/../tests/{self.PROGRAM}'
        self.process = subprocess.Popen([path, *(f'{key}={value}' for key, value in limits.items())],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline() or 0)
        self.address = f'127.0.0.1:{self.port}'

    def drain(self):
        self.process.stdin.write('d')
        self.process.stdin.flush()

    def rss(self):
        with open(f'/proc/{self.process.pid}/statm', encoding='ascii') as f:
            return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    def __enter__(self):
        return self

    def __exit__(self, *error):
        _, words = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, words[-6000:]


class InteropServer(RpcServer):
    """tests/interop/server.c: the service that gRPC's own interoperability clients test."""

    PROGRAM = 'interop_server'
