"""Status follows the Engine within two seconds, in Get, List and Watch."""

import threading

import pytest
from daemon import hello, name_of, number_of
from servers import eventually

SOON = 2


def service(stack, name='app'):
    return next(s for s in stack.services if s.name == name)


class Watching:
    """Stacks.Watch in a thread: the statuses that came, in order."""

    def __init__(self, skepd, ref):
        self.seen, self.ended = [], False
        self.client = skepd.client(timeout=60)
        stream = self.client.stream('Stacks', 'Watch', stack=ref)
        self.seen.append(next(stream))
        self.thread = threading.Thread(target=self.read, args=(stream,))
        self.thread.start()

    def read(self, stream):
        try:
            for stack in stream:
                self.seen.append(stack)
            self.ended = True
        except OSError:
            pass

    def statuses(self):
        return [name_of('StackStatus', s.status) for s in self.seen]

    def close(self):
        self.client.socket.shutdown(2)
        self.thread.join()
        self.client.close()


@pytest.fixture
def watching(skepd, project):
    opened = []

    def watch(stack='web'):
        opened.append(Watching(skepd, project.ref(stack)))
        return opened[-1]
    yield watch
    for w in opened:
        w.close()


def listed(project):
    found = project.skepd.call('Stacks', 'List', project=project.name).stacks
    return [(s.name, name_of('StackStatus', s.status), s.services_running, s.services_total) for s in found]


def test_service_removed_by_hand_is_drift(project, engine, watching):
    project.deploy({'app': hello(), 'other': hello()})
    watch = watching()
    assert watch.statuses() == ['RUNNING']
    engine.call('DELETE', f'/services/{engine.services(project.namespace())["app"]["ID"]}')
    eventually('Watch says so', lambda: watch.statuses()[-1] == 'DRIFTED', SOON)
    stack = project.stack()
    assert project.status() == 'DRIFTED' and 'service app' in stack.message
    assert service(stack).state == number_of('SERVICE_STATE_MISSING')
    assert service(stack, 'other').state == number_of('SERVICE_STATE_RUNNING')
    assert listed(project) == [('web', 'DRIFTED', 1, 2)]
    project.deploy({'app': hello(), 'other': hello()})
    eventually('repaired', lambda: watch.statuses()[-1] == 'RUNNING', SOON)


def test_killed_task_degrades_and_recovers(project, engine, watching):
    slow_restart = {'replicas': 2, 'restart_policy': {'delay': '1500ms'}}
    project.deploy({'app': hello(deploy=slow_restart)})
    watch = watching()
    victim = engine.running(project.namespace())['app'][0]
    engine.call('POST', f'/containers/{victim}/kill')
    eventually('degraded', lambda: 'DEGRADED' in watch.statuses(), SOON)
    degraded = next(s for s in watch.seen if name_of('StackStatus', s.status) == 'DEGRADED')
    assert (service(degraded).running, service(degraded).wanted) == (1, 2)
    eventually('running again', lambda: watch.statuses()[-1] == 'RUNNING')
    assert project.status() == 'RUNNING'


def test_scaled_by_hand_is_shown(project, engine, watching):
    project.deploy({'app': hello()})
    watch = watching()
    seen = engine.services(project.namespace())['app']
    seen['Spec']['Mode']['Replicated']['Replicas'] = 2
    engine.call('POST', f'/services/{seen["ID"]}/update?version={seen["Version"]["Index"]}', seen['Spec'])
    eventually('shown', lambda: service(watch.seen[-1]).wanted == 2, SOON)
    eventually('both run', lambda: service(watch.seen[-1]).running == 2)


def test_watch_follows_a_deploy_and_ends_with_the_removal(project, watching):
    project.deploy({'app': hello()})
    watch = watching()
    project.deploy({'app': hello(environment={'NEW': '1'})})
    assert watch.statuses()[:2] == ['RUNNING', 'DEPLOYING']
    eventually('running', lambda: watch.statuses()[-1] == 'RUNNING' and watch.seen[-1].release == 2, SOON)
    project.remove()
    eventually('the stream ends', lambda: watch.ended, SOON)
    assert 'REMOVING' in watch.statuses()


def test_tasks_are_shown(project, engine):
    project.deploy({'app': hello(deploy={'replicas': 2})})
    def running():
        return [t for t in service(project.stack()).tasks if t.state == 'running']

    shown = eventually('both tasks', lambda: len(running()) == 2 and running(), SOON)
    assert sorted(t.slot for t in shown) == [1, 2]
    assert all(t.node and t.image == 'localhost/hello:1' and t.desired_state == 'running' for t in shown)


def test_what_happened_while_no_daemon_ran(project, engine, skepd):
    project.deploy({'app': hello(), 'other': hello()})
    skepd.stop()
    engine.call('DELETE', f'/services/{engine.services(project.namespace())["app"]["ID"]}')
    skepd.start()
    eventually('seen after the start', lambda: project.status() == 'DRIFTED', SOON)


def test_status_after_a_restart(project, skepd):
    project.deploy({'app': hello()})
    before = project.stack()
    skepd.stop()
    skepd.start()
    after = project.stack()
    assert (after.status, after.release, after.services_running) == (before.status, 1, 1)
    eventually('tasks too', lambda: service(project.stack()).tasks, SOON)


def test_services_of_others_are_nobodys(project, engine, skepd):
    """A service that carries the namespace but was made by hand: not shown, not touched."""
    project.deploy({'app': hello()})
    name = f'{project.namespace()}_foreign'
    spec = {'Name': name, 'Labels': {'com.docker.stack.namespace': project.namespace()},
            'TaskTemplate': {'ContainerSpec': {'Image': 'localhost/hello:1'}, 'Networks': [{'Target': 'bridge'}]}}
    made = engine.call('POST', '/services/create', spec)['ID']
    try:
        project.deploy({'app': hello(environment={'NEW': '1'})})
        assert [s.name for s in project.stack().services] == ['app'] and project.status() == 'RUNNING'
        assert 'foreign' in engine.services(project.namespace())
    finally:
        engine.gone('services', made)
