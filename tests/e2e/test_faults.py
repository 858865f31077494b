"""Servers that go away and come back while jobs run, replies that are lost, daemons that drain, sleep and share."""

import contextlib
import os
import signal
import threading

import pytest
from daemon import Project, hello, number_of, slow, wait_for_answer
from native_client import Client, RpcError
from proxy import Proxy
from servers import Engine, eventually


@pytest.fixture(scope='module')
def skepd(new_daemon, between):
    made = new_daemon(**between.options())
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def afterwards(between):
    yield
    between.reset()


@contextlib.contextmanager
def lost(*holds):
    """Each of these replies is lost, with its connection; all of them must have been there."""
    threads = [threading.Thread(target=lambda h=h: (h.reached.wait(60), h.cut())) for h in holds]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()
    assert not [hold.parts for hold in holds if not hold.reached.is_set()]


def in_step(skepd, project, step, services):
    job = project.submit(services).job
    skepd.wait_step(job.id, step)
    return job


# -- Redis --------------------------------------------------------------------------------------------------------

def test_redis_emptied(skepd, project, redis):
    job = in_step(skepd, project, 'converge', {'app': hello(deploy={'update_config': {'monitor': '1s'}})})
    assert redis.command('FLUSHALL') == 'OK'
    project.expect(job, 'SUCCEEDED')
    project.scale({'app': 2})


def test_redis_killed_and_started_empty(skepd, project, redis):
    job = in_step(skepd, project, 'converge', {'app': hello(deploy={'update_config': {'monitor': '1s'}})})
    redis.kill9()
    try:
        eventually('ready says which', lambda: 'redis' in skepd.not_up())
        assert skepd.is_ready(), 'Redis only makes things faster'
        project.expect(job, 'SUCCEEDED')
        project.scale({'app': 2})
    finally:
        redis.start()
    eventually('connected again', lambda: not skepd.not_up())
    project.scale({'app': 1})


# -- PostgreSQL ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('step', ['announce', 'networks', 'services', 'converge', 'prune', 'activate'])
def test_postgres_crashes_and_recovers_in_a_deploy(skepd, project, postgres, between, step):
    """pg_ctl restart -m immediate."""
    hold = between.hold_step(step)
    job = project.submit({'app': hello()}).job
    hold.wait()
    postgres.stop_immediately()
    hold.cut()
    postgres.start()
    ended = project.expect(job, 'SUCCEEDED')
    assert [e.kind for e in ended.events].count('job.ended') == 1
    assert project.status() == 'RUNNING'


def test_postgres_away_for_longer_than_the_lease(skepd, project, postgres, engine):
    """The run is given up before another daemon could have taken it, and is taken up again when that is possible."""
    port = engine.free_port()
    job = in_step(skepd, project, 'converge', {'app': hello(port, deploy={'update_config': {'monitor': '2s'}})})
    postgres.stop_immediately()
    try:
        eventually('the run is given up', lambda: f'job={job.id} kind=deploy stack=web outcome=abandoned' in skepd.log())
        eventually('ready says which', lambda: 'postgres' in skepd.not_up())
        with pytest.raises(RpcError, match='UNAVAILABLE'):
            project.submit({'app': hello()})
        assert engine.http(port)[0] == 200
    finally:
        postgres.start()
    project.expect(job, 'SUCCEEDED')
    assert project.status() == 'RUNNING'


def test_reply_of_postgres_lost(skepd, project, between, postgres):
    """Done, and nobody heard: nothing is done twice, nothing is lost. One deploy in which each kind of write fares so once."""
    statements = ['observe_status', 'release_rendered', 'networks_put', 'release_activate']
    with lost(*(between.hold_statement(name, after=True) for name in statements), between.hold_step('services', after=True),
              between.hold_events(after=True), between.hold_end('succeeded', after=True)):
        ended = project.deploy({'app': hello()})
    assert [e.sequence for e in ended.events] == list(range(1, ended.job.last_sequence + 1))
    assert [e.kind for e in ended.events].count('job.ended') == 1
    assert project.releases() == [(1, 'ACTIVE')] and project.status() == 'RUNNING'


def test_postgres_hangs(skepd, between):
    """It takes the question and does not answer: not the caller's limit, so he may try again."""
    hold = between.hold_statement('project_list')
    with pytest.raises(RpcError, match='UNAVAILABLE') as e:
        skepd.call('Projects', 'List')
    assert 'PostgreSQL: no answer within' in e.value.message and e.value.detail('RetryInfo')
    hold.cut()
    eventually('answers again', lambda: skepd.call('Projects', 'List') is not None)


def test_answer_of_a_submission_lost(skepd, project, between):
    """UNAVAILABLE, and sending it again with the same id finds what was done."""
    hold = between.hold_statement('deploy_put_release', after=True)
    failed = []

    def submit():
        try:
            project.submit({'app': hello()}, request_id='r')
        except RpcError as e:
            failed.append(e)
    thread = threading.Thread(target=submit)
    thread.start()
    hold.wait()
    hold.cut()
    thread.join()
    assert failed[0].code == 'UNAVAILABLE' and 'send it again with the same request id' in failed[0].message
    assert failed[0].detail('RetryInfo')
    project.expect(eventually('it is taken', lambda: submit_again(project)), 'SUCCEEDED')
    assert project.releases() == [(1, 'ACTIVE')]


def submit_again(project):
    try:
        return project.submit({'app': hello()}, request_id='r').job
    except RpcError as e:
        assert e.code == 'UNAVAILABLE'
        return None


# -- the Engine ---------------------------------------------------------------------------------------------------

def test_reply_of_the_engine_lost(skepd, project, engine, between):
    """The same of the Engine's writes."""
    top = {'secrets': {'s': {'file': 's.txt'}}, 'networks': {'back': {}}}
    files = [{'path': 's.txt', 'content': b'word'}]
    services = {'app': hello(secrets=['s']), 'idle': hello(networks=['back'], deploy={'replicas': 0})}
    writes = [('POST', '/networks/create'), ('POST', '/secrets/create'), ('POST', '/services/create'),
              ('POST', '/update?version='), ('DELETE', '/services/'), ('DELETE', '/networks/')]
    with lost(*(between.hold_engine(*write) for write in writes)):
        project.deploy(services, top=top, files=files)
        project.deploy({'app': hello(secrets=['s'], environment={'NEW': '1'}), 'idle': services['idle']}, top=top, files=files)
        assert engine.counts(project.namespace()) == {
            'services': 2, 'networks': 1, 'secrets': 1}
        project.remove()
    assert engine.objects(project.namespace()) == {}


def test_engine_restarted_in_the_middle(skepd, project, engine, between):
    port = engine.free_port()
    hold = between.hold_engine('POST', '/services/create', after=False)
    job = project.submit({'app': hello(port)}).job
    hold.wait()
    engine.stop()
    hold.cut()
    eventually('ready says which', lambda: 'docker' in skepd.not_up())
    engine.start()
    project.expect(job, 'SUCCEEDED')
    eventually('ready again', skepd.is_ready)
    wait_for_answer(engine, port, '/', '"version":"1"')


def test_engine_restarted_while_converging(skepd, project, engine):
    """What was not seen neither holds nor stalls."""
    port = engine.free_port()
    job = in_step(skepd, project, 'converge', {'app': hello(port, deploy={'update_config': {'monitor': '3s'}})})
    engine.stop()
    eventually('ready says which', lambda: 'docker' in skepd.not_up())
    engine.start()
    project.expect(job, 'SUCCEEDED')
    wait_for_answer(engine, port, '/', '"version":"1"')
    eventually('seen again', lambda: project.status() == 'RUNNING')


# -- at start -----------------------------------------------------------------------------------------------------

def test_no_postgres_at_start(new_daemon, postgres):
    skepd = new_daemon()
    postgres.stop()
    try:
        skepd.start(ready=False)
        why = eventually('ready says which', lambda: skepd.not_up().get('postgres'))
        assert 'check that PostgreSQL runs' in why
        with Client(f'127.0.0.1:{skepd.port()}') as nobody:
            assert {d.message for d in nobody.unary('System', 'Ready').dependencies if d.name == 'postgres'} == {'not reachable'}
        told = eventually('so does the log', lambda: [line for line in skepd.log().split('\n') if 'server=postgres' in line])
        assert 'trying again' in told[0] and 'check that it runs and that `postgres` in skepd.yaml names it' in told[0]
        with pytest.raises(RpcError, match='UNAVAILABLE'):
            skepd.call('Projects', 'List')
    finally:
        postgres.start()
    eventually('ready when it has come up', skepd.is_ready)
    skepd.stop()


def test_engine_is_not_a_manager(new_daemon, postgres):
    engine = Engine()
    skepd = new_daemon(docker=engine.host)
    try:
        engine.start()
        skepd.start(ready=False)
        eventually('ready says what to do', lambda: 'docker swarm init' in skepd.not_up().get('docker', ''))
        assert 'docker swarm init' in skepd.log()
        engine.swarm_init()
        eventually('ready when that was done', skepd.is_ready)
        skepd.stop()
    finally:
        engine.stop()
        engine.remove()


def test_drain_hands_jobs_back(new_daemon, engine):
    skepd = new_daemon(drain_grace='200ms', stall_limit='60s', job_lease='30s')
    skepd.start()
    project = Project(skepd, engine, 'drained')
    job = in_step(skepd, project, 'converge', {'app': slow()})
    skepd.stop()
    skepd.start()
    eventually('it goes on', lambda: skepd.job(job.id).state == number_of('JOB_STATE_RUNNING', 'jobs'))
    assert skepd.job(job.id).attempt == 1, 'no attempt is lost'
    skepd.call('Jobs', 'Cancel', id=job.id)
    ended = project.expect(job, 'CANCELLED')
    kinds = [e.kind for e in ended.events]
    assert kinds.count('job.requeued') == 1 and kinds.count('job.resumed') == 1
    project.finish()
    skepd.stop()


def test_drain_lets_calls_and_jobs_finish(new_daemon, engine):
    skepd = new_daemon(drain_grace='20s')
    skepd.start()
    project = Project(skepd, engine, 'patient')
    job = in_step(skepd, project, 'converge', {'app': hello(deploy={'update_config': {'monitor': '1s'}})})
    with skepd.client() as client:
        stream = client.stream('Jobs', 'Watch', id=job.id)
        next(stream)
        skepd.send(signal.SIGTERM)
        eventually('it says goaway', lambda: client.read_frame() and client.goaway)
        while stream.finished is None:
            client.read_frame()
        assert list(stream)[-1].job.state == number_of('JOB_STATE_SUCCEEDED', 'jobs'), 'the stream runs to its end'
    assert skepd.end(None) == 0
    skepd.start()
    project.finish()
    skepd.stop()


def test_second_sigterm_ends_at_once(new_daemon, engine):
    skepd = new_daemon(drain_grace='60s', stall_limit='60s')
    skepd.start()
    project = Project(skepd, engine, 'impatient')
    job = in_step(skepd, project, 'converge', {'app': slow()})
    skepd.send(signal.SIGTERM)
    eventually('it drains', lambda: 'draining' in skepd.log())
    assert skepd.end() == 1 and 'ended at once: a second signal' in skepd.log()
    skepd.start()
    skepd.wait_step(job.id, 'converge')
    project.finish()
    skepd.stop()


def test_reload(new_daemon):
    skepd = new_daemon()
    path = f'{skepd.dir}/skepd.yaml'

    def write(text):
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
    write('log_level: info\n')
    skepd.start('--config', path)
    write('log_level: debug\njob_slots: 3\n')
    skepd.send(signal.SIGHUP)
    eventually('it says what needs a restart', lambda: 'needs a restart to change" option=job_slots' in skepd.log())
    eventually('it is done', lambda: 'configuration read again' in skepd.log())
    write('log_level: loud\n')
    skepd.send(signal.SIGHUP)
    eventually('what is wrong is said', lambda: 'the configuration has errors; the one before stays' in skepd.log())
    assert 'skepd.yaml:1' in skepd.log() and 'debug|info|warn|error' in skepd.log()
    assert skepd.is_ready()
    skepd.stop()


def test_reload_again_and_again(new_daemon):
    """The texts of the one before are freed."""
    skepd = new_daemon()
    skepd.environment['ASAN_OPTIONS'] = skepd.environment.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1'
    path = f'{skepd.dir}/skepd.yaml'
    with open(path, 'w', encoding='utf-8') as f:
        f.write('log_level: info\n' + ('#' * 99 + '\n') * 9000)
    skepd.start('--config', path)

    def reload(times):
        for _ in range(times):
            before = skepd.log().count('configuration read again')
            skepd.send(signal.SIGHUP)
            eventually('it is done', lambda: skepd.log().count('configuration read again') > before)
    reload(10)
    size = skepd.rss()
    reload(60)
    assert skepd.rss() < size + 20 * 1024 * 1024, '0.9 MB each'
    skepd.stop()


def test_what_is_wrong_in_the_configuration_is_said_at_once(new_daemon):
    skepd = new_daemon(log_level='loud', job_slots='0')
    with pytest.raises(SystemError):
        skepd.start()
    assert skepd.end() == 2
    assert 'SKEP_LOG_LEVEL' in skepd.log() and 'SKEP_JOB_SLOTS' in skepd.log()


# -- more than one daemon -----------------------------------------------------------------------------------------

@pytest.fixture
def two(new_daemon, engine):
    first = new_daemon(stall_limit='60s')
    first.start()
    second = new_daemon(database=first.database, key_file=first.options['key_file'], stall_limit='60s')
    second.start()
    project = Project(first, engine, 'shared')
    yield first, second, project
    for made in (first, second):
        made.send(signal.SIGCONT)
        if not made.is_alive():
            made.start()
    project.finish()
    first.stop()
    second.stop()


def owner(postgres, skepd, job):
    return postgres.query(f"select owner from deployment_jobs where id = '{job.id}'", skepd.database)


def test_two_daemons_one_database(two, postgres):
    """Either takes any job; either shows, cancels and watches it."""
    first, second, project = two
    jobs = [project.submit({'app': slow()}, stack=f's{n}').job for n in range(6)]
    for job in jobs:
        second.wait_step(job.id, 'converge')
        assert second.job(job.id).state == number_of('JOB_STATE_RUNNING', 'jobs')
    for number, job in enumerate(jobs):
        (first, second)[number % 2].call('Jobs', 'Cancel', id=job.id)
    for job in jobs:
        assert second.wait(job.id).state == 'CANCELLED'


def by_owner(first, second, name):
    """(the daemon of that name, the other one)"""
    return (first, second) if first.call('System', 'Info').instance == name else (second, first)


def test_one_of_two_dies(two, engine, postgres):
    first, second, project = two
    job = in_step(first, project, 'converge', {'app': slow()})
    before = owner(postgres, first, job)
    dead, alive = by_owner(first, second, before)
    dead.kill9()
    eventually('the other one takes it', lambda: owner(postgres, first, job) != before)
    alive.call('Jobs', 'Cancel', id=job.id)
    assert alive.wait(job.id).state == 'CANCELLED'
    assert engine.objects(project.namespace()) == {}


def test_one_of_two_sleeps_longer_than_its_lease(two, engine, postgres):
    """Awake again it finds that the job is somebody else's, and touches nothing."""
    first, second, project = two
    job = in_step(first, project, 'converge', {'app': slow()})
    before = owner(postgres, first, job)
    asleep, awake = by_owner(first, second, before)
    os.kill(asleep.process.pid, signal.SIGSTOP)
    eventually('the other one takes it', lambda: owner(postgres, first, job) != before)
    asleep.send(signal.SIGCONT)
    eventually('the sleeper gives it up', lambda: f'job={job.id} kind=deploy stack=web outcome=abandoned' in asleep.log())
    assert owner(postgres, first, job) != before
    awake.call('Jobs', 'Cancel', id=job.id)
    ended = awake.wait(job.id)
    assert ended.state == 'CANCELLED' and [e.kind for e in ended.events].count('job.ended') == 1
    assert engine.objects(project.namespace()) == {}


def places(skepd, other):
    """All daemons, once the other one has no places."""
    daemons = skepd.call('Jobs', 'Stats').daemons
    return daemons if [d for d in daemons if d.id == other.call('System', 'Info').instance and d.slots == 0] else None


def test_one_of_two_loses_its_engine(new_daemon, engine, postgres, tmp_path):
    """What it runs goes on elsewhere, with no attempt lost, and it begins nothing until it is back."""
    way = Proxy(str(tmp_path / 'd'), engine.socket)
    first = new_daemon(docker=f'unix://{way.path}', stall_limit='60s').start()
    second = new_daemon(database=first.database, key_file=first.options['key_file'], stall_limit='60s')
    project = Project(first, engine, 'cut-off')
    job = in_step(first, project, 'converge', {'app': slow()})
    second.start()
    before = owner(postgres, first, job)
    way.close()
    eventually('ready says which', lambda: 'docker' in first.not_up())
    for n in range(4):
        project.deploy({'app': hello()}, stack=f's{n}')
    eventually('the other one goes on', lambda: owner(postgres, first, job) not in ('', before), 20)
    assert first.job(job.id).attempt == 1
    assert first.log().count('job run begins') == 1
    slots = {d.id: d.slots for d in eventually('it says that it has no places', lambda: places(second, first))}
    assert slots[second.call('System', 'Info').instance] == 16
    os.unlink(way.path)
    way = Proxy(way.path, engine.socket)
    eventually('connected again', lambda: not first.not_up())
    second.call('Jobs', 'Cancel', id=job.id)
    assert first.wait(job.id).state == 'CANCELLED'
    second.stop()
    project.finish()
    assert first.log().count('job run begins') > 1
    first.stop()
    way.close()
