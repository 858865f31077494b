"""The callers: threads that deploy, update, scale, restart, remove, roll back, cancel and retry, through any daemon, each call
with a request id, and again with the same one until there is an answer. Beside them a watcher for each job that was accepted."""

import itertools
import threading
import time

import native_client
from daemon import compose, hello, name_of
from history import Submission, Watched

PROJECTS = {'alpha': 2, 'beta': 0, 'gamma': 1}  # how many jobs of it may run; 0: no limit
STACKS = ('a', 'b', 'c')
# Of these nobody knows whether it was done.
UNKNOWN = ('UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED')
# What a caller who does as told can be answered, beside that.
REFUSALS = ('FAILED_PRECONDITION', 'NOT_FOUND', 'ALREADY_EXISTS', 'RESOURCE_EXHAUSTED', 'ABORTED')
CALL_S, SILENCE_S = 5, 6
OPERATIONS = {'deploy': 30, 'broken': 6, 'slow': 6, 'scale': 12, 'restart': 9, 'remove': 8, 'rollback': 8, 'cancel': 13, 'retry': 8}
TOP = {'secrets': {'s': {'file': 's.txt'}}, 'configs': {'c': {'content': 'text'}}, 'networks': {'back': {}}}


def text_of(marker, rng, how='deploy'):
    """(services, Compose text). MARKER in each service's environment says of which submission it is."""
    marked = {'environment': {'MARKER': marker}}
    app = hello(version=rng.randint(1, 3), secrets=['s'], configs=['c'], **marked, deploy={'replicas': rng.randint(1, 2)})
    services = {'app': app, 'idle': hello(networks=['back'], deploy={'replicas': 0}, **marked)}
    if rng.random() < 0.4:
        services['more'] = hello(version=rng.randint(1, 3), **marked)
    if how == 'broken':
        services['app'] = hello(image='localhost/nowhere:1', **marked)
    if how == 'slow':
        app['healthcheck'] = {'test': ['CMD', '/hello', '--health'], 'interval': '1s', 'retries': 20}
        app['command'] = ['START_DELAY=4']
    return services, compose(services, **TOP)


class Load:
    def __init__(self, cluster, rng):
        self.cluster, self.rng = cluster, rng
        self.submissions, self.watched, self.wrong = [], [], []
        self.numbers, self.lock = itertools.count(1), threading.Lock()
        self.stopping, self.giving_up = threading.Event(), threading.Event()
        self.threads, self.watchers = [], []

    def start(self):
        for project in PROJECTS:
            for _ in range(2):
                seed = self.rng.randrange(1 << 32)
                self.threads.append(threading.Thread(target=self.call_on, args=(project, seed), daemon=True))
        for thread in self.threads:
            thread.start()

    def stop(self, timeout):
        """No new calls; those that wait for an answer get one."""
        self.stopping.set()
        deadline = time.monotonic() + timeout
        for thread in self.threads:
            thread.join(max(0, deadline - time.monotonic()))

    def stop_watching(self, timeout):
        deadline = time.monotonic() + timeout
        for thread in list(self.watchers):
            thread.join(max(0, deadline - time.monotonic()))
        self.giving_up.set()

    def any_daemon(self, rng, but=None):
        return rng.choice([d for d in self.cluster.daemons.values() if d is not but])

    # -- calls --------------------------------------------------------------------------------------------------------

    def call_on(self, project, seed):
        rng = type(self.rng)(seed)
        while not self.stopping.is_set():
            how = rng.choices(list(OPERATIONS), OPERATIONS.values())[0]
            try:
                self.operate(rng, project, rng.choice(STACKS), how)
            except Exception as e:  # a thread that ended without a word would be load that is missing
                self.wrong.append(f'{how} on {project}: {type(e).__name__}: {e}')
                raise
            self.stopping.wait(rng.uniform(0.2, 2))

    def operate(self, rng, project, stack, how):
        ref = {'project': project, 'name': stack}
        if how in ('deploy', 'broken', 'slow'):
            return self.deploy(rng, project, stack, how)
        if how == 'scale':
            return self.submit(rng, 'Stacks', 'Scale', project, stack, stack_ref=ref, replicas={'app': rng.randint(1, 3)})
        if how == 'restart':
            return self.submit(rng, 'Stacks', 'Restart', project, stack, stack_ref=ref, services=['app'])
        if how in ('remove', 'rollback'):
            return self.submit(rng, 'Stacks', how.capitalize(), project, stack, stack_ref=ref)
        with self.lock:
            ended = {w.job: w.state for w in self.watched if w.state}
            jobs = [s.job for s in self.submissions if s.job and (s.project, s.stack) == (project, stack)]
        if how == 'cancel':
            jobs = [j for j in jobs[-4:] if j not in ended]
        else:
            jobs = [j for j in jobs[-8:] if ended.get(j) in ('FAILED', 'CANCELLED')]
        return self.submit(rng, 'Jobs', how.capitalize(), project, stack, id=rng.choice(jobs)) if jobs else None

    def deploy(self, rng, project, stack, how='deploy'):
        marker = f'm{next(self.numbers)}'
        services, text = text_of(marker, rng, how)
        return self.submit(rng, 'Stacks', 'Deploy', project, stack, marker=marker, services=sorted(services), name=stack,
                           compose=[{'name': 'compose.yml', 'text': text}], files=[{'path': 's.txt', 'content': b'word'}])

    def submit(self, rng, service, method, project, stack, marker='', services=(), stack_ref=None, **fields):
        """One submission: until it is accepted or refused. Once more now and then, which must change nothing."""
        made = Submission(f'r{next(self.numbers)}', method, project, stack, marker=marker, services=list(services),
                          about=fields.get('id', ''))
        fields['request_id'] = made.request_id
        if stack_ref:
            fields['stack'] = stack_ref
        elif service == 'Stacks':
            fields['project'] = project
        with self.lock:
            self.submissions.append(made)
        daemon = None
        while not made.answered() and not self.giving_up.is_set():
            daemon = self.any_daemon(rng, daemon)
            self.try_once(daemon, service, method, fields, made)
            if not made.answered():
                self.giving_up.wait(rng.uniform(0.1, 0.5))
        if made.job and rng.random() < 0.2:
            again = Submission(made.request_id, method, project, stack)
            self.try_once(self.any_daemon(rng), service, method, fields, again)
            if again.answered():
                made.again.append(again.job or again.refusal)
        if made.job:
            self.watch(made.job, rng.randrange(1 << 32))
        return made

    def try_once(self, daemon, service, method, fields, made):
        made.tries += 1
        try:
            with daemon.client(timeout=CALL_S) as client:
                reply = client.unary(service, method, **fields)
            job = reply.job if method == 'Deploy' else reply
            made.job, made.release, made.stack_id = job.id, job.release, job.stack_id
        except OSError:
            made.unknown += 1
        except native_client.RpcError as e:
            if e.code in UNKNOWN:
                made.unknown += 1
                made.troubles.append(f'{e.code}: {e.message}')
            else:
                made.refusal = f'{e.code}: {e.message}'
                if e.code not in REFUSALS:
                    self.wrong.append(f'{method} {made.request_id} was answered {made.refusal}')

    # -- watchers -----------------------------------------------------------------------------------------------------

    def watch(self, job, seed):
        """From where the last watch of the job ended."""
        with self.lock:
            before = [w for w in self.watched if w.job == job]
            if before and not before[-1].state:
                return  # it is watched
            seen = before[-1].events[-1][0] if before and before[-1].events else before[-1].after if before else 0
            made = Watched(job, seen)
            self.watched.append(made)
        thread = threading.Thread(target=self.follow, args=(made, type(self.rng)(seed)), daemon=True)
        self.watchers.append(thread)
        thread.start()

    def follow(self, made, rng):
        daemon = None
        while not made.state and not self.giving_up.is_set():
            daemon = self.any_daemon(rng, daemon)
            made.connections += 1
            try:
                with daemon.client(timeout=SILENCE_S) as client:
                    after = made.events[-1][0] if made.events else made.after
                    for message in client.stream('Jobs', 'Watch', id=made.job, after_sequence=after):
                        if message.HasField('job'):
                            made.state = name_of('JobState', message.job.state, 'jobs')
                        else:
                            made.events.append((message.event.sequence, message.event.kind, message.event.message))
            except OSError:
                pass
            except native_client.RpcError as e:
                if e.code not in UNKNOWN:
                    made.trouble = f'{e.code}: {e.message}'
                    return
            self.giving_up.wait(rng.uniform(0.05, 0.3))
