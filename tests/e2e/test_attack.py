"""What an enemy sends: a clear answer, nothing is lost, others are unaffected."""

import os
import resource
import socket

import pytest

from daemon import Project, hello, name_of
from native_client import RpcError
from servers import eventually
from test_callers import NOBODY, code_of, token
from test_plan import action, planned, verdicts, versions


def test_watch_by_an_id_in_capitals_hears_the_end(project, skepd):
    project.deploy({'app': hello()})
    job = skepd.call('Stacks', 'Scale', stack=project.ref(), replicas={'app': 2})
    with skepd.client(timeout=30) as client:
        messages = list(client.stream('Jobs', 'Watch', id=job.id.upper()))
    assert messages[-1].job.id == job.id


def refused(skepd, service, method, field, /, **fields):
    with pytest.raises(RpcError, match='INVALID_ARGUMENT') as e:
        skepd.call(service, method, **fields)
    assert list(e.value.violations()) == [field]


def test_names_have_limits_wherever_they_stand(project, skepd):
    project.deploy({'app': hello()})
    long = 's' * 1_000_000
    refused(skepd, 'Stacks', 'Scale', 'replicas', stack=project.ref(), replicas={long: 1})
    refused(skepd, 'Stacks', 'Restart', 'services[0]', stack=project.ref(), services=[long])
    for name in 'é', 'a\n', 'a\x1b]0;b\x07', 'ci' * 51:
        refused(skepd, 'Auth', 'CreateToken', 'name', project=project.name, name=name, role=1)
    for token in 'x', "' or 1=1", project.id + '0':
        refused(skepd, 'Jobs', 'List', 'page.page_token', page={'page_token': token})


def test_a_short_text_cannot_stand_for_a_long_one(project, skepd):
    before = skepd.rss()
    many = b''.join(b' s%d: {image: x, env_file: [e]}\n' % i for i in range(400))
    labels = b', '.join(b'k%d: *a' % i for i in range(1000))
    texts = [b'services:\n' + many, b'x-a: &a "' + b'v' * 100_000 + b'"\nservices: {s: {image: x, labels: {' + labels + b'}}}']
    for text in texts:
        with pytest.raises(RpcError, match='INVALID_ARGUMENT') as e:
            project.submit(text, files=[{'path': 'e', 'content': b''.join(b'K%d=v\n' % i for i in range(90_000))}])
        assert 'longer than 16 MiB' in str(e.value.violations())
    assert skepd.rss() < before + 400 * 1024 * 1024
    with pytest.raises(RpcError, match='INVALID_ARGUMENT') as e:
        project.submit(b'services:\n' + b''.join(b' s%d: {image: x}\n' % i for i in range(2001)))
    assert '2000 are allowed' in str(e.value.violations())


def test_a_thousand_connections_that_say_nothing(new_daemon):
    """Under the usual soft limit of descriptors."""
    skepd, limits = new_daemon(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, limits[1]))
    try:
        skepd.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    silent = []
    try:
        for _ in range(1500):
            s = socket.socket(socket.AF_UNIX)
            s.connect(skepd.socket)
            silent.append(s)
        assert skepd.call('System', 'Ready').ready
        assert skepd.call('Projects', 'Create', name='others').name == 'others'
    finally:
        for s in silent:
            s.close()
    eventually('they are gone', lambda: len(open_files(skepd)) < 100)
    skepd.stop()
    assert 'accept failed' not in skepd.log()


def open_files(skepd):
    return os.listdir(f'/proc/{skepd.process.pid}/fd')


@pytest.fixture
def victim(skepd, engine):
    """Another project, with something worth having."""
    made = Project(skepd, engine, 'victim')
    made.deploy({'app': hello(networks=['n'], secrets=['s'], configs=['c'])}, variables={'K': 'hunter2'},
                top={'networks': {'n': {}}, 'secrets': {'s': {'environment': 'K'}}, 'configs': {'c': {'content': 'x'}}})
    yield made
    made.finish()


KINDS = 'networks', 'secrets', 'configs'


def test_what_is_another_projects_is_not_there(project, victim, engine):
    """As external, by its name: neither used nor told apart from what is not there."""
    theirs = engine.objects(victim.namespace())
    for kind in KINDS:
        services = {'app': hello(**{kind: ['x']})}
        told = []
        for name in theirs[kind][0], 'no-such':
            top = {kind: {'x': {'external': True, 'name': name}}}
            plan = planned(project, services, top=top)
            refused = action(plan, 'x')
            assert verdicts(plan)[kind[:-1], 'x'] == 'refuse' and not refused.engine_id
            job = project.deploy(services, top=top, expect='FAILED').job
            assert job.error == refused.reason and job.error_code == 'FAILED_PRECONDITION'
            told.append(refused.reason.replace(name, '…'))
        assert told[0] == told[1]
        own = planned(victim, services, stack='second', top={kind: {'x': {'external': True, 'name': theirs[kind][0]}}})
        assert verdicts(own)[kind[:-1], 'x'] == 'keep', 'another stack of the same project may'
    assert not any(engine.objects(project.namespace()).values())


def test_names_of_others_are_taken(project, victim, engine):
    theirs = engine.objects(victim.namespace())
    before = versions(engine, victim)
    for kind, value in {'networks': {}, 'secrets': {'environment': 'K'}, 'configs': {'content': 'mine'}}.items():
        job = project.deploy({'app': hello(**{kind: ['x']})}, top={kind: {'x': {'name': theirs[kind][0], **value}}},
                             variables={'K': 'mine'}, expect='FAILED').job
        assert f'{kind[:-1]} "{theirs[kind][0]}" exists and is not this stack' in job.error
        stack = project.stack()
        assert (name_of('StackStatus', stack.status), stack.message) == ('FAILED', job.error), 'the stack says it too'
    for namespace in victim.namespace(), victim.namespace() + '_app':
        with pytest.raises(RpcError, match='ALREADY_EXISTS') as planning:
            planned(project, {'app': hello()}, stack='other', namespace=namespace)
        with pytest.raises(RpcError, match='ALREADY_EXISTS') as deploying:
            project.submit({'app': hello()}, stack='other', namespace=namespace)
        assert str(planning.value) == str(deploying.value)
    assert engine.objects(victim.namespace()) == theirs and versions(engine, victim) == before


def test_names_that_others_will_want(project, victim, engine):
    """<namespace>_… is the stack's own: nobody takes a name away that its next deploy needs, nor gets at its volumes."""
    wanted = victim.namespace() + '_more'
    for kind, value in {'networks': {}, 'secrets': {'environment': 'K'}, 'configs': {'content': 'mine'}}.items():
        services, top = {'app': hello(**{kind: ['x']})}, {kind: {'x': {'name': wanted, **value}}}
        plan = planned(project, services, top=top, variables={'K': 'mine'})
        job = project.deploy(services, top=top, variables={'K': 'mine'}, expect='FAILED').job
        assert job.error == action(plan, 'x').reason and 'lies in the namespace of another project' in job.error
    for volume in {'name': wanted}, {'name': wanted, 'external': True}:
        job = project.deploy({'app': hello(volumes=['data:/data'])}, top={'volumes': {'data': volume}}, expect='FAILED').job
        assert f'mounts volume "{wanted}"' in job.error
    engine.call('POST', '/networks/create', {'Name': wanted, 'Driver': 'overlay'})  # as of a stack that was adopted: no label
    job = project.deploy({'app': hello(networks=['x'])}, top={'networks': {'x': {'name': wanted, 'external': True}}}, expect='FAILED').job
    assert 'could not be found' in job.error
    engine.call('DELETE', f'/networks/{wanted}')
    assert not any(engine.objects(project.namespace()).values())
    victim.deploy({'app': hello(networks=['more'], volumes=['more:/data'])}, top={'networks': {'more': {}}, 'volumes': {'more': {}}})


def test_labels_that_are_skeps(project, victim, engine):
    stack = victim.stack()
    forged = {'skep.stack': stack.id, 'skep.project': victim.id, 'skep.job': 'x', 'skep.epoch': '99', 'skep.scale': '1'}
    service = hello(labels=forged, networks=['n'], deploy={'labels': forged})
    top = {'networks': {'n': {'labels': forged}}, 'configs': {'c': {'content': 'x', 'labels': forged}},
           'secrets': {'s': {'environment': 'K', 'labels': forged}}}
    with pytest.raises(RpcError, match='INVALID_ARGUMENT') as e:
        project.submit({'app': service}, top=top, variables={'K': 'x'})
    told = ' '.join(v.description for v in e.value.detail('BadRequest').field_violations)
    for place in 'services.app.labels', 'services.app.deploy.labels', 'networks.n.labels', 'configs.c.labels', 'secrets.s.labels':
        assert f'{place}: label "skep.epoch" is one of Skep\'s own' in told
    theirs = {'com.docker.stack.namespace': victim.namespace(), 'com.docker.stack.image': 'x'}
    project.deploy({'app': hello(labels=theirs, deploy={'labels': theirs})})
    spec = engine.services(project.namespace())['app']['Spec']
    assert list(engine.services(victim.namespace())) == ['app']
    assert spec['TaskTemplate']['ContainerSpec']['Labels']['com.docker.stack.namespace'] == project.namespace()


def test_a_tenant_sees_nothing_of_another(project, victim, skepd):
    secret, _ = token(skepd, project, 'OWNER')
    viewer, _ = token(skepd, victim, 'VIEWER')
    deploy = {'name': 'web', 'compose': [{'name': 'c', 'text': b'services: {}'}]}
    refs = {'project': 'victim', 'name': 'web'}, {'id': victim.stack().id}
    for project_ref in 'victim', victim.id:
        assert code_of(skepd, secret, 'Stacks', 'Plan', deploy={**deploy, 'project': project_ref}) == 'NOT_FOUND'
        assert code_of(skepd, secret, 'Stacks', 'Deploy', **deploy, project=project_ref) == 'NOT_FOUND'
        assert code_of(skepd, secret, 'Registries', 'Set', project=project_ref, host='a', username='u', password='p') == 'NOT_FOUND'
        assert code_of(skepd, secret, 'Registries', 'List', project=project_ref) == 'NOT_FOUND'
        assert code_of(skepd, secret, 'Registries', 'Delete', project=project_ref, host='a') == 'NOT_FOUND'
    for ref in refs:
        for method in 'Diff', 'Export', 'Get', 'Remove', 'Releases', 'Restart':
            assert code_of(skepd, secret, 'Stacks', method, stack=ref) == 'NOT_FOUND', method
    for own in project.name, 'victim':
        assert code_of(skepd, secret, 'Stacks', 'Adopt', project=own, name='x', namespace='y') == 'PERMISSION_DENIED'
    for method, fields in {'Export': {}, 'Remove': {}, 'Diff': {'show_values': True}}.items():
        assert code_of(skepd, viewer, 'Stacks', method, stack=refs[0], **fields) == 'PERMISSION_DENIED', method
    assert code_of(skepd, viewer, 'Stacks', 'Plan', deploy={**deploy, 'project': 'victim'}) == 'PERMISSION_DENIED'
    assert code_of(skepd, viewer, 'Registries', 'List', project='victim') == 'PERMISSION_DENIED'
    assert code_of(skepd, viewer, 'Stacks', 'Diff', stack=refs[0]) == 'OK'


def test_fields_that_the_engine_does_not_know(project, engine):
    """It drops them without a word: they are told, and are no reason for an update each time."""
    level = int(engine.call('GET', '/version')['ApiVersion'].split('.')[1])
    if level >= 46:
        pytest.skip('this Engine knows them all')
    services = {'app': hello(oom_score_adj=500)}
    words = f'service app: the Engine speaks API 1.{level} and drops what it does not know: oom_score_adj (1.46)'
    ended = project.deploy(services)
    assert f'warning: {words}' in [e.message for e in ended.events]
    before = versions(engine, project)
    plan = planned(project, services)
    assert words in plan.warnings and verdicts(plan)['service', 'app'] == 'keep'
    project.deploy(services)
    assert versions(engine, project) == before


def test_jobs_of_others_are_not_there(project, victim, skepd):
    """Whatever filter, position or number names them."""
    secret, _ = token(skepd, project, 'OWNER')
    project.deploy({'app': hello()})
    theirs = skepd.call('Jobs', 'List', project=victim.name).jobs[0]
    skepd.call('Schedules', 'Create', project=victim.name, name='nightly', stack='web', action=1, cron='0 3 * * *')
    named = [('Jobs', 'Stats', {}), ('Jobs', 'RetryFailed', {}), ('Jobs', 'Pause', {}), ('Jobs', 'Resume', {}), ('Schedules', 'List', {}),
             ('Schedules', 'Get', {'name': 'nightly'}), ('Schedules', 'Update', {'name': 'nightly', 'jitter_seconds': 1}),
             ('Schedules', 'Pause', {'name': 'nightly'}), ('Schedules', 'Resume', {'name': 'nightly'}), ('Schedules', 'Delete', {'name': 'nightly'}),
             ('Schedules', 'Create', {'name': 'x', 'stack': 'web', 'action': 1, 'cron': '@daily'})]
    for service, verb, fields in named:
        for name in victim.name, victim.id:
            assert code_of(skepd, secret, service, verb, project=name, **fields) == 'NOT_FOUND', f'{service}.{verb}'
    for stack in theirs.stack_id, NOBODY:  # as one that nobody has
        assert code_of(skepd, secret, 'Jobs', 'RetryFailed', project=project.name, stack=stack) == 'NOT_FOUND'
        for fields in {'stack': stack}, {'project': project.name, 'stack': stack}:
            assert not skepd.call('Jobs', 'List', token=secret, **fields).jobs
    own = skepd.call('Jobs', 'List', token=secret).jobs
    for position in theirs.id, NOBODY, 'ffffffff-ffff-ffff-ffff-ffffffffffff':
        found = skepd.call('Jobs', 'List', token=secret, page={'page_token': position}).jobs
        assert [j.id for j in found] == [j.id for j in own if j.id < position]
    told = skepd.call('Jobs', 'Stats', token=secret)
    assert not told.daemons and {q.project for q in told.queues} <= {project.name} and {j.project for j in told.running} <= {project.name}
    assert skepd.call('Schedules', 'Get', project=victim.name, name='nightly').name == 'nightly'
    assert victim.status() == 'RUNNING' and skepd.job(theirs.id) == skepd.call('Jobs', 'Get', id=theirs.id)


def test_numbers_that_name_nothing(project, skepd):
    """Of an enum of a newer client, or of an enemy."""
    project.deploy({'app': hello()})
    for state in 6, 31, 32, 40, 1000, -1, 2**31 - 1, -2**31:
        refused(skepd, 'Jobs', 'List', 'states[0]', states=[state])
    for kind in 99, -1, 2**31 - 1:
        refused(skepd, 'Jobs', 'Pause', 'kind', kind=kind)
        refused(skepd, 'Jobs', 'Resume', 'kind', kind=kind)
        refused(skepd, 'Jobs', 'RetryFailed', 'kind', project=project.name, kind=kind)
        refused(skepd, 'Schedules', 'Create', 'action', project=project.name, name='x', stack='web', action=kind, cron='@daily')
        refused(skepd, 'Schedules', 'Create', 'missed', project=project.name, name='x', stack='web', action=1, cron='@daily', missed=kind)
    refused(skepd, 'Jobs', 'List', 'states', states=[1] * 9)
    for limit in -1, 501:
        refused(skepd, 'Jobs', 'Stats', 'limit', limit=limit)
    refused(skepd, 'Jobs', 'Watch', 'after_sequence', id=NOBODY, after_sequence=-1)
    assert skepd.call('Jobs', 'List', project=project.name).jobs
