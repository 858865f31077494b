"""Images from a registry that wants a password: digests, credentials, and what happens when it is away."""

import signal

import pytest
from daemon import hello
from native_client import RpcError
from servers import eventually
from test_schedules import make_due


@pytest.fixture
def login(project, registry):
    def set_password(password=registry.PASSWORD, **more):
        return project.skepd.call('Registries', 'Set', project=project.name, host=f'http://{registry.host}/v2/',
                                  username=registry.USER, password=password, **more)
    return set_password


def app(registry, name, **service):
    return hello(image=f'{registry.host}/{name}', **service)


def image(engine, project, service='app'):
    return engine.services(project.namespace())[service]['Spec']['TaskTemplate']['ContainerSpec']['Image']


def version(engine, project, service='app'):
    return engine.services(project.namespace())[service]['Version']['Index']


def messages(ended):
    return '\n'.join(e.message for e in ended.events)


def test_a_private_image_takes_a_login(project, engine, registry, login):
    digest = registry.push('hello', 'private:1', ENTRYPOINT='["/hello"]', ENV='VERSION=1')
    ended = project.deploy({'app': app(registry, 'private:1')}, expect='FAILED')
    assert 'no basic auth credentials' in messages(ended)
    assert 'No such image' in ended.job.error
    assert login().host == registry.host
    ended = project.deploy({'app': app(registry, 'private:1')})
    assert 'warning' not in messages(ended)
    assert image(engine, project) == f'{registry.host}/private:1@{digest}'
    platforms = engine.services(project.namespace())['app']['Spec']['TaskTemplate']['Placement']['Platforms']
    assert [p['OS'] for p in platforms] == ['linux']


def test_a_wrong_password_is_told(project, registry, login):
    registry.push('hello', 'wrong:1', ENTRYPOINT='["/hello"]', ENV='VERSION=1')
    login('not this', no_verify=True)
    ended = project.deploy({'app': app(registry, 'wrong:1')}, expect='FAILED')
    assert 'unauthorized' in messages(ended)
    assert 'not this' not in messages(ended) + ended.job.error + project.skepd.log()


def kept(project):
    """[(host, etag)] of the project's credentials."""
    return [(r.host, r.etag) for r in project.skepd.call('Registries', 'List', project=project.name).registries]


def test_the_registry_is_asked_before_they_are_kept(project, registry, login):
    with pytest.raises(RpcError, match='INVALID_ARGUMENT') as e:
        login('not this')
    told = e.value.violations()['password']
    assert f'registry {registry.host} does not take them for "{registry.USER}"' in told and '401' in told
    assert 'not this' not in told + project.skepd.log() and kept(project) == []
    first = login(request_id='first')
    with pytest.raises(RpcError, match='INVALID_ARGUMENT'):
        login('not this')
    assert kept(project) == [(first.host, first.etag)], 'what was there stays'
    registry.stop()
    try:
        with pytest.raises(RpcError, match='FAILED_PRECONDITION.*connection refused'):
            login()
        assert kept(project) == [(first.host, first.etag)]
        assert login(request_id='first') == first, 'what was answered is not asked again'
        with pytest.raises(RpcError, match='FAILED_PRECONDITION.*another request'):
            login('not this', request_id='first')
        unseen = login(no_verify=True, request_id='unseen')
    finally:
        registry.start()
    assert kept(project) == [(unseen.host, unseen.etag)] and unseen.etag != first.etag
    with pytest.raises(RpcError, match='FAILED_PRECONDITION'):
        project.skepd.call('Registries', 'Set', project=project.name, host='127.0.0.1:9', username='u', password='p')


def test_without_an_engine_nothing_is_kept_unasked(project, engine, login):
    engine.send(signal.SIGSTOP)
    try:
        with pytest.raises(RpcError, match='UNAVAILABLE|DEADLINE_EXCEEDED'):
            project.skepd.client(timeout=40).unary('Registries', 'Set', timeout_ms=1500, project=project.name, host='a', username='u', password='p')
        assert kept(project) == []
    finally:
        engine.send(signal.SIGCONT)


def test_the_same_again_touches_nothing(project, engine, registry, login):
    registry.push('hello', 'same:1', ENTRYPOINT='["/hello"]', ENV='VERSION=1')
    login()
    services = {'app': app(registry, 'same:1'), 'local': hello()}
    project.deploy(services)
    before = version(engine, project), version(engine, project, 'local'), engine.running(project.namespace())
    ended = project.deploy(services)
    assert 'services: 0 created, 0 updated, 2 unchanged' in messages(ended)
    assert 'localhost/hello:1' in messages(ended)  # is in no registry: a warning, no more
    assert (version(engine, project), version(engine, project, 'local'), engine.running(project.namespace())) == before


def test_a_moved_tag_is_an_update(project, engine, registry, login):
    old = registry.push('hello', 'moved:1', ENTRYPOINT='["/hello"]', ENV='VERSION=1')
    login()
    project.deploy({'app': app(registry, 'moved:1')})
    new = registry.push('hello', 'moved:1', ENTRYPOINT='["/hello"]', ENV='VERSION=moved')
    assert new != old
    for policy in ('RESOLVE_IMAGE_NEVER', 'RESOLVE_IMAGE_CHANGED'):
        project.deploy({'app': app(registry, 'moved:1')}, resolve_image=policy)
        assert image(engine, project).endswith(old)
    project.deploy({'app': app(registry, 'moved:1')})
    assert image(engine, project).endswith(new)
    releases = project.skepd.call('Stacks', 'Releases', stack=project.ref()).releases
    assert [r.images[0].split('@')[1] for r in releases] == [new, old, old, old]


def test_a_schedule_redeploys_what_a_tag_means_by_then(project, engine, registry, login, postgres):
    registry.push('hello', 'nightly:1', ENTRYPOINT='["/hello"]', ENV='VERSION=1')
    login()
    project.deploy({'app': app(registry, 'nightly:1')})
    new = registry.push('hello', 'nightly:1', ENTRYPOINT='["/hello"]', ENV='VERSION=nightly')
    project.skepd.call('Schedules', 'Create', project=project.name, name='nightly', stack='web', action=1, cron='@daily')
    make_due(postgres, project.skepd)
    made = eventually('it has run', lambda: project.skepd.call('Schedules', 'Get', project=project.name, name='nightly').last_job_id)
    assert project.skepd.wait(made).state == 'SUCCEEDED'
    assert image(engine, project).endswith(new)
    assert project.releases() == [(2, 'ACTIVE'), (1, 'SUPERSEDED')]


def test_a_failed_update_goes_back_to_the_same_bytes(project, engine, registry, login):
    old = registry.push('hello', 'back:1', ENTRYPOINT='["/hello"]', ENV='VERSION=1')
    login()
    project.deploy({'app': app(registry, 'back:1')})
    registry.push('hello', 'back:1', ENTRYPOINT='["/hello"]', ENV='VERSION=2')
    crash = app(registry, 'back:1', arguments=['EXIT_AFTER=0', 'EXIT_CODE=3'], deploy={'restart_policy': {'condition': 'none'}})
    project.deploy({'app': crash}, expect='FAILED')
    assert image(engine, project).endswith(old)
    assert project.status() == 'RUNNING'


def test_a_registry_that_is_away_stops_nobody(project, engine, registry, login):
    registry.push('hello', 'away:1', ENTRYPOINT='["/hello"]', ENV='VERSION=1')
    login()
    project.deploy({'app': app(registry, 'away:1')})
    before = version(engine, project), image(engine, project)
    registry.stop()
    try:
        ended = project.deploy({'app': app(registry, 'away:1')})
        assert 'connection refused' in messages(ended)
        assert (version(engine, project), image(engine, project)) == before
        # What did change is written, with the digest that is known.
        project.deploy({'app': app(registry, 'away:1', environment={'A': '1'})})
        assert image(engine, project) == before[1] and version(engine, project) != before[0]
    finally:
        registry.start()


def test_credentials_are_owners_business(project, skepd, login):
    made = login()
    listed = skepd.call('Registries', 'List', project=project.name).registries
    assert [(r.id, r.host, r.username) for r in listed] == [(made.id, made.host, made.username)]
    assert login('another', no_verify=True).id != made.id
    assert len(skepd.call('Registries', 'List', project=project.name).registries) == 1
    for host, words in (('a b', "no registry's host"), ('x' * 600, 'host')):
        with pytest.raises(RpcError, match=words):
            skepd.call('Registries', 'Set', project=project.name, host=host, username='u', password='p')
    with pytest.raises(RpcError, match='INVALID_ARGUMENT'):
        skepd.call('Registries', 'Set', project=project.name, host='h', username='', password='p')
    tokens = {role: skepd.call('Auth', 'CreateToken', project=project.name, name=role.lower(), role=f'ROLE_{role}').secret
              for role in ('DEPLOYER', 'VIEWER')}
    skepd.call('Registries', 'List', tokens['DEPLOYER'], project=project.name)
    for token, method, fields in ((tokens['DEPLOYER'], 'Set', {'username': 'u', 'password': 'p'}),
                                  (tokens['DEPLOYER'], 'Delete', {}), (tokens['VIEWER'], 'List', None)):
        with pytest.raises(RpcError, match='PERMISSION_DENIED'):
            skepd.call('Registries', method, token, project=project.name, **({'host': 'h', **fields} if fields is not None else {}))
    skepd.call('Registries', 'Delete', project=project.name, host=made.host)
    with pytest.raises(RpcError, match='NOT_FOUND'):
        skepd.call('Registries', 'Delete', project=project.name, host=made.host)
