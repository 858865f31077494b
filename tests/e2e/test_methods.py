"""Every method of the API succeeds: by each of its paths for plain HTTP and by Connect with JSON, with the examples of the document, with a key
sent twice, with versions, page by page. And each failure that the protos name is provoked. What is sent and what comes back is held to
/openapi.json. A method without a case, or a failure without one, is an error here."""

import base64
import json
import subprocess
import threading

import pytest
from daemon import compose, hello
from methods import Caller, Document, all_methods, transcode
from servers import eventually

SHOP = {'project': 'shop'}
AT_ONCE = {'update_config': {'monitor': '200ms', 'parallelism': 0}}
HELLO = {'stack': {'project': 'shop', 'name': 'hello'}}
CASES, FAILURES = {}, {}  # in this order
BACKLOG = 40  # jobs of a project that may wait


def case(name):
    """How a method is called for the n-th time: its message. What it makes or ends has to be another one each time."""
    def keep(function):
        CASES[name] = function
        return function
    return keep


def failure(name, code):
    def keep(function):
        FAILURES[name, code] = function
        return function
    return keep


def text_of(services, **top):
    return [{'name': 'compose.yml', 'text': base64.b64encode(compose(services, **top)).decode()}]


class World:
    def __init__(self, skepd, engine, registry, postgres):
        self.skepd, self.engine, self.registry, self.postgres = skepd, engine, registry, postgres
        self.document, self.methods = Document(), all_methods()
        self.admin = Caller(skepd.port(), skepd.call('Auth', 'CreateToken', name='admin', role=4).secret)
        self.made, self.tokens = {}, {}

    def by_role(self, role):
        """A caller of the project with this role."""
        if role not in self.tokens:
            secret = self.skepd.call('Auth', 'CreateToken', name=role.lower(), role=f'ROLE_{role}', **SHOP).secret
            self.tokens[role] = Caller(self.skepd.port(), secret)
        return self.tokens[role]

    def id_of(self, stack):
        return self.skepd.call('Stacks', 'Get', stack=stack).id

    def keep(self, name, n, body):
        self.made[name, n] = body

    def job(self, name, n=0):
        """The job of the n-th call of a method."""
        body = self.made[name, n]
        return body.get('job', body)['id']

    def wait(self, *jobs, state='SUCCEEDED'):
        for job in jobs:
            ended = self.skepd.wait(job)
            assert ended.state == state, f'{job}: {ended.state}: {ended.job.error}'


@pytest.fixture(scope='module')
def skepd(new_daemon):
    made = new_daemon(job_backlog=BACKLOG).start()
    yield made
    made.stop()


@pytest.fixture(scope='module')
def world(skepd, engine, registry, postgres):
    made = World(skepd, engine, registry, postgres)
    yield made
    for caller in made.admin, *made.tokens.values():
        caller.close()
    for s in engine.call('GET', '/services') or []:
        engine.call('DELETE', f'/services/{s["ID"]}')


# ---- how each method is called ----

for simple in 'System.Info', 'System.Health', 'System.Ready', 'System.Counters', 'Auth.WhoAmI':
    case(simple)(lambda w, n: {})


@case('Projects.Create')
def create_project(w, n):
    return {'name': f'made-{n}', 'description': 'one of many'}


case('Projects.List')(lambda w, n: {})


@case('Projects.Get')
def get_project(w, n):
    return SHOP


@case('Projects.Update')
def update_project(w, n):
    return {**SHOP, 'description': f'the shop, {n}', 'driftPolicy': 'DRIFT_POLICY_REPORT'}


@case('Projects.Delete')
def delete_project(w, n):
    w.skepd.call('Projects', 'Create', name=f'gone-{n}')
    return {'project': f'gone-{n}'}


@case('Auth.CreateToken')
def create_token(w, n):
    return {**SHOP, 'name': f'token {n}', 'role': 'ROLE_VIEWER', 'ttlSeconds': 3600} if n else {'name': 'all', 'role': 'ROLE_ADMIN'}


case('Auth.ListTokens')(lambda w, n: SHOP)


@case('Auth.RevokeToken')
def revoke_token(w, n):
    return {'id': w.skepd.call('Auth', 'CreateToken', name=f'gone {n}', role=1).token.id}


@case('Registries.Set')
def set_registry(w, n):
    return {**SHOP, 'host': w.registry.host, 'username': w.registry.USER, 'password': w.registry.PASSWORD}


@case('Registries.List')
def list_registries(w, n):
    w.skepd.call('Registries', 'Set', host=f'r{n}.example', username='u', password='p', no_verify=True, **SHOP)
    return SHOP


@case('Registries.Delete')
def delete_registry(w, n):
    w.skepd.call('Registries', 'Set', host=f'gone{n}.example:5000', username='u', password='p', no_verify=True, **SHOP)
    return {**SHOP, 'host': f'gone{n}.example:5000'}


@case('Stacks.Plan')
def plan(w, n):
    return {'deploy': {**SHOP, 'name': 'hello', 'compose': text_of({'web': hello()})}, 'showValues': True}


@case('Stacks.Deploy')
def deploy(w, n):
    if n in (1, 2):
        w.wait(w.job('Stacks.Deploy', n - 1))
    if n == 2:  # the document's example, and what is behind it, wait
        w.skepd.call('Jobs', 'Pause', **SHOP)
    return {**SHOP, 'name': 'hello' if n < 2 else 'example', 'compose': text_of({'web': hello(environment={'N': str(n)}, deploy=AT_ONCE)}),
            'variables': {'UNUSED': 'x'}, 'onFailure': 'ON_FAILURE_ROLLBACK'}


for one in 'Get', 'Releases', 'Watch', 'Diff', 'Export':
    case(f'Stacks.{one}')(lambda w, n: HELLO)
CASES['Stacks.Diff'] = lambda w, n: {**HELLO, 'showValues': n > 0}
CASES['Stacks.Export'] = lambda w, n: {**HELLO, 'source': n == 1}
case('Stacks.List')(lambda w, n: SHOP)


@case('Stacks.Scale')
def scale(w, n):
    return {**HELLO, 'replicas': {'web': 2}}


@case('Stacks.Restart')
def restart(w, n):
    return {**HELLO, 'services': ['web']} if n else HELLO


@case('Stacks.Rollback')
def rollback(w, n):
    return {**HELLO, 'release': 1, 'stallSeconds': 30}


@case('Stacks.Adopt')
def adopt(w, n):
    spec = {'Image': 'localhost/hello:1', 'Labels': {'com.docker.stack.namespace': f'old-{n}'}}
    w.engine.call('POST', '/services/create', {
        'Name': f'old-{n}_web', 'Labels': {'com.docker.stack.namespace': f'old-{n}', 'com.docker.stack.image': 'localhost/hello:1'},
        'TaskTemplate': {'ContainerSpec': spec}, 'Mode': {'Replicated': {'Replicas': 1}}, 'EndpointSpec': {'Mode': 'dnsrr'}})
    return {**SHOP, 'name': f'old-{n}', 'namespace': f'old-{n}'}


@case('Stacks.Remove')
def remove(w, n):
    w.skepd.call('Stacks', 'Deploy', name=f'gone-{n}', compose=[{'name': 'c', 'text': compose({'web': hello()})}], **SHOP)
    return {'stack': {'project': 'shop', 'name': f'gone-{n}'}}


@case('Schedules.Create')
def create_schedule(w, n):
    return {**SHOP, 'name': f's-{n}', 'stack': 'hello', 'action': 'SCHEDULE_ACTION_SCALE', 'replicas': {'web': 1}, 'cron': '@yearly',
            'timeZone': 'Europe/Berlin', 'jitterSeconds': 60, 'missed': 'MISSED_RUNS_RUN_ONCE'}


case('Schedules.Get')(lambda w, n: {**SHOP, 'name': 's-0'})
case('Schedules.List')(lambda w, n: SHOP)
case('Schedules.Update')(lambda w, n: {**SHOP, 'name': 's-0', 'cron': f'{n} 3 * * *', 'jitterSeconds': -1})
case('Schedules.Pause')(lambda w, n: {**SHOP, 'name': 's-0'})
case('Schedules.Resume')(lambda w, n: {**SHOP, 'name': 's-0'})
case('Schedules.Delete')(lambda w, n: {**SHOP, 'name': f's-{n}'})
case('Events.Watch')(lambda w, n: {**SHOP, 'kinds': ['job'], 'since': '2020-01-01T00:00:00Z'})
case('Jobs.Get')(lambda w, n: {'id': w.job('Stacks.Deploy')})
case('Jobs.List')(lambda w, n: {**SHOP, 'stack': 'hello', 'states': ['JOB_STATE_PENDING', 'JOB_STATE_SUCCEEDED']})
case('Jobs.Watch')(lambda w, n: {'id': w.job('Stacks.Deploy'), 'afterSequence': '1'})
case('Jobs.Stats')(lambda w, n: {**SHOP, 'limit': 5})


@case('Jobs.Pause')
def pause(w, n):
    return {'kind': 'JOB_KIND_BUILD', 'reason': 'the table'} if n == 0 else {**SHOP, 'reason': 'the table'}


@case('Jobs.Cancel')
def cancel(w, n):
    return {'id': w.skepd.call('Stacks', 'Restart', stack=HELLO['stack']).id}


@case('Jobs.Retry')
def retry(w, n):
    number = w.skepd.call('Stacks', 'Restart', stack=HELLO['stack']).id
    w.skepd.call('Jobs', 'Cancel', id=number)
    return {'id': number}


case('Jobs.RetryFailed')(lambda w, n: {**SHOP, 'stack': 'hello', 'kind': 'JOB_KIND_RESTART'})


@case('Jobs.Resume')
def resume(w, n):
    if n == 0:  # of those that wait, one of each kind runs to its end
        waiting = w.skepd.call('Jobs', 'List', states=[1], page={'page_size': 200}, **SHOP).jobs
        newest = {job.kind: job.id for job in reversed(waiting) if job.stack == 'hello'}
        w.to_run = {*newest.values(), w.job('Stacks.Adopt'), w.job('Stacks.Remove')}
        for job in waiting:
            if job.id not in w.to_run:
                w.skepd.call('Jobs', 'Cancel', id=job.id)
    return {'kind': 'JOB_KIND_BUILD'} if n == 0 else SHOP


# ---- how each fails ----

def paused(w, name):
    if name not in w.made:
        w.made[name] = w.skepd.call('Projects', 'Create', name=name)
        w.skepd.call('Jobs', 'Pause', project=name)
        return True
    return False


def never(w):
    """A stack that was never up."""
    if paused(w, 'never'):
        job = w.skepd.call('Stacks', 'Deploy', project='never', name='s0', compose=[{'name': 'c', 'text': compose({'web': hello()})}]).job
        w.skepd.call('Jobs', 'Cancel', id=job.id)
    return {'stack': {'project': 'never', 'name': 's0'}}


def full(w):
    """A project of which as many jobs wait as may."""
    if paused(w, 'full'):
        for i in range(BACKLOG):
            w.skepd.call('Stacks', 'Deploy', project='full', name=f's{i}', compose=[{'name': 'c', 'text': compose({'web': hello()})}])
    return 'full'


def ended_job(w):
    return {'id': w.skepd.call('Jobs', 'List', stack='hello', states=[3], **SHOP).jobs[0].id}


def dropped_page(w):
    """One that begins where no jobs are kept any more."""
    w.postgres.query("update job_horizon set id = skep_uuid_floor(now() - interval '400 days')", w.skepd.database)
    return {**SHOP, 'page': {'pageToken': '01900000-0000-7000-8000-000000000000'}}


failure('Auth.CreateToken', 'PERMISSION_DENIED')(lambda w: ({**SHOP, 'name': 'x', 'role': 'ROLE_ADMIN'}, w.by_role('OWNER')))
failure('Events.Watch', 'OUT_OF_RANGE')(lambda w: {**SHOP, 'token': '999999999999999.1'})
failure('Jobs.Cancel', 'FAILED_PRECONDITION')(ended_job)
failure('Jobs.Retry', 'FAILED_PRECONDITION')(ended_job)
failure('Jobs.List', 'OUT_OF_RANGE')(dropped_page)
for verb in 'Pause', 'Resume':
    failure(f'Jobs.{verb}', 'PERMISSION_DENIED')(lambda w: ({'kind': 'JOB_KIND_DEPLOY'}, w.by_role('OWNER')))
failure('Projects.Create', 'ALREADY_EXISTS')(lambda w: {'name': 'shop'})
failure('Projects.Update', 'PERMISSION_DENIED')(lambda w: ({**SHOP, 'weight': 2}, w.by_role('OWNER')))
failure('Projects.Update', 'ABORTED')(lambda w: {**SHOP, 'description': 'x', 'etag': '00'})
failure('Projects.Delete', 'FAILED_PRECONDITION')(lambda w: SHOP)
failure('Projects.Delete', 'ABORTED')(lambda w: {**SHOP, 'etag': '00'})


def login(w, **more):
    return {**SHOP, 'host': w.registry.host, 'username': 'u', 'password': 'wrong', **more}


@failure('Registries.Set', 'RESOURCE_EXHAUSTED')
def too_many_registries(w):
    full(w)
    for i in range(100):
        w.skepd.call('Registries', 'Set', project='full', host=f'r{i}', username='u', password='p', no_verify=True)
    return login(w, project='full', noVerify=True)


failure('Registries.Set', 'INVALID_ARGUMENT')(login)
failure('Registries.Set', 'FAILED_PRECONDITION')(lambda w: login(w, host='127.0.0.1:9'))
failure('Registries.Set', 'ABORTED')(lambda w: login(w, noVerify=True, etag='00'))


@failure('Registries.Delete', 'ABORTED')
def delete_another_registry(w):
    w.skepd.call('Registries', 'Set', host='r', username='u', password='p', no_verify=True, **SHOP)
    return {**SHOP, 'host': 'r', 'etag': '00'}


def schedule(w, name='twice', **more):
    return {**SHOP, 'name': name, 'stack': 'hello', 'action': 'SCHEDULE_ACTION_RESTART', 'cron': '@yearly', **more}


@failure('Schedules.Create', 'ALREADY_EXISTS')
def a_schedule_twice(w):
    w.skepd.call('Schedules', 'Create', **schedule(w))
    return schedule(w)


@failure('Schedules.Create', 'RESOURCE_EXHAUSTED')
def too_many_schedules(w):
    full(w)
    for i in range(100):
        w.skepd.call('Schedules', 'Create', **schedule(w, f's{i}', project='full', stack='s0'))
    return schedule(w, 'last', project='full', stack='s0')


for verb in 'Update', 'Pause', 'Resume':
    failure(f'Schedules.{verb}', 'ABORTED')(lambda w: {**SHOP, 'name': 'twice'})


def text(w, **more):
    return {**SHOP, 'name': 'hello', 'compose': text_of({'web': hello()}), **more}


for verb, wrap in ('Deploy', lambda m: m), ('Plan', lambda m: {'deploy': m}):
    failure(f'Stacks.{verb}', 'INVALID_ARGUMENT')(lambda w, wrap=wrap: wrap(text(w, compose=text_of({'web': {'imgae': 'x'}}))))
    failure(f'Stacks.{verb}', 'ALREADY_EXISTS')(lambda w, wrap=wrap: wrap(text(w, name='other', namespace='shop-hello')))
    failure(f'Stacks.{verb}', 'FAILED_PRECONDITION')(lambda w, wrap=wrap: wrap(text(w, namespace='another')))
failure('Stacks.Deploy', 'RESOURCE_EXHAUSTED')(lambda w: full(w) and text(w, project='full', name='more'))
failure('Stacks.Diff', 'FAILED_PRECONDITION')(never)
failure('Stacks.Diff', 'PERMISSION_DENIED')(lambda w: ({**HELLO, 'showValues': True}, w.by_role('VIEWER')))
failure('Stacks.Scale', 'NOT_FOUND')(lambda w: {**HELLO, 'replicas': {'nix': 1}})
failure('Stacks.Scale', 'FAILED_PRECONDITION')(lambda w: {**never(w), 'replicas': {'web': 1}})
failure('Stacks.Restart', 'NOT_FOUND')(lambda w: {**HELLO, 'services': ['nix']})
failure('Stacks.Restart', 'FAILED_PRECONDITION')(never)
failure('Stacks.Rollback', 'NOT_FOUND')(lambda w: {**HELLO, 'release': 999})
failure('Stacks.Rollback', 'FAILED_PRECONDITION')(never)
failure('Stacks.Adopt', 'ALREADY_EXISTS')(lambda w: {**SHOP, 'name': 'hello', 'namespace': 'shop-hello'})
failure('Stacks.Adopt', 'FAILED_PRECONDITION')(lambda w: {**SHOP, 'name': 'hello', 'namespace': 'x'})
failure('Stacks.Export', 'FAILED_PRECONDITION')(never)


# ---- one method, every way ----

def core(body):
    """What stays of an answer when its job goes on."""
    if not body:
        return body
    jobs = body['jobs'] if 'jobs' in body else [body['job']] if 'job' in body else [body] if 'maxAttempts' in body else None
    return body if jobs is None else [j['id'] for j in jobs]


class Run:
    """The calls of one method's case."""

    def __init__(self, w, method):
        self.w, self.method, self.n = w, method, 0

    def message(self):
        made = CASES[self.method.name](self.w, self.n)
        self.n += 1
        return made

    def for_binding(self, binding, message):
        """With what the path needs, and without what only other paths say."""
        made = json.loads(json.dumps(message))
        if '{stack.id}' in binding.path:
            made['stack'] = {'id': self.w.id_of(message['stack'])}
        elif 'stack' in made and '{stack}' in binding.path and binding.body is None:
            made.setdefault('project', 'shop')
        elif '{project}' not in binding.path and self.method.name in ('Jobs.Pause', 'Jobs.Resume'):
            made = {k: v for k, v in made.items() if k != 'project' or 'kind' not in made}
        return made

    def version(self, message):
        """The present etag of what a message is about."""
        if self.method.service == 'Projects':
            return self.w.skepd.call('Projects', 'Get', project=message['project']).etag
        found = [r for r in self.w.skepd.call('Registries', 'List', project=message['project']).registries if r.host == message['host']]
        return found[0].etag if found else None

    def rest(self, binding):
        number, message = self.n, self.for_binding(binding, self.message())
        operation = self.method.operation(binding)
        path, body, query = transcode(binding, message)
        self.w.document.check_request(operation, body, query)
        if self.method.is_stream:
            self.rest_stream(binding, operation, path)
            return
        headers = {}
        if self.method.takes('etag'):
            self.expect(binding, path, body, 412, 'ABORTED', if_match='"00"')
            version = self.version(message)
            headers['if_match'] = f'"{version}"' if version else None
        if self.method.takes('request_id'):
            headers['idempotency_key'] = f'{self.method.name}-{binding.number}'
            self.expect(binding, path, body, 409, 'FAILED_PRECONDITION', idempotency_key='taken')
        answer = self.w.admin.ask(binding.verb, path, body, **headers)
        assert answer.status in (200, 204), f'{operation}: {answer.status} {answer.body}'
        self.w.document.check_answer(operation, answer)
        self.w.keep(self.method.name, number, answer.body)
        if self.method.takes('request_id'):
            again = self.w.admin.ask(binding.verb, path, body, **headers)
            assert (again.status, core(again.body)) == (answer.status, core(answer.body)), f'{operation}: the same key gave {again}'
        if self.method.gives('etag'):
            self.versions(binding, path, answer)
        if self.method.takes('page'):
            self.pages(binding, operation, message, answer)
        if binding.verb == 'GET':
            head = self.w.admin.ask('HEAD', path)
            assert (head.status, head.body) == (answer.status, b''), operation

    def expect(self, binding, path, body, status, code, **headers):
        answer = self.w.admin.ask(binding.verb, path, body, **headers)
        assert (answer.status, answer.body['code']) == (status, code), f'{self.method.name}: {answer}'
        self.w.document.check_answer(self.method.operation(binding), answer)

    def versions(self, binding, path, answer):
        etag = answer.headers['etag']
        assert etag == f'"{answer.body["etag"]}"'
        if binding.verb == 'GET':
            same = self.w.admin.ask('GET', path, if_none_match=f'"x", {etag}')
            assert (same.status, same.body, same.headers['etag']) == (304, b'', etag)
            assert self.w.admin.ask('GET', path, if_none_match='"x"').status == 200

    def pages(self, binding, operation, message, whole):
        """Row by row it is the same list; a token that is none is told."""
        name = next(f.json_name for f in self.method.output.fields if f.label == f.LABEL_REPEATED)
        rows, token = [], ''
        while len(rows) < 100:
            path, _, query = transcode(binding, {**message, 'page': {'pageSize': 1, 'pageToken': token}})
            self.w.document.check_request(operation, None, query)
            page = self.w.admin.ask('GET', path).body
            rows += page.get(name, [])
            token = page.get('nextPageToken')
            if not token:
                break
        assert len(rows) >= 2, f'{operation}: a list of {len(rows)} has no pages'
        assert [r['id'] for r in rows] == [r['id'] for r in whole.body[name]], operation
        path, body, _ = transcode(binding, {**message, 'page': {'pageToken': 'x' * 36}})
        self.expect(binding, path, body, 400, 'INVALID_ARGUMENT')

    def rest_stream(self, binding, operation, path):
        schema = self.w.document.operations[operation]['responses']['200']['content']['application/x-ndjson']['schema']
        lines = self.w.admin.first(binding.verb, path)
        assert (lines.status, lines.headers['content-type']) == (200, 'application/x-ndjson'), lines
        self.w.document.check(schema, json.loads(lines.body), operation)
        events = self.w.admin.first(binding.verb, path, until=b'\n\n', accept='text/event-stream')
        assert events.headers['content-type'] == 'text/event-stream'
        fields = dict(line.split(': ', 1) for line in events.body.decode().strip().split('\n'))
        self.w.document.check(schema, json.loads(fields['data']), operation)
        assert json.loads(fields['data']) == json.loads(lines.body) or self.method.service == 'Stacks'
        assert ('id' in fields) == self.method.resumes
        if self.method.resumes:
            behind = self.w.admin.first(binding.verb, path, until=b'\n\n', accept='text/event-stream', last_event_id=fields['id'])
            assert behind.status == 200 and f'id: {fields["id"]}\n' not in behind.body.decode()
        self.expect(binding, path, None, 406, 'INVALID_ARGUMENT', accept='text/html')

    def example(self, binding):
        """The body that the document shows, where this method's case is."""
        body = self.w.document.operations[self.method.operation(binding)]['requestBody']['content']['application/json']['example']
        self.w.document.check_request(self.method.operation(binding), body, set())
        path, _, _ = transcode(binding, self.for_binding(binding, self.message()))
        answer = self.w.admin.ask(binding.verb, path.partition('?')[0], body)
        assert answer.status in (200, 204), f'the example of {self.method.operation(binding)}: {answer.status} {answer.body}'

    def connect(self):
        number, message = self.n, self.message()
        path = self.method.path
        if self.method.is_stream:
            flags, first = self.w.admin.first_of_connect_stream(path, message)
            schema = self.w.document.operations[f'{self.method.service}_{self.method.verb}']['responses']['200']['content']
            assert flags == 0
            self.w.document.check(schema['application/x-ndjson']['schema'], first, path)
            return
        if self.method.takes('etag'):
            old = self.w.admin.ask('POST', path, {**message, 'etag': '00'})
            assert (old.status, old.body['code']) == (409, 'aborted'), f'{path}: {old}'
        if self.method.takes('request_id'):
            other = self.w.admin.ask('POST', path, {**message, 'requestId': 'taken'})
            assert (other.status, other.body['code']) == (400, 'failed_precondition'), f'{path}: {other}'
            message = {**message, 'requestId': f'{self.method.name}-connect'}
        answer = self.w.admin.ask('POST', path, message)
        assert answer.status == 200, f'{path}: {answer.status} {answer.body}'
        ok = self.w.document.operations[f'{self.method.service}_{self.method.verb}']['responses']
        self.w.document.check(ok['200']['content']['application/json']['schema'] if '200' in ok else {'maxProperties': 0}, answer.body, path)
        self.w.keep(self.method.name, number, answer.body)
        if self.method.takes('request_id'):
            again = self.w.admin.ask('POST', path, message)
            assert (again.status, core(again.body)) == (200, core(answer.body)), f'{path}: the same request_id gave {again}'

    def all(self):
        for binding in self.method.bindings:
            self.rest(binding)
        self.connect()
        for binding in self.method.bindings:
            if binding.body:
                self.example(binding)


def test_every_method_has_a_case(protocol):
    assert set(CASES) == set(all_methods())


def test_every_method_succeeds(world):
    create = world.document.operations['Projects_Create']['requestBody']['content']['application/json']['example']
    assert world.admin.ask('POST', '/v1/projects', create, idempotency_key='taken').body['name'] == 'shop'
    for name in CASES:
        run = Run(world, world.methods[name])
        if name == 'Projects.Create':  # its example is made above
            run.rest(run.method.bindings[0])
            run.connect()
        else:
            run.all()
    assert len(world.to_run) == 5
    world.wait(*world.to_run)


@pytest.fixture
def shop(world):
    """With its stack, also when this test runs alone."""
    if not any(p.name == 'shop' for p in world.skepd.call('Projects', 'List').projects):
        world.skepd.call('Projects', 'Create', name='shop')
        world.wait(world.skepd.call('Stacks', 'Deploy', name='hello', compose=[{'name': 'c', 'text': compose({'web': hello()})}], **SHOP).job.id)
    return world


def test_every_failure_has_a_case(protocol):
    assert set(FAILURES) == {(m.name, code) for m in all_methods().values() for code, _ in m.fails}


def change_under(world, name, ask):
    """ask(), of which a schedule is changed in the middle by somebody else: behind its reading, before its writing."""
    found, waits = [], "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    psql = subprocess.Popen(['psql', '-h', world.postgres.dir, '-U', 'postgres', '-d', world.skepd.database, '-qAtX'], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    psql.stdin.write(f"begin; update schedules set revision = revision + 1 where name = '{name}' returning 'changed';\n")
    psql.stdin.flush()
    assert psql.stdout.readline() == 'changed\n'
    asking = threading.Thread(target=lambda: found.append(ask()))
    asking.start()
    eventually('it waits', lambda: world.postgres.query(waits, world.skepd.database) == '1')
    psql.communicate('commit;\n', timeout=10)
    asking.join()
    return found[0]


def test_every_failure(shop):
    for (name, code), make in FAILURES.items():
        method, made = shop.methods[name], make(shop)
        message, caller = made if isinstance(made, tuple) else (made, shop.admin)
        binding = method.bindings[0]
        path, body, _ = transcode(binding, message)
        by_rest, by_connect = lambda: caller.ask(binding.verb, path, body), lambda: caller.ask('POST', method.path, message)
        if name.startswith('Schedules.') and code == 'ABORTED':
            by_rest, by_connect = (lambda ask=ask: change_under(shop, 'twice', ask) for ask in (by_rest, by_connect))
        answer = by_rest()
        assert answer.status >= 400 and answer.body['code'] == code, f'{name}: {answer.status} {answer.body} instead of {code}'
        shop.document.check_answer(method.operation(binding), answer)
        if not method.is_stream:
            answer = by_connect()
            assert answer.body['code'].upper() == code, f'{name} by Connect: {answer.body}'
