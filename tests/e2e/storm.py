"""What an attacker's client needs: HTTP/2 frames and HPACK by hand, and many sockets at once."""

import selectors
import socket
import ssl
import struct
import time

PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
ENHANCE_YOUR_CALM, PROTOCOL_ERROR = 11, 1


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + payload


def integer(value, bits, first=0):
    """HPACK's integers (RFC 7541, 5.1)."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = [first | limit], value - limit
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def text(value):
    return integer(len(value), 7) + value


def field(name, value, indexed=False):
    return bytes([0x40 if indexed else 0]) + text(name) + text(value)


def request(path, *more, method=b'POST', type=b'application/grpc'):
    fields = [(b':method', method), (b':scheme', b'http'), (b':path', path), (b':authority', b'x'), (b'content-type', type), (b'te', b'trailers')]
    return b''.join(field(n, v) for n, v in [*fields, *more])


class H2:
    """One connection; `send` does not mind that the other side has gone."""

    def __init__(self, address, timeout=20):
        self.socket = socket.create_connection(address, timeout)
        self.data, self.closed = b'', False
        self.send(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            self.closed = True

    def frames(self):
        """What comes until the connection ends or nothing has come for a while: [(kind, flags, stream, payload)]"""
        found = []
        while True:
            try:
                more = self.socket.recv(1 << 16)
            except TimeoutError:
                return found
            except OSError:
                more = b''
            if not more:
                self.closed = True
                return found
            self.data += more
            self.take(found)

    def take(self, found):
        """What is whole of what has come."""
        while len(self.data) >= 9 and len(self.data) >= 9 + int.from_bytes(self.data[:3], 'big'):
            end = 9 + int.from_bytes(self.data[:3], 'big')
            found.append((self.data[3], self.data[4], int.from_bytes(self.data[5:9], 'big') & 0x7fffffff, self.data[9:end]))
            self.data = self.data[end:]

    def some_frames(self):
        """The next ones that are whole; none: the connection has ended."""
        found = []
        while not found:
            more = self.socket.recv(1 << 16)
            if not more:
                return []
            self.data += more
            self.take(found)
        return found

    def goaway(self):
        """(error, words) of the GOAWAY it ends with, or None."""
        last = [payload for kind, _, _, payload in self.frames() if kind == GOAWAY]
        return (int.from_bytes(last[-1][4:8], 'big'), last[-1][8:].decode()) if last else None

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def connect_many(address, count, first=b'', each=None):
    """Sockets, each of which has sent `first`."""
    made = []
    for i in range(count):
        s = socket.create_connection(address, 20)
        if first:
            s.sendall(first(i) if callable(first) else first)
        if each:
            each(s)
        made.append(s)
    return made


def tls_many(address, count, protocol):
    """Sockets inside TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return [context.wrap_socket(socket.create_connection(address, 20)) for _ in range(count)]


def wait_closed(sockets, seconds):
    """How many of them are still open when all have been closed by the other side, or time is up."""
    selector, left = selectors.DefaultSelector(), set(sockets)
    deadline = time.monotonic() + seconds
    for s in sockets:
        s.setblocking(False)
        selector.register(s, selectors.EVENT_READ)
    while left and time.monotonic() < deadline:
        for key, _ in selector.select(0.2):
            try:
                ended = not key.fileobj.recv(1 << 16)
            except BlockingIOError:
                continue
            except OSError:
                ended = True
            if ended:
                selector.unregister(key.fileobj)
                left.discard(key.fileobj)
    selector.close()
    return len(left)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]
