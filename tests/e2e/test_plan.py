"""Stacks.Plan says what a deploy then does; Stacks.Diff says what somebody did by hand."""

import json
import os
import subprocess

import pytest
from daemon import compose, hello, name_of
from native_client import RpcError
from servers import binary, eventually


def planned(project, services, stack='web', top=None, show_values=False, **fields):
    text = services if isinstance(services, bytes) else compose(services, **(top or {}))
    deploy = {'project': project.name, 'name': stack, 'compose': [{'name': 'compose.yml', 'text': text}], **fields}
    return project.skepd.call('Stacks', 'Plan', deploy=deploy, show_values=show_values)


def verdicts(plan):
    """{(kind, key): verdict}"""
    return {(name_of('ObjectKind', a.kind).lower(), a.key): name_of('PlanVerdict', a.verdict).lower() for a in plan.actions}


def action(plan, key):
    return next(a for a in plan.actions if a.key == key)


def changes(item):
    return {c.path: (c.before, c.after) for c in item.changes}


def versions(engine, project):
    return {name: s['Version']['Index'] for name, s in engine.services(project.namespace()).items()}


def specs(engine, project):
    return {name: s['Spec'] for name, s in engine.services(project.namespace()).items()}


def diff(project, stack='web', **fields):
    return project.skepd.call('Stacks', 'Diff', stack=project.ref(stack), **fields)


def drifts(found):
    return {d.key: name_of('DriftKind', d.drift).lower() for d in found.drifts}


def update_by_hand(engine, project, service, change):
    """As `docker service update` does: the stored spec with something else in it."""
    s = engine.services(project.namespace())[service]
    change(s['Spec'])
    engine.call('POST', f'/services/{s["ID"]}/update?version={s["Version"]["Index"]}', s['Spec'])


def set_env(*env):
    def change(spec):
        spec['TaskTemplate']['ContainerSpec']['Env'] = list(env)
    return change


TOP = {'configs': {'site': {'content': 'hello'}}, 'secrets': {'key': {'environment': 'KEY'}}}
APP = {'environment': {'MODE': 'a', 'PASSWORD': 'secret-1'}, 'configs': ['site'], 'secrets': ['key']}
VARIABLES = {'variables': {'KEY': 'secret-2'}}


def test_plan_before_and_after(project, engine):
    services = {'app': hello(**APP), 'other': hello(networks=['inner'])}
    top = {**TOP, 'networks': {'inner': {}}}
    first = planned(project, services, top=top, **VARIABLES)
    assert verdicts(first) == {
        ('network', 'bridge'): 'keep', ('network', 'inner'): 'create', ('secret', 'key'): 'create',
        ('config', 'site'): 'create', ('service', 'app'): 'create', ('service', 'other'): 'create'}
    assert (first.to_create, first.unchanged, first.release, first.namespace) == (5, 1, 0, project.namespace())
    assert 'secret-' not in str(first), 'values are not shown'
    assert changes(action(first, 'app'))['TaskTemplate.ContainerSpec.Env.MODE'] == ('', '(sensitive)')
    assert changes(action(first, 'site'))['Data'] == ('', '(sensitive)')
    assert not project.skepd.call('Stacks', 'List', project=project.name).stacks, 'a plan stores nothing'
    assert not engine.objects(project.namespace()), 'and writes nothing'
    again = planned(project, services, top=top, **VARIABLES)
    assert again.fingerprint == first.fingerprint

    project.deploy(services, top=top, plan_fingerprint=first.fingerprint, **VARIABLES)
    after = planned(project, services, top=top, **VARIABLES)
    assert set(verdicts(after).values()) == {'keep'} and after.unchanged == 6 and after.release == 1
    before = versions(engine, project)
    project.deploy(services, top=top, **VARIABLES)
    assert versions(engine, project) == before, 'what has not changed is not touched'
    assert not diff(project).drifts


def test_plan_of_changes(project):
    services = {'app': hello(**APP), 'other': hello(), 'mode': hello()}
    project.deploy(services, top=TOP, **VARIABLES)
    services['app']['environment'] = {'MODE': 'b', 'PASSWORD': 'secret-1', 'MORE': 'x'}
    services['mode']['deploy']['mode'] = 'global'
    del services['other']
    plan = planned(project, services, top={**TOP, 'configs': {'site': {'content': 'bye'}}}, show_values=True, **VARIABLES)
    found = verdicts(plan)
    old = next(key for kind, key in found if kind == 'config' and key != 'site')
    assert found == {
        ('network', 'bridge'): 'keep', ('secret', 'key'): 'keep', ('config', 'site'): 'create', ('config', old): 'keep',
        ('service', 'app'): 'update', ('service', 'mode'): 'replace', ('service', f'{project.namespace()}_other'): 'remove'}
    env = {k.rsplit('.', 1)[1]: v for k, v in changes(action(plan, 'app')).items() if '.Env.' in k}
    assert env == {'MODE': ('"a"', '"b"'), 'MORE': ('', '"x"')}
    assert 'mode' in action(plan, 'mode').reason and 'a roll-back could want it' in action(plan, old).reason
    assert 'not in the text' in action(plan, f'{project.namespace()}_other').reason
    project.deploy(services, top={**TOP, 'configs': {'site': {'content': 'bye'}}}, plan_fingerprint=plan.fingerprint, **VARIABLES)


def test_plan_refuses_what_a_deploy_would(project, engine):
    made = engine.call('POST', '/networks/create', {'Name': f'{project.namespace()}_mine', 'Driver': 'overlay'})
    try:
        services = {'app': hello(networks=['mine', 'theirs'])}
        top = {'networks': {'mine': {}, 'theirs': {'external': True, 'name': 'no-such-network'}}}
        plan = planned(project, services, top=top)
        assert plan.refused == 2 and verdicts(plan)['network', 'mine'] == 'refuse'
        job = project.deploy(services, top=top, expect='FAILED').job
        assert any(action(plan, key).reason in job.error for key in ('mine', 'theirs'))
    finally:
        engine.call('DELETE', f'/networks/{made["Id"]}')


def test_texts_are_checked(project):
    with pytest.raises(RpcError) as e:
        planned(project, b'services: {app: {image: 7, tty: maybe}}')
    assert e.value.code == 'INVALID_ARGUMENT' and 'error' in str(e.value)
    with pytest.raises(RpcError) as e:
        planned(project, {'app': hello()}, namespace='no/name')
    assert e.value.code == 'INVALID_ARGUMENT'


def test_deploy_is_bound_to_its_plan(project, engine):
    project.deploy({'app': hello(), 'other': hello()})
    wanted = {'app': hello(environment={'A': '1'}), 'other': hello()}
    plan = planned(project, wanted)
    update_by_hand(engine, project, 'other', set_env('X=1'))
    before = specs(engine, project)
    job = project.deploy(wanted, plan_fingerprint=plan.fingerprint, expect='FAILED').job
    assert job.error_code == 'ABORTED' and job.attempt == 1, job.error
    assert 'the world moved since the plan' in job.error and f'service {project.namespace()}_other was changed' in job.error
    assert f'{project.namespace()}_app' not in job.error
    assert specs(engine, project) == before, 'nothing was written'
    assert project.releases()[0] == (2, 'FAILED')

    job = project.deploy({'app': hello(environment={'A': '2'}), 'other': hello()},
                         plan_fingerprint=planned(project, wanted).fingerprint, expect='FAILED').job
    assert job.error_code == 'ABORTED' and 'not what was planned: another text, file, variable or image for service app;' in job.error
    job = project.deploy(wanted, plan_fingerprint='nonsense', expect='FAILED').job
    assert job.error_code == 'INVALID_ARGUMENT'
    project.deploy(wanted, plan_fingerprint=planned(project, wanted).fingerprint)


def test_diff_tells_each_kind_of_drift(project, engine):
    namespace = project.namespace()
    project.deploy({'app': hello(**APP), 'gone': hello(), 'same': hello()}, top=TOP, **VARIABLES)
    update_by_hand(engine, project, 'app', set_env('MODE=b', 'PASSWORD=secret-1', 'NEW=1'))
    engine.call('DELETE', f'/services/{namespace}_gone')
    spec = engine.services(namespace)['same']['Spec']
    stranger = {**spec, 'Name': f'{namespace}_stranger'}
    engine.call('POST', '/services/create', stranger)
    found = diff(project)
    assert drifts(found) == {'app': 'changed', 'gone': 'missing', f'{namespace}_stranger': 'foreign'}
    app = next(d for d in found.drifts if d.key == 'app')
    assert app.message == 'service app was changed by hand: Env.MODE, Env.NEW'
    assert changes(app)['TaskTemplate.ContainerSpec.Env.MODE'] == ('(sensitive)', '(sensitive)')
    shown = next(d for d in diff(project, show_values=True).drifts if d.key == 'app')
    assert changes(shown)['TaskTemplate.ContainerSpec.Env.MODE'] == ('"a"', '"b"'), 'as released, then as it is now'
    project.deploy({'app': hello(**APP), 'gone': hello(), 'same': hello()}, top=TOP, **VARIABLES)
    assert not diff(project).drifts


def test_what_jobs_do_is_no_drift(project):
    project.deploy({'app': hello(deploy={'replicas': 1}), 'free': hello()})
    project.scale({'app': 2, 'free': 2})
    project.restart()
    assert not diff(project).drifts
    plan = planned(project, {'app': hello(deploy={'replicas': 1}), 'free': hello()})
    assert verdicts(plan)['service', 'free'] == 'keep', 'the scale survives where the text names none'
    assert changes(action(plan, 'app')) == {'Mode.Replicated.Replicas': ('2', '1')}


def test_values_are_for_deployers(project, skepd):
    project.deploy({'app': hello()})
    token = skepd.call('Auth', 'CreateToken', project=project.name, name='v', role=1).secret
    ref = project.ref()
    skepd.call('Stacks', 'Diff', token=token, stack=ref)
    with pytest.raises(RpcError) as e:
        skepd.call('Stacks', 'Diff', token=token, stack=ref, show_values=True)
    assert e.value.code == 'PERMISSION_DENIED'
    with pytest.raises(RpcError) as e:
        skepd.call('Stacks', 'Plan', token=token, deploy={**{'project': project.name, 'name': 'web'},
                   'compose': [{'name': 'c', 'text': b'services: {a: {image: a}}'}]})
    assert e.value.code == 'PERMISSION_DENIED'


class Cli:
    def __init__(self, skepd, project, folder):
        self.env = {'PATH': os.environ['PATH'], 'HOME': str(folder), 'SKEP_HOST': f'unix://{skepd.socket}',
                    'SKEP_PROJECT': project.name}
        self.folder = folder

    def __call__(self, *words, expect=0):
        done = subprocess.run([binary('skep'), 'stack', *words], cwd=self.folder, env=self.env, text=True,
                              capture_output=True, check=False, timeout=120)
        assert done.returncode == expect, f'exit {done.returncode}\n{done.stdout}\n{done.stderr}'
        return done.stdout

    def write(self, services):
        (self.folder / 'compose.yaml').write_bytes(compose(services))


def test_command_line(project, skepd, engine, tmp_path):
    cli = Cli(skepd, project, tmp_path)
    cli.write({'app': hello(environment={'A': '1'})})
    text = cli('plan', '--out', 'a.plan', 'web')
    assert '  + service  app' in text and '+ TaskTemplate.ContainerSpec.Env.A: (sensitive)' in text and '\x1b' not in text
    assert text.endswith('Plan: 1 to create, 0 to update, 0 to replace, 0 to remove, 1 unchanged\n')
    cli('plan', '--detailed-exitcode', 'web', expect=2)
    cli('deploy', '--plan', 'a.plan', 'web')
    assert 'No changes' in cli('plan', '--detailed-exitcode', 'web')
    assert 'No drift' in cli('diff', '--detailed-exitcode', 'web')
    cli.write({'app': hello(environment={'A': '2'})})
    assert 'Env.A: "1" -> "2"' in cli('plan', '--show-values', 'web')
    plan = json.loads(cli('plan', '-o', 'json', 'web'))
    assert plan['toUpdate'] == 1 and plan['actions'][-1]['verdict'] == 'PLAN_VERDICT_UPDATE'
    cli('deploy', '--plan', 'a.plan', 'web', expect=1)
    cli('deploy', '--plan', 'no-such-file', 'web', expect=1)
    cli('deploy', '--plan', plan['fingerprint'], 'web')
    update_by_hand(engine, project, 'app', set_env('A=3'))
    assert '  ~ service  app' in cli('diff', '--detailed-exitcode', 'web', expect=2)
    assert cli('diff', '-o', 'name', 'web') == 'app\n'


# -- the observer ---------------------------------------------------------------------------------------

def drift_events(project, postgres):
    """[(service, message)] of stack.drift"""
    rows = postgres.query(f"select service, message from events where kind = 'stack.drift' and stack_id = '{project.stack().id}'"
                          ' order by seq', project.skepd.database)
    return [tuple(row.split('|')) for row in rows.splitlines()]


def is_status(project, status):
    return lambda: project.status() == status


def test_hand_edit_is_drift_within_two_seconds(project, engine, postgres):
    project.deploy({'app': hello(**APP), 'other': hello()}, top=TOP, **VARIABLES)
    update_by_hand(engine, project, 'app', set_env('MODE=b', 'PASSWORD=secret-9'))
    eventually('the status says so', is_status(project, 'DRIFTED'), 2)
    stack = project.stack()
    assert stack.message == 'service app was changed by hand: Env.MODE, Env.PASSWORD'
    assert drift_events(project, postgres) == [('app', stack.message)]
    eventually('the service too', lambda: [s.message for s in project.stack().services] == ['changed by hand', ''])
    update_by_hand(engine, project, 'app', set_env('MODE=a', 'PASSWORD=secret-1'))
    eventually('put right by the same hand', lambda: project.status() != 'DRIFTED')
    eventually('its new task runs', is_status(project, 'RUNNING'))


def test_stranger_is_drift(project, engine):
    namespace = project.namespace()
    project.deploy({'app': hello()})
    spec = engine.services(namespace)['app']['Spec']
    made = engine.call('POST', '/services/create', {**spec, 'Name': f'{namespace}_stranger'})
    eventually('the status says so', is_status(project, 'DRIFTED'))
    assert f'service {namespace}_stranger' in project.stack().message
    engine.call('DELETE', f'/services/{made["ID"]}')
    eventually('gone again', is_status(project, 'RUNNING'))


def test_jobs_raise_no_drift(project, postgres):
    project.deploy({'app': hello(deploy={'replicas': 1}), 'free': hello()})
    project.scale({'app': 2, 'free': 2})
    project.restart()
    project.deploy({'app': hello(environment={'A': '1'}), 'free': hello()})
    project.deploy({'app': hello(version=9), 'free': hello()}, expect='FAILED')
    eventually('at rest', is_status(project, 'RUNNING'))
    assert not drift_events(project, postgres)


def repairs(project, postgres):
    """States of the jobs that the observer made."""
    return postgres.query(f"select state from deployment_jobs where created_by = 'observer' and project_id = '{project.id}'",
                          project.skepd.database).splitlines()


def test_repair_and_its_bound(project, skepd, engine, postgres):
    project.deploy({'app': hello(environment={'A': '1'}), 'other': hello()})
    other = versions(engine, project)['other']
    made = skepd.call('Projects', 'Update', project=project.name, drift_policy=2)
    assert made.drift_policy == 2 and skepd.call('Projects', 'Get', project=project.name).drift_policy == 2

    def env():
        return engine.services(project.namespace())['app']['Spec']['TaskTemplate']['ContainerSpec'].get('Env')

    for i in range(5):
        update_by_hand(engine, project, 'app', set_env(f'A=hand-{i}'))
        eventually('repaired', lambda: env() == ['A=1'] and project.status() == 'RUNNING')
        postgres.query("update deployment_jobs set created_at = created_at - interval '3 minutes'", skepd.database)
    assert repairs(project, postgres) == ['succeeded'] * 5
    audit = postgres.query("select actor, detail->'params'->>'drift' from audit_log where actor = 'observer'"
                           f" and project_id = '{project.id}'", skepd.database)
    assert audit.splitlines() == ['observer|service app was changed by hand: Env.A'] * 5
    assert versions(engine, project)['other'] == other, 'what has not drifted is not touched'
    update_by_hand(engine, project, 'app', set_env('A=once-more'))
    eventually('given up', lambda: 'repaired 5 times within an hour' in project.stack().message)
    assert project.status() == 'DEGRADED' and env() == ['A=once-more'] and len(repairs(project, postgres)) == 5
    skepd.call('Projects', 'Update', project=project.name, drift_policy=1)
    eventually('only reported', is_status(project, 'DRIFTED'))


def test_removed_service_is_made_again(project, skepd, engine):
    project.deploy({'app': hello(), 'other': hello()})
    skepd.call('Projects', 'Update', project=project.name, drift_policy=2)
    engine.call('DELETE', f'/services/{project.namespace()}_app')
    eventually('made again', lambda: 'app' in engine.services(project.namespace()) and project.status() == 'RUNNING')
    assert not diff(project).drifts
