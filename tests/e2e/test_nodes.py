"""Nodes that go away in the middle of an update, and come back: three real Engines."""

import itertools

import pytest
from conftest import running
from daemon import Project, Skepd, hello, name_of
from servers import Swarm, eventually

numbers = itertools.count(1)


@pytest.fixture(scope='module')
def swarm():
    why = Swarm.why_not()
    if why:
        pytest.skip(f'three Engines cannot be had here: {why}')
    for made in running(Swarm()):
        for node in made.nodes:
            for version in (1, 2):
                node.load_image('hello', f'localhost/hello:{version}', ENTRYPOINT='["/hello"]', ENV=f'VERSION={version}')
        yield made


@pytest.fixture(scope='module')
def skepd(swarm, postgres, redis):
    postgres.query('create database nodes')
    made = Skepd(postgres=postgres.conninfo('nodes'), redis=redis.url, docker=swarm.manager.host,
                 stall_limit='20s')
    try:
        made.start()
        yield made
    finally:
        made.end_and_remove()


@pytest.fixture
def project(skepd, swarm):
    made = Project(skepd, swarm.manager, f'n{next(numbers)}')
    try:
        yield made
        made.finish()
    finally:
        made.sweep()


@pytest.fixture
def nodes(swarm):
    """All of them there, before and after."""
    yield swarm.nodes
    for node in swarm.nodes:
        if not node.is_alive():
            node.start()
        swarm.make(node, 'active')
    eventually('all nodes are back', lambda: all(swarm.state(n) == 'ready' for n in swarm.nodes), 60)


def one_at_a_time(version):
    """An update of it takes a while: each task is stopped, then started, and looked at for a second."""
    return hello(version=version, deploy={'replicas': 3, 'update_config': {'monitor': '1s', 'parallelism': 1},
                                          'placement': {'max_replicas_per_node': 2}})


def begin_update(project, swarm, services):
    """Deploys, and comes back in the middle: the job, when a first task of the new version runs."""
    job = project.submit(services).job
    namespace = project.namespace()

    def new_ones():
        tasks = swarm.manager.tasks(namespace)
        return [t for t in tasks if t['Status']['State'] == 'running' and t['Spec']['ContainerSpec']['Image'].endswith(':2')]
    eventually('the update has begun', new_ones)
    return job


def alive(swarm, namespace, nodes, service='app'):
    """The versions of its running tasks on these nodes."""
    number, where = swarm.manager.services(namespace)[service]['ID'], [swarm.seen(n)['ID'] for n in nodes]
    tasks = swarm.manager.tasks(namespace, **{'desired-state': ['running']})
    return sorted(t['Spec']['ContainerSpec']['Image'][-2:] for t in tasks
                  if t['ServiceID'] == number and t['Status']['State'] == 'running' and t['NodeID'] in where)


def test_global_service_is_on_every_node(project, swarm, nodes):
    project.deploy({'all': hello(deploy={'mode': 'global'})})
    assert swarm.running_on(project.namespace()) == {'all': [n.address for n in nodes]}
    service = project.stack().services[0]
    assert (service.running, service.wanted) == (3, 3)


def test_node_drained_in_the_middle_of_an_update(project, swarm, nodes):
    project.deploy({'app': one_at_a_time(1), 'all': hello(deploy={'mode': 'global'})})
    assert swarm.running_on(project.namespace())['app'] == [n.address for n in nodes]
    job = begin_update(project, swarm, {'app': one_at_a_time(2), 'all': hello(deploy={'mode': 'global'})})
    swarm.make(nodes[2], 'drain')
    project.expect(job, 'SUCCEEDED')
    where = swarm.running_on(project.namespace())
    assert len(where['app']) == 3 and nodes[2].address not in where['app']
    assert where['all'] == [nodes[0].address, nodes[1].address]
    assert alive(swarm, project.namespace(), nodes[:2]) == [':2'] * 3
    assert project.status() == 'RUNNING'
    swarm.make(nodes[2], 'active')
    eventually('the global service is there again', lambda: len(swarm.running_on(project.namespace())['all']) == 3)
    eventually('and counted', lambda: [s.running for s in project.stack().services if s.name == 'all'] == [3])


def test_node_killed_in_the_middle_of_an_update(project, swarm, nodes):
    project.deploy({'app': one_at_a_time(1), 'all': hello(deploy={'mode': 'global'})})
    job = begin_update(project, swarm, {'app': one_at_a_time(2), 'all': hello(deploy={'mode': 'global'})})
    nodes[2].crash()
    ended = project.skepd.wait(job.id, timeout=120)
    eventually('the manager has noticed', lambda: swarm.state(nodes[2]) == 'down')
    # The Engine's own updater may wait for ever for the dead node's task to stop. That is no success: all goes back.
    if ended.state == 'FAILED':
        assert 'service app: no progress' in ended.job.error and 'taking it back failed' not in ended.job.error
        assert any('back at the release before' in e.message for e in ended.events)
    version, release = {'SUCCEEDED': (':2', 2), 'FAILED': (':1', 1)}[ended.state]
    assert alive(swarm, project.namespace(), nodes[:2]) == [version] * 3, 'the tasks have moved'
    assert (project.status(), project.stack().release) == ('RUNNING', release)

    nodes[2].start()
    eventually('the worker is back', lambda: swarm.state(nodes[2]) == 'ready', 60)
    eventually('the global service is on three', lambda: swarm.running_on(project.namespace())['all']
               == [n.address for n in nodes], 60)
    eventually('Skep says so', lambda: (name_of('StackStatus', project.stack().status), [
        (s.running, s.wanted) for s in project.stack().services if s.name == 'all']) == ('RUNNING', [(3, 3)]), 10)
    assert alive(swarm, project.namespace(), nodes) == [version] * 3


def test_deploy_while_a_node_is_away(project, swarm, nodes):
    nodes[1].crash()
    eventually('the manager has noticed', lambda: swarm.state(nodes[1]) == 'down', 60)
    project.deploy({'app': one_at_a_time(1), 'all': hello(deploy={'mode': 'global'})})
    where = swarm.running_on(project.namespace())
    assert nodes[1].address not in where['app'] + where['all']
    assert len(where['app']) == 3 and len(where['all']) == 2
