"""A unix-socket proxy that stops one exchange at an exact point, for faults that cannot be timed:

    hold = proxy.hold(b'POST', b'/services/create', after=True)
    …                       # something that makes the daemon send that request
    hold.wait()             # the Engine has done it, and its reply has not been passed on
    skepd.kill9()           # or hold.release(), or hold.cut(): the connection breaks, the reply is lost

With after=False the request itself is held: nothing of it reaches the server unless it is released.
A request is what the client sent in one piece; every one of the given bytes must be in it."""

import os
import socket
import threading


class Hold:
    def __init__(self, parts, after, nth):
        self.parts, self.after, self.left = parts, after, nth
        self.reached, self.decided, self.is_cut = threading.Event(), threading.Event(), False

    def matches(self, data):
        if self.left == 0 or not all(part in data for part in self.parts):
            return False
        self.left -= 1
        return self.left == 0

    def wait(self, timeout=30):
        if not self.reached.wait(timeout):
            raise AssertionError(f'nothing like {self.parts} was seen within {timeout} s')

    def release(self):
        self.decided.set()

    def cut(self):
        self.is_cut = True
        self.decided.set()

    def stop_here(self):
        """True: go on."""
        self.reached.set()
        self.decided.wait()
        return not self.is_cut


class Link:
    """One connection: two threads, one a direction; the end of one ends the other."""

    def __init__(self, proxy, client):
        self.proxy, self.client, self.hold_reply = proxy, client, None
        self.server = socket.socket(socket.AF_UNIX)

    def run(self):
        try:
            self.server.connect(self.proxy.target)
        except OSError:
            self.client.close()
            return
        back = threading.Thread(target=self.pump, args=(self.server, self.client, self.on_reply), daemon=True)
        back.start()
        self.pump(self.client, self.server, self.on_request)
        back.join()
        self.client.close()
        self.server.close()
        self.proxy.links.discard(self)

    def pump(self, source, to, check):
        try:
            while data := source.recv(1 << 20):
                if not check(data):
                    break
                to.sendall(data)
        except OSError:
            pass
        self.close()

    def close(self):
        for s in (self.client, self.server):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def on_request(self, data):
        self.proxy.requests.append(data)
        for hold in list(self.proxy.holds):
            if hold.matches(data):
                self.proxy.holds.remove(hold)
                if not hold.after:
                    return hold.stop_here()
                self.hold_reply = hold
        return True

    def on_reply(self, _):
        hold, self.hold_reply = self.hold_reply, None
        return hold is None or hold.stop_here()


class Proxy:
    """Before the unix socket `target`: at a unix socket, or without a path at a TCP port of its own. link: what a connection
    is made of."""

    def __init__(self, path, target, link=Link):
        self.path, self.target, self.holds, self.requests, self.links = path, target, [], [], set()
        self.all_holds, self.link = [], link
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(path or ('127.0.0.1', 0))
        self.port = None if path else self.listener.getsockname()[1]
        if path:
            os.chmod(path, 0o777)
        self.listener.listen(128)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            link = self.link(self, client)
            self.links.add(link)
            threading.Thread(target=link.run, daemon=True).start()

    def hold(self, *parts, after=False, nth=1):
        hold = Hold(parts, after, nth)
        self.holds.append(hold)
        self.all_holds.append(hold)
        return hold

    def count(self, *parts):
        """How many requests so far had all of these bytes."""
        return sum(all(part in data for part in parts) for data in list(self.requests))

    def reset(self):
        """No more holds; what was held is cut; the requests seen are forgotten."""
        self.holds.clear()
        for hold in self.all_holds:
            hold.cut()
        self.all_holds.clear()
        self.requests.clear()

    def close(self):
        self.reset()
        self.listener.close()
        for link in list(self.links):
            link.close()
