"""A proxy that is made to break: one for each daemon and server. One fault at a time; each ends by itself when the schedule says
so (`mend`), and what it broke stays broken, as in a network.

    refuse      new connections are closed at once
    cut         each connection passes N more bytes of one direction, then breaks, in the middle of whatever that was
    lose_reply  of each connection one of the next requests is passed on, its reply is not, and the connection breaks
    stall       nothing passes, in either direction; then everything does. To who has gone away meanwhile nothing is passed on.
    half_open   one direction is swallowed without a word; the connections break when the fault ends
"""

import threading

from proxy import Link, Proxy

FAULTS = ('refuse', 'cut', 'lose_reply', 'stall', 'half_open')


class Fault:
    """direction: 'ask' (to the server) or 'answer'; n: bytes, for `cut`; requests that are answered first, for `lose_reply`."""

    def __init__(self, kind, direction='ask', n=0):
        self.kind, self.direction, self.n, self.over = kind, direction, n, threading.Event()

    def __str__(self):
        return {'lose_reply': f'lose_reply behind {self.n}', 'cut': f'cut after {self.n} B of each {self.direction}', 'half_open': f'half_open, each {self.direction} is lost'
                }.get(self.kind, self.kind)


class FaultLink(Link):
    def __init__(self, proxy, client):
        super().__init__(proxy, client)
        self.passed, self.fault, self.asked = {'ask': 0, 'answer': 0}, None, 0

    def pump(self, source, to, check):
        direction = 'ask' if source is self.client else 'answer'
        try:
            while data := source.recv(1 << 16):
                if not self.carry(data, direction, to):
                    break
        except OSError:
            pass
        self.close()

    def carry(self, data, direction, to):
        """False: the connection breaks."""
        fault = self.proxy.fault
        if fault is not self.fault:
            self.fault, self.passed, self.asked = fault, {'ask': 0, 'answer': 0}, 0
        if not fault:
            to.sendall(data)
            return True
        if fault.kind == 'stall':
            fault.over.wait()
            if direction == 'ask' and self.client_is_gone():
                return False
        elif fault.kind == 'cut' and fault.direction == direction:
            left = fault.n - self.passed[direction]
            to.sendall(data[:max(left, 0)])
            self.passed[direction] += len(data)
            return len(data) < left
        elif fault.kind == 'half_open' and fault.direction == direction:
            fault.over.wait()
            return False
        elif fault.kind == 'lose_reply':
            if direction == 'ask':
                self.asked += 1
            elif self.asked > fault.n:
                return False
        to.sendall(data)
        return True

    def client_is_gone(self):
        """Of a request that is late its sender may have given up: a broken connection takes with it what was on its way."""
        self.client.setblocking(False)
        try:
            return self.client.recv(1, 2) == b''  # MSG_PEEK
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.client.setblocking(True)


class FaultProxy(Proxy):
    """Without a path at a TCP port."""

    def __init__(self, path, target):
        self.fault = None
        super().__init__(path, target, self.connect)

    def connect(self, proxy, client):
        if self.fault and self.fault.kind == 'refuse':
            client.close()
        return FaultLink(proxy, client)

    def inject(self, fault):
        self.mend()
        self.fault = fault

    def mend(self):
        fault, self.fault = self.fault, None
        if fault:
            fault.over.set()
