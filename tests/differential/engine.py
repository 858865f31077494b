"""A fake Engine in Swarm mode that records what `docker stack deploy` creates. It answers just enough: everything that is
asked for by name and is external exists, nothing else does, and every image is unknown to its registry."""

import hashlib
import json
import re
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

API = '1.50'
HEADERS = {'Api-Version': API, 'Ostype': 'linux', 'Swarm': 'active/manager', 'Server': 'Docker/fake (linux)',
           'Content-Type': 'application/json'}
FIXED = {
    '_ping': 'OK',
    'version': {'Version': 'fake', 'ApiVersion': API, 'MinAPIVersion': '1.24', 'Os': 'linux', 'Arch': 'amd64'},
    'info': {'ID': 'fake', 'Swarm': {'NodeID': 'n1', 'LocalNodeState': 'active', 'ControlAvailable': True}},
}
KINDS = ('networks', 'secrets', 'configs', 'services')


def id_of(kind, name):
    return hashlib.sha256((kind + name).encode()).hexdigest()[:25]


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = -1  # one write an answer

    def address_string(self):
        return 'unix'

    def log_message(self, *words):
        pass

    def answer(self, code, value):
        body = b'' if self.command == 'HEAD' else json.dumps(value).encode()
        self.send_response(code)
        for name, text in HEADERS.items():
            self.send_header(name, text)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def body(self):
        text = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if 'chunked' in self.headers.get('Transfer-Encoding', ''):
            while size := int(self.rfile.readline(), 16):
                text += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return json.loads(text) if text else None

    def handle_request(self):
        url = urlsplit(self.path)
        parts = unquote(re.sub(r'^/v[0-9.]+', '', url.path)).strip('/').split('/', 1)
        filters = json.loads(parse_qs(url.query).get('filters', ['{}'])[0])
        body = self.body()
        kind = parts[0]
        if kind in FIXED:
            self.answer(200, FIXED[kind])
        elif kind in KINDS and self.command == 'POST' and parts[1] == 'create':
            self.server.created.append((kind, body))
            self.answer(201, {'ID': id_of(kind, body['Name']), 'Id': id_of(kind, body['Name'])})
        elif kind in KINDS and len(parts) == 1:
            self.answer(200, self.server.listed(kind, filters))
        elif kind == 'networks' and not self.server.made(kind, parts[1]):
            self.answer(200, {'Id': id_of(kind, parts[1]), 'Name': parts[1], 'Scope': 'swarm'})
        else:
            self.answer(404, {'message': f'{kind} {parts[-1]}: nothing here'})

    do_GET = do_POST = do_HEAD = handle_request


class Engine(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path):
        super().__init__(path, Handler)
        self.created = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def made(self, kind, name):
        return any(k == kind and body['Name'] == name for k, body in self.created)

    def listed(self, kind, filters):
        """By label: nothing, as before a first deploy. By name: secrets and configs, which all exist."""
        return [{'ID': id_of(kind, name), 'Version': {'Index': 1}, 'Spec': {'Name': name}}
                for name in sorted(filters.get('name', {}))]

    def collect(self):
        """What was created since the last call: {kind: {name: body}}."""
        created, self.created = self.created, []
        found = {}
        for kind, body in created:
            found.setdefault(kind, {})[body['Name']] = body
        return found
