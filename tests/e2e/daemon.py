"""skepd under test, and what the tests ask of it."""

import collections
import contextlib
import importlib
import json
import os
import re
import shutil
import signal
import time

import native_client
from servers import Server, binary, eventually

ENDED = ('SUCCEEDED', 'FAILED', 'CANCELLED')
# Limits that let a test see the end of things soon.
OPTIONS = {'hold': '200ms', 'stall_limit': '10s', 'job_lease': '1s', 'drain_grace': '3s', 'postgres_pool': '3'}


def name_of(enum, number, module='stacks'):
    """FAILED of JOB_STATE_FAILED."""
    full = getattr(importlib.import_module(f'skep.v1.{module}_pb2'), enum).Name(number)
    return full[len(re.sub(r'(?<!^)(?=[A-Z])', '_', enum)) + 1:]


def number_of(name, module='stacks'):
    return getattr(importlib.import_module(f'skep.v1.{module}_pb2'), name)


@contextlib.contextmanager
def serving(skepd):
    """The daemon for the tests of a file; their projects are taken down at the end, together."""
    skepd.projects_to_finish = []
    try:
        skepd.start()
        yield skepd
        for project in skepd.projects_to_finish:
            project.finish()
    finally:
        for project in skepd.projects_to_finish:
            project.sweep()
        skepd.stop()


class Ended(collections.namedtuple('Ended', 'job events')):
    """A job that has ended, and all that was told of it."""

    @property
    def state(self):
        return name_of('JobState', self.job.state, 'jobs')

    def steps(self, kind='job.step'):
        return [e.step for e in self.events if e.kind == kind]


class Skepd(Server):
    """One daemon. Options are those of `skepd config --help`; start(), kill9(), stop() may follow one another."""

    def __init__(self, **options):
        super().__init__('skepd')
        self.program = binary('skepd')
        self.socket = f'{self.dir}/skep.sock'
        self.environment = {k: v for k, v in os.environ.items() if k == 'PATH' or k.endswith('SAN_OPTIONS')}
        self.options = {**OPTIONS, 'socket': self.socket, 'listen': '127.0.0.1:0', 'key_file': f'{self.dir}/keys', **options}

    def start(self, *arguments, ready=True, **options):
        self.options.update(options)
        env = {**self.environment, **{f'SKEP_{key.upper()}': str(value) for key, value in self.options.items()}}
        self.started_at = len(self.log()) if os.path.exists(self.log_path) else 0
        self.run([self.program, *arguments], env=env, cwd='/', death=signal.SIGTERM)
        self.wait_up(self.is_ready if ready else lambda: self.call('System', 'Health') is not None)
        return self

    def log_since_start(self):
        return self.log()[self.started_at:]

    def is_ready(self):
        return self.call('System', 'Ready').ready

    def not_up(self):
        """{server it cannot use: why}"""
        return {d.name: d.message for d in self.call('System', 'Ready').dependencies if not d.up}

    def stop(self):
        """Drains; what the sanitizers have to say is an error."""
        status = self.end()
        assert status == 0, f'skepd ended with {status}: {self.log()[-6000:]}'

    def port(self):
        return int(re.findall(r'listening.*port=(\d+)', self.log_since_start())[-1])

    def rss(self):
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as f:
            return int(re.search(r'VmRSS:\s+(\d+) kB', f.read()).group(1)) * 1024

    # -- the API ----------------------------------------------------------------------------------------

    def client(self, token=None, timeout=30):
        """Without a token on the unix socket: an administrator. With one over TCP: what the token says."""
        return native_client.Client(f'127.0.0.1:{self.port()}' if token else f'unix://{self.socket}', token, timeout)

    def call(self, service, method, /, token=None, **fields):
        with self.client(token) as client:
            return client.unary(service, method, **fields)

    def job(self, number):
        return self.call('Jobs', 'Get', id=number)

    def wait(self, number, timeout=60):
        """Until the job has ended: Ended. Goes on over breaks of the connection and the daemon's deaths."""
        events, deadline = [], time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                with self.client(timeout=max(0.1, deadline - time.monotonic())) as client:
                    after = events[-1].sequence if events else 0
                    for message in client.stream('Jobs', 'Watch', id=number, after_sequence=after):
                        if message.HasField('job'):
                            return Ended(message.job, events)
                        events.append(message.event)
            except OSError:
                time.sleep(0.05)
            except native_client.RpcError as e:
                if e.code not in ('UNAVAILABLE', 'CANCELLED', 'DEADLINE_EXCEEDED'):
                    raise
                time.sleep(0.05)
        told = [f'{e.sequence} {e.kind} {e.step} {e.service} {e.message}' for e in events]
        raise AssertionError(f'job {number} has not ended within {timeout} s; so far: ' + '\n'.join(told))

    def wait_step(self, number, step, timeout=30):
        """Until the job has begun this step."""
        with self.client(timeout=timeout) as client, client.stream('Jobs', 'Watch', id=number) as messages:
            for message in messages:
                if message.HasField('job'):
                    raise AssertionError(f'the job ended before {step}: {message.job.error}')
                if message.event.kind == 'job.step' and message.event.step == step:
                    return

    def end_and_remove(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)


def hello(port=None, version=1, arguments=(), networks=('bridge',), deploy=None, **service):
    """A Compose service of the hello image. With a port: published on the host, where engine.http() reaches it. Without
    networks of its own it is on the Engine's bridge, from which a task leaves at once, not after overlay's two seconds."""
    quick = {'endpoint_mode': 'dnsrr', 'update_config': {'monitor': '200ms'}, 'restart_policy': {'delay': '100ms'}}
    made = {'image': f'localhost/hello:{version}', 'networks': list(networks), 'deploy': {**quick, **(deploy or {})},
            **service}
    if port:
        made['ports'] = [{'target': 8080, 'published': port, 'mode': 'host'}]
    if arguments:
        made['command'] = list(arguments)
    return made


def slow(**service):
    """A deploy of it stays in `converge` until somebody ends that."""
    check = {'test': ['CMD', '/hello', '--health'], 'interval': '1s', 'retries': 60}
    return hello(healthcheck=check, arguments=['START_DELAY=60'], **service)


def one_shot(*arguments, **service):
    """One that runs to its end, and is not started again."""
    return hello(arguments=arguments, deploy={'restart_policy': {'condition': 'none'}}, **service)


def compose(services, **top):
    """A Compose text. (JSON is YAML.)"""
    if any('bridge' in s.get('networks', ()) for s in services.values()):
        top['networks'] = {'bridge': {'external': True}, **top.get('networks', {})}
    return json.dumps({'services': services, **top}).encode()


class Project:
    """A project of its own for one test; what it deployed is gone afterwards."""

    def __init__(self, skepd, engine, name):
        self.skepd, self.engine, self.name, self.removals = skepd, engine, name, {}
        self.id = skepd.call('Projects', 'Create', name=name).id

    def namespace(self, stack='web'):
        return f'{self.name}-{stack}'

    def ref(self, stack='web'):
        return {'project': self.name, 'name': stack}

    def submit(self, services, stack='web', top=None, **fields):
        """Deploys without waiting; the reply. services: {name: service}, or a whole Compose text."""
        text = services if isinstance(services, bytes) else compose(services, **(top or {}))
        return self.skepd.call('Stacks', 'Deploy', project=self.name, name=stack,
                               compose=[{'name': 'compose.yml', 'text': text}], **fields)

    def deploy(self, services, stack='web', expect='SUCCEEDED', **fields):
        return self.expect(self.submit(services, stack, **fields).job, expect)

    def scale(self, replicas, stack='web', expect='SUCCEEDED'):
        return self.expect(self.skepd.call('Stacks', 'Scale', stack=self.ref(stack), replicas=replicas), expect)

    def restart(self, services=(), stack='web', expect='SUCCEEDED'):
        return self.expect(self.skepd.call('Stacks', 'Restart', stack=self.ref(stack), services=services), expect)

    def remove(self, stack='web', expect='SUCCEEDED'):
        return self.expect(self.skepd.call('Stacks', 'Remove', stack=self.ref(stack)), expect)

    def expect(self, job, state):
        ended = self.skepd.wait(job.id)
        assert ended.state == state, f'{ended.state}: {ended.job.error}'
        return ended

    def stack(self, stack='web'):
        return self.skepd.call('Stacks', 'Get', stack=self.ref(stack))

    def status(self, stack='web'):
        return name_of('StackStatus', self.stack(stack).status)

    def releases(self, stack='web'):
        """[(number, state)], newest first."""
        found = self.skepd.call('Stacks', 'Releases', stack=self.ref(stack)).releases
        return [(r.number, name_of('ReleaseState', r.state)) for r in found]

    def begin_to_finish(self):
        """Through the API, as a user would: what runs is cancelled, every stack is to go. {stack: its removal}"""
        for job in self.skepd.call('Jobs', 'List', project=self.name, states=[1, 2]).jobs:
            self.skepd.call('Jobs', 'Cancel', id=job.id)
        stacks = self.skepd.call('Stacks', 'List', project=self.name).stacks
        for s in stacks:
            self.removals[s.name] = self.skepd.call('Stacks', 'Remove', stack={'id': s.id}, request_id=f'finish {s.id}')

    def finish(self):
        """Everything goes, and nothing stays in the Engine."""
        if not self.removals:
            self.begin_to_finish()
        for removal in self.removals.values():
            self.expect(removal, 'SUCCEEDED')
        self.skepd.call('Projects', 'Delete', project=self.name)
        left = {name: self.engine.objects(self.namespace(name)) for name in self.removals}
        assert not any(left.values()), f'left in the Engine: {left}'

    def sweep(self):
        """By hand, when the daemon could not."""
        for s in self.engine.call('GET', '/services') or []:
            namespace = s['Spec']['Labels'].get('com.docker.stack.namespace', '')
            if namespace.startswith(self.name + '-'):
                self.engine.sweep(namespace)


def wait_for_answer(engine, port, path, text, timeout=30):
    return eventually(f'port {port} answers {path} with {text}', lambda: text in engine.http(port, path)[1], timeout)
