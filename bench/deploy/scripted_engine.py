#!/usr/bin/python3
"""A Docker Engine that only plays one: a Swarm manager of one node on a unix socket, in memory, with versions, filters and events,
whose tasks run a scripted time after they were made. For load that no real Engine of this size could stand.

    bench/deploy/scripted_engine.py SOCKET [--start-ms 2000] [--delay-ms 0] [--fail-every 0]

--start-ms: from a task's birth until it runs. --delay-ms: before each answer (events aside). --fail-every N: every Nth request
(events and _ping aside) is answered with 500 and not done. GET /_scripted says what was asked and what there is; POST
/_scripted?delay-ms=…&fail-every=… changes the script.

Every object is kept as the JSON text that lists show, so that a list of thousands is one join."""

import argparse
import asyncio
import collections
import datetime
import hashlib
import itertools
import json
import os
import signal
import sys
import time
import urllib.parse

NAMESPACE = 'com.docker.stack.namespace'
NODE = 'scriptednode0000000000000'


def stamp():
    return datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.%f000Z')


def dump(value):
    return json.dumps(value, separators=(',', ':')).encode()


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Kind:
    """Objects of one kind: by id, by name, by namespace, and as text."""

    def __init__(self, key='ID'):
        self.key, self.items, self.texts, self.names, self.spaces = key, {}, {}, {}, collections.defaultdict(dict)

    def put(self, item, name, labels):
        number = item[self.key]
        self.items[number] = item
        self.texts[number] = dump(item)
        if name:
            self.names[name] = number
        if NAMESPACE in labels:
            self.spaces[labels[NAMESPACE]][number] = None

    def drop(self, number, name, labels):
        del self.items[number], self.texts[number]
        self.names.pop(name, None)
        self.spaces.get(labels.get(NAMESPACE), {}).pop(number, None)

    def find(self, number):
        return self.items.get(self.names.get(number, number))

    def among(self, labels):
        """Ids of those that can carry all of these labels."""
        for label in labels:
            key, eq, value = label.partition('=')
            if key == NAMESPACE and eq:
                return self.spaces.get(value, {})
        return self.items


def carries(labels, wanted):
    for label in wanted:
        key, eq, value = label.partition('=')
        if key not in labels or (eq and labels[key] != value):
            return False
    return True


class Engine:
    def __init__(self, start_ms):
        self.start_ms, self.delay_ms, self.fail_every = start_ms, 0, 0
        self.services, self.tasks, self.secrets, self.configs = Kind(), Kind(), Kind(), Kind()
        self.networks = Kind('Id')
        self.of_service = collections.defaultdict(dict)
        self.counter, self.index, self.asked, self.listeners = itertools.count(1), 10, collections.Counter(), set()
        self.requests, self.failed, self.most_streams = 0, 0, 0
        for name, scope in (('bridge', 'local'), ('host', 'local'), ('none', 'local'), ('ingress', 'swarm')):
            self.networks.put({'Name': name, 'Id': self.number(), 'Created': stamp(), 'Scope': scope, 'Driver': name, 'Labels': {},
                               'Options': {}, 'IPAM': {'Config': []}, 'Ingress': name == 'ingress'}, name, {})

    def number(self):
        return hashlib.sha256(str(next(self.counter)).encode()).hexdigest()[:25]

    def version(self):
        self.index += 1
        return {'Index': self.index}

    # -- events ---------------------------------------------------------------------------------------

    def tell(self, kind, action, number, **attributes):
        now = time.time_ns()
        line = dump({'Type': kind, 'Action': action, 'Actor': {'ID': number, 'Attributes': attributes}, 'scope': 'swarm',
                     'time': now // 10**9, 'timeNano': now}) + b'\n'
        chunk = b'%x\r\n%s\r\n' % (len(line), line)
        for listener in self.listeners:
            listener.write(chunk)

    # -- services and their tasks ---------------------------------------------------------------------

    def create_service(self, spec):
        name = spec['Name']
        if name in self.services.names:
            raise Refused(409, f'rpc error: code = AlreadyExists desc = name conflicts with an existing object: service {name} '
                               'already exists')
        for kind, refs, key in ((self.secrets, 'Secrets', 'SecretID'), (self.configs, 'Configs', 'ConfigID')):
            for ref in spec['TaskTemplate']['ContainerSpec'].get(refs) or []:
                if ref[key] not in kind.items:
                    raise Refused(400, f'rpc error: code = InvalidArgument desc = {refs}: {ref[key]} not found')
        for ref in spec['TaskTemplate'].get('Networks') or []:
            if not self.networks.find(ref['Target']):
                raise Refused(404, f'network {ref["Target"]} not found')
            ref['Target'] = self.networks.find(ref['Target'])['Id']
        now = stamp()
        service = {'ID': self.number(), 'Version': self.version(), 'CreatedAt': now, 'UpdatedAt': now, 'Spec': spec,
                   'Endpoint': {'Spec': spec.get('EndpointSpec', {})}}
        self.put_service(service)
        self.tell('service', 'create', service['ID'], name=name)
        self.fill(service)
        return {'ID': service['ID']}

    def put_service(self, service):
        tasks = [self.tasks.items[t] for t in self.of_service[service['ID']]]
        running = sum(t['Status']['State'] == 'running' for t in tasks)
        service['ServiceStatus'] = {'RunningTasks': running, 'CompletedTasks': 0,
                                    'DesiredTasks': sum(t['DesiredState'] == 'running' for t in tasks)}
        self.services.put(service, service['Spec']['Name'], service['Spec'].get('Labels') or {})

    def put_task(self, task):
        service = self.services.items[task['ServiceID']]
        self.tasks.put(task, None, service['Spec'].get('Labels') or {})

    def fill(self, service):
        """As many tasks as are wanted."""
        wanted = service['Spec'].get('Mode', {}).get('Replicated', {}).get('Replicas', 1)
        old = [self.tasks.items[t] for t in self.of_service[service['ID']] if self.tasks.items[t]['DesiredState'] == 'running']
        for task in old[wanted:]:
            self.shut_down(task)
        for slot in range(len(old) + 1, wanted + 1):
            self.create_task(service, slot)
        self.put_service(service)

    def create_task(self, service, slot):
        now = stamp()
        task = {'ID': self.number(), 'Version': self.version(), 'CreatedAt': now, 'UpdatedAt': now, 'Labels': {},
                'Spec': json.loads(dump(service['Spec']['TaskTemplate'])), 'ServiceID': service['ID'], 'Slot': slot,
                'NodeID': NODE, 'Status': {'Timestamp': now, 'State': 'starting', 'Message': 'starting',
                                           'PortStatus': {}}, 'DesiredState': 'running',
                'NetworksAttachments': [{'Network': {'ID': n['Target']}, 'Addresses': ['10.0.1.2/24']}
                                        for n in service['Spec']['TaskTemplate'].get('Networks') or []]}
        self.of_service[service['ID']][task['ID']] = None
        self.put_task(task)
        asyncio.get_running_loop().call_later(self.start_ms / 1000, self.run_task, task)

    def attributes(self, task, service):
        return {'com.docker.swarm.service.id': service['ID'], 'com.docker.swarm.service.name': service['Spec']['Name'],
                'com.docker.swarm.task.id': task['ID'], 'com.docker.swarm.node.id': NODE,
                'image': task['Spec']['ContainerSpec']['Image'], 'name': f'{service["Spec"]["Name"]}.{task["Slot"]}.{task["ID"]}'}

    def run_task(self, task):
        service = self.services.items.get(task['ServiceID'])
        if not service or task['DesiredState'] != 'running':
            return
        container = hashlib.sha256(task['ID'].encode()).hexdigest()
        task['Version'], task['UpdatedAt'] = self.version(), stamp()
        task['Status'] = {'Timestamp': stamp(), 'State': 'running', 'Message': 'started', 'PortStatus': {},
                          'ContainerStatus': {'ContainerID': container, 'PID': 4242, 'ExitCode': 0}}
        self.put_task(task)
        self.put_service(service)
        for action in ('create', 'start'):
            self.tell('container', action, container, **self.attributes(task, service))

    def shut_down(self, task):
        task['Version'], task['DesiredState'] = self.version(), 'shutdown'
        task['Status'] = {**task['Status'], 'Timestamp': stamp(), 'State': 'shutdown', 'Message': 'shutdown'}
        self.put_task(task)

    def update_service(self, number, spec, version):
        service = self.services.find(number)
        if not service:
            raise Refused(404, f'service {number} not found')
        if service['Version']['Index'] != version:
            raise Refused(500, 'rpc error: code = Unknown desc = update out of sequence')
        for ref in spec['TaskTemplate'].get('Networks') or []:
            ref['Target'] = (self.networks.find(ref['Target']) or {'Id': ref['Target']})['Id']
        again = spec['TaskTemplate'] != service['Spec']['TaskTemplate']
        service.update(PreviousSpec=service['Spec'], Spec=spec, Version=self.version(), UpdatedAt=stamp())
        if again:
            service['UpdateStatus'] = {'State': 'updating', 'StartedAt': stamp(), 'Message': 'update in progress'}
            for t in list(self.of_service[service['ID']]):
                if self.tasks.items[t]['DesiredState'] == 'running':
                    self.shut_down(self.tasks.items[t])
            asyncio.get_running_loop().call_later(self.start_ms / 1000 + 0.2, self.updated, service)
        self.fill(service)
        self.tell('service', 'update', service['ID'], name=spec['Name'])
        return {'Warnings': None}

    def updated(self, service):
        if service['ID'] not in self.services.items:
            return
        service['UpdateStatus'].update(State='completed', CompletedAt=stamp(), Message='update completed')
        service['Version'] = self.version()
        self.put_service(service)
        self.tell('service', 'update', service['ID'], name=service['Spec']['Name'], **{'updatestate.new': 'completed'})

    def remove_service(self, number):
        service = self.services.find(number)
        if not service:
            raise Refused(404, f'service {number} not found')
        labels = service['Spec'].get('Labels') or {}
        for t in self.of_service.pop(service['ID'], {}):
            self.tasks.drop(t, None, labels)
        self.services.drop(service['ID'], service['Spec']['Name'], labels)
        self.tell('service', 'remove', service['ID'], name=service['Spec']['Name'])

    # -- the rest -------------------------------------------------------------------------------------

    def create_object(self, kind, noun, spec):
        if spec['Name'] in kind.names:
            raise Refused(409, f'rpc error: code = AlreadyExists desc = {noun} {spec["Name"]} already exists')
        if noun == 'secret':
            spec = {k: v for k, v in spec.items() if k != 'Data'}
        item = {'ID': self.number(), 'Version': self.version(), 'CreatedAt': stamp(), 'UpdatedAt': stamp(), 'Spec': spec}
        kind.put(item, spec['Name'], spec.get('Labels') or {})
        self.tell(noun, 'create', item['ID'], name=spec['Name'])
        return {'ID': item['ID']}

    def remove_object(self, kind, noun, number):
        item = kind.find(number)
        if not item:
            raise Refused(404, f'{noun} {number} not found')
        kind.drop(item['ID'], item['Spec']['Name'], item['Spec'].get('Labels') or {})
        self.tell(noun, 'remove', item['ID'], name=item['Spec']['Name'])

    def create_network(self, body):
        name = body['Name']
        if name in self.networks.names:
            raise Refused(409, f'network with name {name} already exists')
        item = {'Name': name, 'Id': self.number(), 'Created': stamp(), 'Scope': 'swarm', 'Driver': body.get('Driver', 'overlay'),
                'EnableIPv6': False, 'IPAM': {'Driver': 'default', 'Options': None, 'Config': (body.get('IPAM') or {}).get('Config') or []},
                'Internal': bool(body.get('Internal')), 'Attachable': bool(body.get('Attachable')), 'Ingress': False,
                'ConfigFrom': {'Network': ''}, 'ConfigOnly': False, 'Containers': None, 'Options': body.get('Options') or {},
                'Labels': body.get('Labels') or {}}
        self.networks.put(item, name, item['Labels'])
        self.tell('network', 'create', item['Id'], name=name, type='overlay')
        return {'Id': item['Id'], 'Warning': ''}

    def remove_network(self, number):
        item = self.networks.find(number)
        if not item:
            raise Refused(404, f'network {number} not found')
        self.networks.drop(item['Id'], item['Name'], item['Labels'])
        self.tell('network', 'remove', item['Id'], name=item['Name'], type='overlay')

    def list(self, kind, filters, name_of, labels_of, prefix):
        labels, names, ids = filters.get('label', ()), filters.get('name', ()), filters.get('id', ())
        if not (labels or names or ids):
            return self.join(kind, kind.items)
        found = []
        for number in kind.among(labels):
            item = kind.items[number]
            name = name_of(item)
            if names and not any(name.startswith(n) if prefix else n in name for n in names):
                continue
            if ids and not any(number.startswith(n) for n in ids):
                continue
            if carries(labels_of(item) or {}, labels):
                found.append(number)
        return self.join(kind, found)

    def list_tasks(self, filters):
        labels, services, desired = filters.get('label', ()), filters.get('service', ()), filters.get('desired-state', ())
        numbers = self.tasks.among(labels)
        if services:
            for s in services:
                if not self.services.find(s):
                    raise Refused(404, f'service {s} not found')
            numbers = [t for s in services for t in self.of_service[self.services.find(s)['ID']]]
        if '_up-to-date' in filters:
            numbers = [t for t in numbers if self.tasks.items[t]['Spec'] == self.services.items[
                self.tasks.items[t]['ServiceID']]['Spec']['TaskTemplate']]
        if desired:
            numbers = [t for t in numbers if self.tasks.items[t]['DesiredState'] in desired]
        if labels and not all(label == NAMESPACE or label.startswith(NAMESPACE + '=') for label in labels):
            numbers = [t for t in numbers if carries(
                self.services.items[self.tasks.items[t]['ServiceID']]['Spec'].get('Labels') or {}, labels)]
        return self.join(self.tasks, numbers)

    @staticmethod
    def join(kind, numbers):
        texts = kind.texts
        return b'[' + b','.join([texts[n] for n in numbers]) + b']'

    def nodes(self):
        plugins = [{'Type': 'Log', 'Name': 'json-file'}, {'Type': 'Network', 'Name': 'overlay'}, {'Type': 'Volume', 'Name': 'local'}]
        return [{'ID': NODE, 'Version': {'Index': 9}, 'Spec': {'Role': 'manager', 'Availability': 'active', 'Labels': {}},
                 'Description': {'Hostname': 'scripted', 'Platform': {'Architecture': 'x86_64', 'OS': 'linux'},
                                 'Resources': {'NanoCPUs': 64 * 10**9, 'MemoryBytes': 2**38},
                                 'Engine': {'EngineVersion': '28.0.0', 'Plugins': plugins}},
                 'Status': {'State': 'ready', 'Addr': '127.0.0.1'}, 'ManagerStatus': {'Leader': True, 'Reachability': 'reachable'}}]

    def info(self):
        return {'ID': 'scripted', 'Name': 'scripted', 'ServerVersion': '28.0.0', 'OSType': 'linux', 'Architecture': 'x86_64',
                'NCPU': 64, 'MemTotal': 2**38,
                'Swarm': {'NodeID': NODE, 'NodeAddr': '127.0.0.1', 'LocalNodeState': 'active', 'ControlAvailable': True, 'Error': '',
                          'Nodes': 1, 'Managers': 1, 'Cluster': {'ID': 'scriptedcluster'}}}

    def numbers(self):
        running = sum(t['Status']['State'] == 'running' for t in self.tasks.items.values())
        return {'asked': dict(self.asked), 'requests': self.requests, 'failed': self.failed, 'services': len(self.services.items),
                'tasks': len(self.tasks.items), 'running': running, 'networks': len(self.networks.items) - 4,
                'secrets': len(self.secrets.items), 'configs': len(self.configs.items), 'cpu_s': sum(os.times()[:2])}

    # -- one request ----------------------------------------------------------------------------------

    def answer(self, method, path, query, body):
        """Bytes or what becomes JSON; None: 204."""
        noun, *rest = path.strip('/').split('/')
        filters = {k: list(v) if isinstance(v, dict) else v for k, v in json.loads(query.get('filters', '{}')).items()}
        if noun == '_ping':
            return b'OK'
        if noun == '_scripted':
            self.delay_ms, self.fail_every = int(query.get('delay-ms', self.delay_ms)), int(query.get('fail-every', self.fail_every))
            return self.numbers()
        if noun == 'info':
            return self.info()
        if noun == 'version':
            return {'Version': '28.0.0', 'ApiVersion': '1.47', 'MinAPIVersion': '1.24', 'Os': 'linux', 'Arch': 'amd64'}
        if noun == 'nodes':
            return self.nodes()
        if noun == 'tasks':
            return self.list_tasks(filters)
        if noun == 'distribution':
            digest = 'sha256:' + hashlib.sha256('/'.join(rest).encode()).hexdigest()
            return {'Descriptor': {'mediaType': 'application/vnd.oci.image.index.v1+json', 'digest': digest, 'size': 1000},
                    'Platforms': [{'architecture': 'amd64', 'os': 'linux'}]}
        if noun == 'services':
            return self.service_request(method, rest, query, filters, body)
        if noun == 'networks':
            return self.object_request(self.networks, 'network', method, rest, filters, body)
        if noun in ('secrets', 'configs'):
            return self.object_request(getattr(self, noun), noun[:-1], method, rest, filters, body)
        raise Refused(404, 'page not found')

    def service_request(self, method, rest, query, filters, body):
        if not rest:
            return self.list(self.services, filters, lambda s: s['Spec']['Name'], lambda s: s['Spec'].get('Labels'), True)
        if rest == ['create']:
            return self.create_service(json.loads(body))
        if rest[1:] == ['update']:
            return self.update_service(rest[0], json.loads(body), int(query['version']))
        if method == 'DELETE':
            return self.remove_service(rest[0])
        return self.services.find(rest[0]) or self.missing('service', rest[0])

    def object_request(self, kind, noun, method, rest, filters, body):
        net = noun == 'network'
        if not rest:
            return self.list(kind, filters, (lambda n: n['Name']) if net else (lambda o: o['Spec']['Name']),
                             (lambda n: n['Labels']) if net else (lambda o: o['Spec'].get('Labels')), not net)
        if rest == ['create']:
            return self.create_network(json.loads(body)) if net else self.create_object(kind, noun, json.loads(body))
        if method == 'DELETE':
            return self.remove_network(rest[0]) if net else self.remove_object(kind, noun, rest[0])
        return kind.find(rest[0]) or self.missing(noun, rest[0])

    @staticmethod
    def missing(noun, number):
        raise Refused(404, f'{noun} {number} not found')

    def respond(self, method, target, body):
        """(code, bytes) of one request."""
        path, _, rest = target.partition('?')
        if path.startswith('/v1.'):
            path = path[path.index('/', 1):]
        query = dict(urllib.parse.parse_qsl(rest))
        noun = path.split('/')[1]
        if noun not in ('_ping', '_scripted'):
            self.requests += 1
            self.asked[f'{method} {noun}'] += 1
            if self.fail_every and self.requests % self.fail_every == 0:
                self.failed += 1
                return 500, dump({'message': 'the script says that something broke'})
        try:
            reply = self.answer(method, path, query, body)
        except Refused as e:
            return e.code, dump({'message': str(e)})
        if reply is None:
            return 204, b''
        made = method == 'POST' and path.endswith('/create')
        return 201 if made else 200, reply if isinstance(reply, bytes) else dump(reply)


WORDS = {200: b'OK', 201: b'Created', 204: b'No Content', 400: b'Bad Request', 404: b'Not Found', 409: b'Conflict',
         500: b'Internal Server Error'}


class Connection(asyncio.Protocol):
    """HTTP/1.1 as Engine clients speak it: one request after the other, bodies with a length or in chunks."""

    def __init__(self, engine):
        self.engine, self.buffer, self.busy = engine, bytearray(), False

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(high=1 << 26)

    def connection_lost(self, exc):
        self.engine.listeners.discard(self.transport)

    def data_received(self, data):
        self.buffer += data
        self.pump()

    def pump(self):
        while not self.busy and (request := self.take()):
            method, target, body = request
            if target.split('?')[0].endswith('/events'):
                self.transport.write(b'HTTP/1.1 200 OK\r\nApi-Version: 1.47\r\nContent-Type: application/json\r\n'
                                     b'Transfer-Encoding: chunked\r\n\r\n')
                self.engine.listeners.add(self.transport)
                self.busy = True
            elif self.engine.delay_ms and '_scripted' not in target:
                self.busy = True
                asyncio.get_running_loop().call_later(self.engine.delay_ms / 1000, self.late, request)
            else:
                self.send(method, *self.engine.respond(method, target, body))

    def late(self, request):
        if self.transport.is_closing():
            return
        self.busy = False
        self.send(request[0], *self.engine.respond(*request))
        self.pump()

    def take(self):
        end = self.buffer.find(b'\r\n\r\n')
        if end < 0:
            return None
        head = bytes(self.buffer[:end]).decode('latin-1')
        lower, body, used = head.lower(), b'', end + 4
        at = lower.find('\r\ncontent-length:')
        if at >= 0:
            used += int(lower[at + 17:].split('\r\n', 1)[0])
            if len(self.buffer) < used:
                return None
            body = bytes(self.buffer[end + 4:used])
        elif 'transfer-encoding: chunked' in lower:
            while True:
                line = self.buffer.find(b'\r\n', used)
                if line < 0:
                    return None
                size = int(self.buffer[used:line], 16)
                if len(self.buffer) < line + 2 + size + 2:
                    return None
                body += self.buffer[line + 2:line + 2 + size]
                used = line + 2 + size + 2
                if size == 0:
                    break
        del self.buffer[:used]
        method, target, _ = head.split('\r\n', 1)[0].split(' ')
        return method, target, body

    def send(self, method, code, body):
        kind = b'text/plain' if body == b'OK' else b'application/json'
        head = b'HTTP/1.1 %d %s\r\nApi-Version: 1.47\r\nOSType: linux\r\nServer: Docker/28.0.0 (linux)\r\n' % (code, WORDS[code])
        if code != 204:
            head += b'Content-Type: %s\r\nContent-Length: %d\r\n' % (kind, len(body))
        self.transport.write(head + b'\r\n')
        if method != 'HEAD' and body:
            self.transport.write(body)


async def serve(a):
    engine = Engine(a.start_ms)
    engine.delay_ms, engine.fail_every = a.delay_ms, a.fail_every
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_unix_server(lambda: Connection(engine), a.socket, backlog=1024)
    async with server:
        await ended.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('socket')
    p.add_argument('--start-ms', type=int, default=2000)
    p.add_argument('--delay-ms', type=int, default=0)
    p.add_argument('--fail-every', type=int, default=0)
    asyncio.run(serve(p.parse_args()))


if __name__ == '__main__':
    sys.exit(main())
