"""Services that do not come to run, on a real Engine: what is told of each, and where it leaves the stack."""

import pytest

from daemon import Project, hello, number_of, wait_for_answer
from native_client import RpcError

def check(*test, **more):
    return {'test': list(test), 'interval': '200ms', 'timeout': '2s', 'retries': 1, **more}


def limited(**what):
    return {'resources': what}


def bad_services(port):
    """{name: (service, words of its story)}"""
    file = [{'source': 'junk', 'target': '/junk', 'mode': 0o555}]
    well = check('CMD', '/hello', '--health')
    return {
        'image': (hello(image='localhost/nowhere:1'),
                  ['No such image: localhost/nowhere:1', 'the registry says: ', 'connection refused',
                   'hint: no registry answers']),
        'constraint': (hello(deploy={'placement': {'constraints': ['node.labels.disk == ssd']}}),
                       ['no suitable node', 'node.labels.disk == ssd is not met (it has none)',
                        'hint: no node meets the placement constraints']),
        'reserved': (hello(deploy=limited(reservations={'memory': '900000G'})),
                     ['of memory free, ', 'iB reserved', 'hint: no node has as much left']),
        'nowhere': (hello(deploy={'mode': 'global', 'placement': {'constraints': ['node.role == worker']}}),
                    ['cannot be scheduled: no suitable node', 'node.role == worker is not met (it is "manager")']),
        'port': (hello(port), [f'port {port}/tcp is held by service ', 'hint: another task holds the same host port']),
        'ill': (hello(healthcheck=well, arguments=['UNHEALTHY_AFTER=0']),
                ['its health check says (exit code 1):\n    unhealthy: HTTP/1.1 503', 'hint: its health check fails',
                 'hello: stopping']),
        'no-check': (hello(healthcheck=check('CMD-SHELL', 'curl localhost')),
                     ['/bin/sh', "hint: the health check's program is not in the image"]),
        'crash': (hello(arguments=['FAIL_CODE=7']),
                  ['crash loop: task', 'non-zero exit (7)', 'last lines of its log:\n    hello: reading the configuration\n'
                   '    hello: the database is not there\n', 'hint: the program itself gives up']),
        'ends': (hello(arguments=['EXIT_AFTER=0']), ['ends again and again', 'must stay in the foreground']),
        'ended': (hello(arguments=['EXIT_AFTER=0'], deploy={'restart_policy': {'condition': 'none'}}),
                  ['its restart policy does not start it again']),
        'no-program': (hello(entrypoint=['/nothing']), ['no such file or directory', 'hint: the image has no such program']),
        'no-x': (hello(entrypoint=['/tmp']), ['permission denied', 'x bit']),
        'format': (hello(entrypoint=['/junk'], configs=file), ['exec format error', 'hint: the program is built for another']),
        'memory': (hello(arguments=['ALLOCATE=64'], deploy={'update_config': {'monitor': '3s'}, **limited(limits={'memory': '16M'})}),
                   ['hint: ', '137', 'memory']),
        'bind': (hello(volumes=['/nowhere/at/all:/data']), ['bind source path does not exist', 'hint: the folder must be there']),
        'user': (hello(user='nobody2'), ['unable to find user nobody2', 'hint: the image has no such user']),
    }


@pytest.fixture(scope='module')
def story(skepd, engine):
    """The end of one deploy that goes on in spite of everything."""
    port = engine.free_port()
    bad = bad_services(port)
    services = {name: service for name, (service, _) in bad.items()}
    project = Project(skepd, engine, 'failures')
    services['holder'] = hello(port)
    services['port']['depends_on'] = ['holder']
    services['behind'] = hello(depends_on={'ill': {'condition': 'service_healthy'}})
    ended = project.deploy(services, expect='FAILED', on_failure=number_of('ON_FAILURE_CONTINUE'), stall_seconds=5,
                           top={'configs': {'junk': {'content': 'no program'}}})
    yield project, ended, bad
    project.finish()


@pytest.mark.parametrize('name', sorted(bad_services(0)))
def test_story(story, name):
    _, ended, bad = story
    at = ended.job.error.find(f'service {name}: ')
    assert at >= 0, ended.job.error
    end = ended.job.error.find('\nservice ', at)
    told = ended.job.error[at:end if end > 0 else None]
    for words in bad[name][1]:
        assert words in told, told


def test_fields_tell_the_same(story):
    _, ended, bad = story
    failures = {f.service: f for f in ended.job.failures}
    assert set(failures) == {*bad, 'behind'}
    crash = failures['crash']
    assert crash.exit_code == 7 and crash.slot == 1 and crash.node and crash.task_id
    assert crash.log[-1] == 'hello: giving up' and 'non-zero exit (7)' in crash.error
    assert failures['memory'].exit_code == 137 and not crash.oom_killed  # the Engine does not always hear of the kernel's kill
    assert failures['ill'].health.startswith('unhealthy: HTTP/1.1 503')
    assert 'connection refused' in failures['image'].registry and failures['image'].exit_code == -1
    assert len(failures['constraint'].nodes) == 1 and failures['constraint'].hint
    assert failures['behind'].message == 'not brought to the release: it depends on ill, which failed'


def test_the_others_run(story, engine):
    project, ended, _ = story
    running = engine.running(project.namespace())
    assert len(running['holder']) == 1 and 'behind' not in running
    assert ended.job.error.endswith('left as it is')
    stack = project.stack()
    assert project.status() == 'FAILED' and 'next: deploy again, or skep stack rm web' in stack.message


# -- going back ---------------------------------------------------------------------------------------------

def back(project, expect='SUCCEEDED', **fields):
    return project.expect(project.skepd.call('Stacks', 'Rollback', stack=project.ref(), **fields), expect)


def images(engine, project):
    return {name: s['Spec']['TaskTemplate']['ContainerSpec']['Image'].split(':')[1].split('@')[0]
            for name, s in engine.services(project.namespace()).items()}


def test_back_to_a_release(project, engine):
    port = engine.free_port()

    def deploy(version, word, **more):
        file = [{'source': 'site', 'target': '/site'}]
        project.deploy({'app': hello(port, version, configs=file), **more}, top={'configs': {'site': {'content': word}}})
    deploy(1, 'one')
    deploy(2, 'two', extra=hello())
    deploy(2, 'three')
    back(project, release=1)
    wait_for_answer(engine, port, '/', '"version":"1"')
    wait_for_answer(engine, port, '/file/site', 'one')
    assert images(engine, project) == {'app': '1'}
    assert project.releases() == [(4, 'ACTIVE'), (3, 'SUPERSEDED'), (2, 'SUPERSEDED'), (1, 'SUPERSEDED')]
    assert project.skepd.call('Stacks', 'Releases', stack=project.ref()).releases[0].rolled_back_to == 1
    back(project, release=2)
    assert images(engine, project) == {'app': '2', 'extra': '1'}
    back(project)  # 5 is 2: before that was 1
    wait_for_answer(engine, port, '/file/site', 'one')
    assert project.stack().release == 6 and project.status() == 'RUNNING'


def test_back_from_what_was_left(project, engine):
    project.deploy({'app': hello()})
    project.deploy({'app': hello(version=2)})
    project.deploy({'app': hello(image='localhost/nowhere:1'), 'new': hello()}, expect='FAILED', on_failure=number_of('ON_FAILURE_PAUSE'))
    stack = project.stack()
    assert project.status() == 'DEGRADED' and 'skep stack rollback web (to release 2)' in stack.message
    back(project)
    assert images(engine, project) == {'app': '2'}
    assert project.status() == 'RUNNING' and project.stack().message == ''


def test_back_that_fails_is_taken_back(project, engine):
    engine.load_image('hello', 'localhost/passing:1', ENTRYPOINT='["/hello"]')
    project.deploy({'app': hello(image='localhost/passing:1')})
    project.deploy({'app': hello(version=2)})
    engine.call('DELETE', '/images/localhost/passing:1?force=1')
    ended = back(project, expect='FAILED')
    assert 'No such image' in ended.job.error and ended.job.error.endswith('went back: release 2 runs again')
    assert images(engine, project) == {'app': '2'}
    assert project.status() == 'RUNNING' and project.releases()[:2] == [(3, 'FAILED'), (2, 'ACTIVE')]
    why = project.skepd.call('Stacks', 'Releases', stack=project.ref()).releases[0].message
    assert why.startswith('service app: ') and '\n' not in why


def test_way_back_that_fails_too(project, engine):
    """What ran before does not run any more: both stories, and what to do."""
    engine.load_image('hello', 'localhost/fading:1', ENTRYPOINT='["/hello"]')
    project.deploy({'app': hello(image='localhost/fading:1')})
    engine.call('DELETE', '/images/localhost/fading:1?force=1')
    crash = hello(arguments=['FAIL_CODE=3'], deploy={'update_config': {'monitor': '3s'}})
    ended = project.deploy({'app': crash}, expect='FAILED')
    assert 'non-zero exit (3)' in ended.job.error
    assert 'taking it back failed too: service app: ' in ended.job.error and 'No such image' in ended.job.error
    stack = project.stack()
    assert project.status() == 'DEGRADED'
    assert stack.message.endswith('next: mend that, then skep stack rollback web --to 1')
    engine.load_image('hello', 'localhost/fading:1', ENTRYPOINT='["/hello"]')
    back(project, release=1)
    assert project.status() == 'RUNNING' and project.stack().message == ''
    engine.call('DELETE', '/images/localhost/fading:1?force=1')


def test_back_that_is_cancelled(project, engine):
    late = hello(arguments=['START_DELAY=2'], healthcheck=check('CMD', '/hello', '--health', retries=60))
    project.deploy({'app': late})
    project.deploy({'app': hello(version=2)})
    job = project.skepd.call('Stacks', 'Rollback', stack=project.ref())
    project.skepd.wait_step(job.id, 'converge')
    assert project.status() == 'DEPLOYING'
    project.skepd.call('Jobs', 'Cancel', id=job.id)
    ended = project.expect(job, 'CANCELLED')
    assert ended.job.error == 'cancelled\nwent back: release 2 runs again'
    assert images(engine, project) == {'app': '2'}
    assert project.status() == 'RUNNING' and project.stack().release == 2


def test_what_cannot_be_gone_back_to(project):
    project.deploy({'app': hello()})
    for fields, code, words in (({}, 'FAILED_PRECONDITION', 'no good release before'),
                                ({'release': 7}, 'NOT_FOUND', 'has no release 7')):
        with pytest.raises(RpcError, match=words) as refused:
            back(project, **fields)
        assert refused.value.code == code


def test_stall_limit_of_one_deploy(project):
    """The daemon's is 5 s."""
    service = hello(deploy={'placement': {'constraints': ['node.labels.disk == ssd']}})
    job = project.deploy({'app': service}, expect='FAILED', stall_seconds=1).job
    assert 'cannot be scheduled' in job.error
    assert job.finished_at.ToMilliseconds() - job.started_at.ToMilliseconds() < 4500
