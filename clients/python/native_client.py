"""A native client of Skep: proto/WIRE.md on a socket, protobuf for the messages, and nothing else.

    load(tmp_path)                              # once: protoc, from proto/ to Python modules
    client = Client('unix:///…/skepd.sock')     # or '127.0.0.1:7700', token='…'
    info = client.unary('System', 'Info')
    reply = client.unary('Stacks', 'Deploy', project='p', name='s', compose=[{'name': '-', 'text': text}])
    with client.stream('Jobs', 'Watch', id=reply.job.id) as events:
        for message in events: …                # leaving early cancels the call

One thread; any number of calls at once: whoever waits reads for the others too.
"""

import collections
import glob
import importlib
import os
import socket
import struct
import subprocess
import sys

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'proto')
CODES = ('OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED '
         'RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE '
         'DATA_LOSS UNAUTHENTICATED').split()


def load(directory):
    """Makes the _pb2 modules of proto/ in `directory` and lets Python find them."""
    files = [os.path.relpath(f, PROTO) for f in sorted(glob.glob(PROTO + '/**/*.proto', recursive=True))]
    subprocess.run(['protoc', '-I', PROTO, '-I', '/usr/include', f'--python_out={directory}', *files], check=True)
    sys.path.insert(0, str(directory))
    import google  # google.rpc is ours, google.protobuf the system's: one package, two places
    google.__path__ = [*google.__path__, os.path.join(str(directory), 'google')]
    importlib.invalidate_caches()


def wire():
    return importlib.import_module('skep.wire.v1.wire_pb2')


def method(service, name):
    """(path, request class, reply class) of skep.v1's methods, by reflection."""
    module = importlib.import_module(f'skep.v1.{service.lower()}_pb2')
    found = module.DESCRIPTOR.services_by_name[service].methods_by_name[name]
    return (f'/skep.v1.{service}/{name}', found.input_type._concrete_class, found.output_type._concrete_class)


class RpcError(Exception):
    def __init__(self, status):
        self.code = CODES[status.code] if status.code < len(CODES) else str(status.code)
        self.message, self.details = status.message, list(status.details)
        super().__init__(f'{self.code}: {self.message}')

    def detail(self, name):
        """The detail google.rpc.<name>, or None."""
        cls = getattr(importlib.import_module('google.rpc.error_details_pb2'), name)
        for packed in self.details:
            message = cls()
            if packed.Unpack(message):
                return message
        return None

    def violations(self):
        """{field: description} of a BadRequest."""
        bad = self.detail('BadRequest')
        return {v.field: v.description for v in bad.field_violations} if bad else {}


class Call:
    """One call: iterate for its replies. Ends with StopIteration, or RpcError."""

    def __init__(self, client, number, reply_class):
        self.client, self.number, self.reply_class = client, number, reply_class
        self.replies, self.finished, self.metadata = collections.deque(), None, {}

    def __iter__(self):
        return self

    def __next__(self):
        while not self.replies and self.finished is None:
            self.client.read_frame()
        if self.replies:
            payload, costs = self.replies.popleft()
            if costs and self.finished is None:
                self.client.send(self.number, credit={'bytes': costs})
            return self.reply_class.FromString(payload)
        if self.finished.code:
            raise RpcError(self.finished)
        raise StopIteration

    def send(self, message, end=False):
        """One more message of a client stream. (Small ones: this client does not count its own credit.)"""
        self.client.send(self.number, data={'payload': message.SerializeToString(), 'end': end})

    def cancel(self):
        if self.finished is None:
            self.client.send(self.number, cancel={})

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.cancel()

    def on_frame(self, frame):
        kind = frame.WhichOneof('kind')
        if kind == 'data' and frame.data.HasField('payload'):
            self.replies.append((frame.data.payload, len(frame.data.payload) + 16))
        elif kind == 'finish':
            if frame.finish.HasField('payload'):
                self.replies.append((frame.finish.payload, 0))
            self.metadata = dict(frame.finish.metadata)
            self.finished = frame.finish.status
            del self.client.calls[self.number]


class Client:
    def __init__(self, address, token=None, timeout=60):
        if address.startswith('unix://'):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address[len('unix://'):])
        else:
            host, port = address.rsplit(':', 1)
            self.socket = socket.create_connection((host, int(port)), timeout)
        self.token, self.calls, self.last, self.goaway = token, {}, 0, None

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    # -- frames: a flags byte (0), four bytes of length, a Frame ------------------------------------

    def send(self, number, **kind):
        frame = wire().Frame(call=number, **kind).SerializeToString()
        self.socket.sendall(struct.pack('>BI', 0, len(frame)) + frame)

    def read_exactly(self, n):
        data = b''
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise ConnectionError(f'closed by skepd ({self.goaway.status.message if self.goaway else "no goaway"})')
            data += more
        return data

    def read_frame(self):
        flags, length = struct.unpack('>BI', self.read_exactly(5))
        if flags:
            raise ConnectionError(f'unknown flags {flags:#x}')
        frame = wire().Frame.FromString(self.read_exactly(length))
        kind = frame.WhichOneof('kind')
        if kind == 'ping' and not frame.ping.ack:
            self.send(0, ping={'number': frame.ping.number, 'ack': True})
        elif kind == 'goaway':
            self.goaway = frame.goaway
        elif frame.call in self.calls:
            self.calls[frame.call].on_frame(frame)
        return frame

    # -- calls ------------------------------------------------------------------------------------------

    def open(self, path, request, reply_class, timeout_ms=0, end=True, metadata=None):
        """Any method; request None and end False for a client stream."""
        self.last += 1
        call = self.calls[self.last] = Call(self, self.last, reply_class)
        headers = {**({'authorization': f'Bearer {self.token}'} if self.token else {}), **(metadata or {})}
        opening = {'method': path, 'timeout_ms': timeout_ms, 'metadata': headers, 'end': end}
        if request is not None:
            opening['payload'] = request.SerializeToString()
        self.send(self.last, open=opening)
        return call

    def stream(self, service, name, /, timeout_ms=0, **fields):
        path, request_class, reply_class = method(service, name)
        return self.open(path, request_class(**fields), reply_class, timeout_ms)

    def unary(self, service, name, /, timeout_ms=0, **fields):
        """The reply; RpcError when there is none."""
        replies = list(self.stream(service, name, timeout_ms, **fields))
        if len(replies) != 1:
            raise ConnectionError(f'{len(replies)} replies to {service}.{name}')
        return replies[0]

    def ping(self, number=1):
        self.send(0, ping={'number': number})
        while True:
            frame = self.read_frame()
            if frame.WhichOneof('kind') == 'ping' and frame.ping.ack and frame.ping.number == number:
                return
