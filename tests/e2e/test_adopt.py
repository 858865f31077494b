"""Stacks come from `docker stack deploy` and go back to it: adopt and export, with docker itself on the other side."""

import json
import os
import shutil
import subprocess

import pytest
from daemon import hello, name_of, one_shot
from native_client import RpcError
from servers import eventually
from test_cli import Cli

pytestmark = pytest.mark.skipif(not shutil.which('docker'), reason='the docker CLI is not installed')


def docker(engine, *words, stdin=None):
    done = subprocess.run(['docker', '-H', engine.host, *words], input=stdin, capture_output=True, text=True, check=False,
                          timeout=120, env={'PATH': os.environ['PATH'], 'HOME': engine.dir})
    assert done.returncode == 0, f'{words}: {done.stdout} {done.stderr}'
    return done.stdout


def picture(engine, namespace):
    """What adopting and exporting must leave alone: tasks, their containers, the jobs' iterations, what they are made from."""
    tasks = {t['ID']: t['Status'].get('ContainerStatus', {}).get('ContainerID') for t in engine.tasks(namespace)}
    services = engine.services(namespace)
    return tasks, {n: (s['ID'], s.get('JobStatus'), s['Spec']['TaskTemplate'], s['Spec']['Mode']) for n, s in services.items()}


@pytest.fixture
def shop(project, engine, tmp_path):
    """A stack that docker deployed: {file name: text}. Swept away in the end."""
    namespace = project.namespace('old')
    (tmp_path / 'app.conf').write_text('color: blue\n')
    (tmp_path / 'password').write_text('hunter2')
    services = {
        'web': hello(networks=['default', 'back'], environment={'PRICE': '5$$', 'MODE': 'on'}, deploy={'replicas': 2},
                     configs=[{'source': 'app', 'target': '/app.conf', 'mode': 256}], volumes=['data:/data']),
        'all': hello(deploy={'mode': 'global'}),
        'vault': hello(secrets=['password']),
        'once': one_shot('EXIT_AFTER=0'),
    }
    services['once']['deploy'] = {'mode': 'replicated-job', 'restart_policy': {'condition': 'none'}}
    text = json.dumps({'version': '3.13', 'services': services, 'networks': {'bridge': {'external': True}, 'back': {}},
                       'volumes': {'data': {}}, 'configs': {'app': {'file': './app.conf'}},
                       'secrets': {'password': {'file': './password'}}})
    (tmp_path / 'shop.yml').write_text(text)
    docker(engine, 'stack', 'deploy', '-c', str(tmp_path / 'shop.yml'), '--resolve-image', 'never', namespace)
    eventually('the stack of docker runs', lambda: {n: len(c) for n, c in engine.running(namespace).items()}
               == {'web': 2, 'all': 1, 'vault': 1, 'once': 0})
    eventually('the job is over', lambda: any(t['Status']['State'] == 'complete' for t in engine.tasks(namespace)))
    yield namespace
    engine.sweep(namespace)


def adopt(project, namespace, name='old', expect='SUCCEEDED', **fields):
    job = project.skepd.call('Stacks', 'Adopt', project=project.name, name=name, namespace=namespace, **fields)
    return project.expect(job, expect)


def test_adopt_touches_no_task(project, engine, shop, tmp_path):
    before = picture(engine, shop)
    ended = adopt(project, shop)
    assert picture(engine, shop) == before
    assert any('4 services adopted, no task touched' in e.message for e in ended.events)
    labels = {n: 'skep.stack' in s['Spec']['Labels'] for n, s in engine.services(shop).items()}
    assert labels == {'web': True, 'all': True, 'vault': True, 'once': False}, 'to label a job is to run it again'
    assert project.releases('old') == [(1, 'ACTIVE')]
    eventually('its status is told', lambda: project.status('old') == 'RUNNING')

    # The file that docker had, with Skep: only the service with a secret, which nobody can read back, is new.
    cli = Cli(project.skepd, project, tmp_path)
    plan = json.loads(cli.ok('stack', 'plan', '-c', 'shop.yml', 'old', '-o', 'json'))
    changes = {(a['kind'], a['key']): a['verdict'] for a in plan['actions'] if a['verdict'] != 'PLAN_VERDICT_KEEP'}
    assert {key for kind, key in changes if 'SERVICE' in kind} == {'vault'}, changes
    assert 'No drift' in cli.ok('stack', 'diff', 'old', '--detailed-exitcode')
    told = cli.ok('stack', 'deploy', '-c', 'shop.yml', 'old')
    after = picture(engine, shop)
    changed = {n for n in after[1] if after[1][n] != before[1][n]}
    assert changed == {'vault'}, told
    vault = before[1]['vault'][0]
    kept = {t['ID'] for t in engine.tasks(shop) if t['ServiceID'] != vault}
    old = {t for t in before[0] if t in kept}
    assert kept == old, 'no task of the others is new'
    project.remove('old')
    assert engine.objects(shop) == {}


def test_exported_text_makes_the_same_services(project, engine, shop, tmp_path):
    adopt(project, shop)
    cli = Cli(project.skepd, project, tmp_path)
    text = cli.ok('stack', 'export', 'old')
    assert 'hunter2' not in text and 'PRICE: 5$$' in text.replace('"', '')
    (tmp_path / 'exported.yml').write_text(text)
    before = picture(engine, shop)
    docker(engine, 'stack', 'deploy', '-c', str(tmp_path / 'exported.yml'), '--resolve-image', 'never', shop)
    tasks, services = picture(engine, shop)
    assert {n: s for n, s in services.items() if n != 'once'} == {n: s for n, s in before[1].items() if n != 'once'}
    assert services['once'][2:] == before[1]['once'][2:]  # docker runs a job again at each deploy
    assert set(before[0]) <= set(tasks)
    # Docker took our labels off: it is ours all the same.
    assert 'skep.stack' not in engine.services(shop)['web']['Spec']['Labels']
    project.scale({'web': 3}, 'old')
    project.remove('old')
    assert engine.objects(shop) == {}


def test_export_of_a_deployed_stack(project, engine, tmp_path):
    cli = Cli(project.skepd, project, tmp_path)
    cli.write('app.env', 'A=1\n')
    cli.write('compose.yml', json.dumps({
        'services': {'app': {**hello(depends_on={'db': {'condition': 'service_healthy'}}), 'env_file': './app.env'},
                     'db': hello(environment={'P': '${PASS:-x}'},
                                 healthcheck={'test': ['CMD', '/hello', '--health'], 'interval': '1s'})},
        'networks': {'bridge': {'external': True}}}))
    cli.ok('stack', 'deploy', '-c', 'compose.yml', 'web', env={'PASS': 'it\'s "$5"\nand more'})
    code, text, err = cli.run('stack', 'export', 'web')
    assert code == 0 and 'service app: depends_on.db: condition service_healthy cannot be said' in err
    before = picture(engine, project.namespace())
    (tmp_path / 'exported.yml').write_text(text)
    docker(engine, 'stack', 'deploy', '-c', str(tmp_path / 'exported.yml'), '--resolve-image', 'never', project.namespace())
    assert picture(engine, project.namespace()) == before

    assert json.loads(cli.ok('stack', 'export', 'web', '--source')) == json.loads((tmp_path / 'compose.yml').read_text())
    assert '--dir goes with --source' in cli.refused(2, 'stack', 'export', 'web', '--dir', 'out')
    written = cli.ok('stack', 'export', 'web', '--source', '--dir', 'out').split()
    assert written == ['out/compose.yml', 'out/app.env', 'out/.env']
    assert (tmp_path / 'out/app.env').read_text() == 'A=1\n' and (tmp_path / 'out/app.env').stat().st_mode & 0o77 == 0
    assert 'File exists' in cli.refused(1, 'stack', 'export', 'web', '--source', '--dir', 'out')

    # Docker took our labels off, so that the services are nobody's: they stay when the stack goes, and can be adopted.
    project.remove()
    adopt(project, project.namespace(), 'web')
    assert picture(engine, project.namespace()) == before
    cli.ok('stack', 'deploy', 'web', cwd=tmp_path / 'out')
    assert picture(engine, project.namespace()) == before, 'the same text, files and variables make the same'
    assert project.releases() == [(2, 'ACTIVE'), (1, 'SUPERSEDED')]


def test_what_is_refused(project, engine, shop, skepd):
    def refused(code, words, name='old', **fields):
        with pytest.raises(RpcError) as caught:
            skepd.call('Stacks', 'Adopt', project=project.name, name=name, **fields)
        assert (caught.value.code, words in caught.value.message) == (code, True), caught.value

    ended = adopt(project, 'nothing-there', name='ghost', expect='FAILED')
    assert 'no service in the Engine belongs to a stack "nothing-there"' in ended.job.error
    assert not skepd.call('Stacks', 'List', project=project.name).stacks, 'nothing of it is left'
    foreign = engine.services(shop)['web']
    spec = {**foreign['Spec'], 'Labels': {**foreign['Spec']['Labels'], 'skep.stack': 'another'}}
    engine.call('POST', f'/services/{foreign["ID"]}/update?version={foreign["Version"]["Index"]}', spec)
    ended = adopt(project, shop, expect='FAILED')
    assert 'deployed by another Skep' in ended.job.error
    foreign = engine.services(shop)['web']
    engine.call('POST', f'/services/{foreign["ID"]}/update?version={foreign["Version"]["Index"]}',
                {**spec, 'Labels': {k: v for k, v in spec['Labels'].items() if k != 'skep.stack'}})
    adopt(project, shop)
    refused('ALREADY_EXISTS', 'exists already in this project', namespace=shop)
    refused('ALREADY_EXISTS', 'is taken', name='other', namespace=shop)
    token = skepd.call('Auth', 'CreateToken', project=project.name, name='t', role=3).secret
    with pytest.raises(RpcError) as caught:
        skepd.call('Stacks', 'Adopt', token=token, project=project.name, name='other')
    assert caught.value.code == 'PERMISSION_DENIED'
    assert name_of('StackStatus', project.stack('old').status) == 'RUNNING'
    project.remove('old')
