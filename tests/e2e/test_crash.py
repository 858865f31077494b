"""skepd killed with -9 at each step of a job and started again: the job ends once, in the right state, and no object is
left over. One job is killed at every one of its steps in turn: each time another daemon's work is what the next one finds."""

import pytest
from daemon import hello, number_of, slow, wait_for_answer
from servers import eventually

STEPS = ['announce', 'store', 'assign_networks', 'networks', 'objects', 'services', 'converge', 'prune', 'activate']
REMOVE_STEPS = ['announce', 'objects', 'forget']
TOP = {'secrets': {'s': {'file': 's.txt'}}, 'configs': {'c': {'content': 'text'}}, 'networks': {'back': {}}}
EVERY_WRITE = {'networks': 1, 'secrets': 1, 'configs': 1, 'services': 2}


@pytest.fixture(scope='module')
def skepd(new_daemon, between):
    made = new_daemon(**between.options(), keep_releases=1)  # so that there is something to prune
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def runs(skepd, between):
    """Alive again, whatever the test before did."""
    if not skepd.is_alive():
        skepd.start()
    yield
    between.reset()
    if not skepd.is_alive():
        skepd.start()


def services(**app):
    """A service with everything, and one that is on a network of the stack but has no tasks to wait for."""
    return {'app': hello(secrets=['s'], configs=['c'], **app), 'idle': hello(networks=['back'], deploy={'replicas': 0})}


def files(secret=b'word'):
    return [{'path': 's.txt', 'content': secret}]


class Killed:
    """Kills the daemon at one hold after the other, while `submit`'s job runs."""

    def __init__(self, skepd, between, submit, holds):
        place = holds[0]()
        self.job = submit()
        for upcoming in [*holds[1:], None]:
            place.wait()
            skepd.kill9()
            between.reset()
            place = upcoming() if upcoming else None
            skepd.start(ready=False)
        self.ended = skepd.wait(self.job.id)
        self.kills = len(holds)


def assert_ended_once(killed, skepd, postgres, state):
    assert killed.ended.state == state, killed.ended.job.error
    assert [e.kind for e in killed.ended.events].count('job.ended') == 1
    assert [e.sequence for e in killed.ended.events] == list(range(1, killed.ended.job.last_sequence + 1))
    row = postgres.query(f"select state, owner <> '' from deployment_jobs where id = '{killed.job.id}'", skepd.database)
    assert row.startswith(state.lower())
    assert postgres.query("select count(*) from deployment_jobs where state in ('pending', 'running')", skepd.database) == '0'


def holds_at_steps(between, steps, after):
    return [lambda step=step: between.hold_step(step, after=after) for step in steps]


@pytest.mark.parametrize('after', [False, True], ids=['before', 'after'])
def test_deploy_killed_at_each_step(skepd, project, engine, postgres, between, after):
    """before: the step is done and not recorded. after: it is recorded, and the next one has not begun."""
    port = engine.free_port()
    killed = Killed(skepd, between, lambda: project.submit(services(port=port), top=TOP, files=files()).job,
                    holds_at_steps(between, STEPS, after))
    assert_ended_once(killed, skepd, postgres, 'SUCCEEDED')
    assert killed.ended.job.attempt == 1
    assert engine.counts(project.namespace()) == EVERY_WRITE
    assert project.status() == 'RUNNING' and project.releases() == [(1, 'ACTIVE')]
    wait_for_answer(engine, port, '/file/run/secrets/s', 'word')


def test_deploy_killed_at_each_write(skepd, project, engine, postgres, between):
    """The Engine has done it and nobody heard; or of two that are sent at once it has got one."""
    holds = [lambda: between.hold_engine('POST', '/networks/create'),
             lambda: between.hold_engine('POST', '/configs/create', after=False),
             lambda: between.hold_engine('POST', '/configs/create'),
             lambda: between.hold_engine('POST', '/services/create', after=False, nth=2),
             lambda: between.hold_engine('POST', '/services/create')]
    killed = Killed(skepd, between, lambda: project.submit(services(), top=TOP, files=files()).job, holds)
    assert_ended_once(killed, skepd, postgres, 'SUCCEEDED')
    assert engine.counts(project.namespace()) == EVERY_WRITE
    assert project.status() == 'RUNNING'


@pytest.mark.parametrize('after', [False, True], ids=['before', 'after'])
def test_update_killed_at_each_step(skepd, project, engine, postgres, between, after):
    port = engine.free_port()
    project.deploy({**services(port=port), 'old': hello(deploy={'replicas': 0})}, top=TOP, files=files())
    changed = {**services(port=port, environment={'NEW': '1'}), 'new': hello(deploy={'replicas': 0})}
    killed = Killed(skepd, between, lambda: project.submit(changed, top=TOP, files=files(b'other')).job,
                    holds_at_steps(between, STEPS, after))
    assert_ended_once(killed, skepd, postgres, 'SUCCEEDED')
    assert sorted(engine.services(project.namespace())) == ['app', 'idle', 'new']
    assert engine.counts(project.namespace()) == {**EVERY_WRITE, 'services': 3}
    assert project.releases() == [(2, 'ACTIVE'), (1, 'SUPERSEDED')]
    wait_for_answer(engine, port, '/file/run/secrets/s', 'other')
    assert engine.http(port, '/env/NEW') == (200, '1')


def test_update_killed_at_each_write(skepd, project, engine, postgres, between):
    project.deploy({**services(), 'old': hello(deploy={'replicas': 0})}, top=TOP, files=files())
    changed = {**services(environment={'NEW': '1'}), 'new': hello(deploy={'replicas': 0})}
    holds = [lambda: between.hold_engine('POST', '/secrets/create'),
             lambda: between.hold_engine('POST', '/update?version=', after=False),
             lambda: between.hold_engine('POST', '/update?version='),
             lambda: between.hold_engine('DELETE', '/services/'),
             lambda: between.hold_engine('DELETE', '/secrets/')]
    killed = Killed(skepd, between, lambda: project.submit(changed, top=TOP, files=files(b'other')).job, holds)
    assert_ended_once(killed, skepd, postgres, 'SUCCEEDED')
    assert engine.counts(project.namespace()) == {**EVERY_WRITE, 'services': 3}
    assert engine.services(project.namespace())['app']['Spec']['TaskTemplate']['ContainerSpec']['Env'] == ['NEW=1']


def test_undo_of_a_first_deploy_killed(skepd, project, engine, postgres, between):
    """What was begun is removed, by whoever is alive to do it."""
    broken = {**services(), 'app': hello(image='localhost/nowhere:1', secrets=['s'], configs=['c'])}
    holds = [lambda: between.hold_step('converge', undoing=True),
             lambda: between.hold_step('converge', after=True, undoing=True),
             lambda: between.hold_engine('DELETE', '/services/', after=False, nth=2),
             lambda: between.hold_engine('DELETE', '/networks/', after=False),
             lambda: between.hold_engine('DELETE', '/networks/'),
             lambda: between.hold_statement('release_fail'),
             lambda: between.hold_end('failed')]
    killed = Killed(skepd, between, lambda: project.submit(broken, top=TOP, files=files()).job, holds)
    assert_ended_once(killed, skepd, postgres, 'FAILED')
    assert 'No such image: localhost/nowhere:1' in killed.ended.job.error
    assert engine.objects(project.namespace()) == {}
    assert project.status() == 'FAILED' and project.releases() == [(1, 'FAILED')]


def test_undo_of_an_update_killed(skepd, project, engine, postgres, between):
    port = engine.free_port()
    project.deploy(services(port=port), top=TOP, files=files())
    before = engine.objects(project.namespace())
    broken = {**services(), 'app': hello(port, image='localhost/nowhere:1', secrets=['s'], configs=['c']),
              'new': hello(deploy={'replicas': 0})}
    holds = [lambda: between.hold_step('converge', undoing=True),
             lambda: between.hold_engine('POST', '/update?version='),
             lambda: between.hold_engine('DELETE', '/services/'),
             lambda: between.hold_end('failed')]
    killed = Killed(skepd, between, lambda: project.submit(broken, top=TOP, files=files(b'other')).job, holds)
    assert_ended_once(killed, skepd, postgres, 'FAILED')
    assert 'No such image' in killed.ended.job.error
    assert engine.objects(project.namespace()) == before
    assert project.status() == 'RUNNING' and project.releases() == [(2, 'FAILED'), (1, 'ACTIVE')]
    wait_for_answer(engine, port, '/file/run/secrets/s', 'word')


def test_cancel_killed_on_its_way_back(skepd, project, engine, postgres, between):
    def submit():
        job = project.submit({**services(), 'slow': slow()}, top=TOP, files=files()).job
        skepd.wait_step(job.id, 'converge')
        skepd.call('Jobs', 'Cancel', id=job.id)
        return job
    holds = [lambda: between.hold_step('converge', after=True, undoing=True),
             lambda: between.hold_engine('DELETE', '/services/', nth=2),
             lambda: between.hold_end('cancelled')]
    killed = Killed(skepd, between, submit, holds)
    assert_ended_once(killed, skepd, postgres, 'CANCELLED')
    assert engine.objects(project.namespace()) == {} and project.releases() == [(1, 'FAILED')]


def test_cancelled_while_nobody_works_on_it(skepd, project, engine, postgres, between):
    """The daemon dies, the caller cancels on the next one before that has taken the job over."""
    hold = between.hold_engine('POST', '/services/create')
    job = project.submit(services(), top=TOP, files=files()).job
    hold.wait()
    skepd.kill9()
    between.reset()
    skepd.start(job_lease='3s', ready=False)
    skepd.call('Jobs', 'Cancel', id=job.id)
    project.expect(job, 'CANCELLED')
    skepd.options['job_lease'] = '1s'
    assert engine.objects(project.namespace()) == {}


@pytest.mark.parametrize('after', [False, True], ids=['before', 'after'])
def test_remove_killed_at_each_step(skepd, project, engine, postgres, between, after):
    project.deploy(services(), top=TOP, files=files())
    killed = Killed(skepd, between, lambda: skepd.call('Stacks', 'Remove', stack=project.ref()),
                    holds_at_steps(between, REMOVE_STEPS, after))
    assert_ended_once(killed, skepd, postgres, 'SUCCEEDED')
    assert engine.objects(project.namespace()) == {}
    assert not skepd.call('Stacks', 'List', project=project.name).stacks
    project.deploy(services(), top=TOP, files=files())


def test_remove_killed_at_each_write(skepd, project, engine, postgres, between):
    project.deploy(services(), top=TOP, files=files())
    holds = [lambda: between.hold_engine('DELETE', '/services/', after=False, nth=2),
             lambda: between.hold_engine('DELETE', '/services/'),
             lambda: between.hold_engine('DELETE', '/networks/', after=False),
             lambda: between.hold_engine('DELETE', '/networks/')]
    killed = Killed(skepd, between, lambda: skepd.call('Stacks', 'Remove', stack=project.ref()), holds)
    assert_ended_once(killed, skepd, postgres, 'SUCCEEDED')
    assert engine.objects(project.namespace()) == {}


@pytest.mark.parametrize('method, fields', [('Scale', {'replicas': {'app': 2}}), ('Restart', {'services': ['app']})])
def test_scale_and_restart_killed(skepd, project, engine, postgres, between, method, fields):
    project.deploy(services(), top=TOP, files=files())
    forced = engine.services(project.namespace())['app']['Spec']['TaskTemplate'].get('ForceUpdate', 0)
    holds = [lambda: between.hold_engine('POST', '/update?version='), *holds_at_steps(between, ['services', 'converge'], True)]
    killed = Killed(skepd, between, lambda: skepd.call('Stacks', method, stack=project.ref(), **fields), holds)
    assert_ended_once(killed, skepd, postgres, 'SUCCEEDED')
    spec = engine.services(project.namespace())['app']['Spec']
    assert spec['TaskTemplate'].get('ForceUpdate', 0) == forced + (method == 'Restart'), 'not twice'
    wanted = 2 if method == 'Scale' else 1
    eventually('the tasks run', lambda: len(engine.running(project.namespace())['app']) == wanted)


def test_submit_killed_before_the_answer(skepd, project, engine, postgres, between):
    """The caller sends it again with the same request id: one release, one job."""
    hold = between.hold_statement('submit_put_job', after=True)
    project.deploy({'app': hello()})
    with skepd.client() as client:
        client.stream('Stacks', 'Scale', stack=project.ref(), replicas={'app': 2}, request_id='once')
        hold.wait()
        skepd.kill9()
    between.reset()
    skepd.start()
    job = skepd.call('Stacks', 'Scale', stack=project.ref(), replicas={'app': 2}, request_id='once')
    project.expect(job, 'SUCCEEDED')
    kinds = [j.kind for j in skepd.call('Jobs', 'List', project=project.name).jobs]
    assert kinds.count(number_of('JOB_KIND_SCALE', 'jobs')) == 1
