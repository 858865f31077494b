"""The jobs in Redis before the real bull-board: what it shows is what there is, also after Redis was emptied; nothing it does does anything."""

import http.client
import itertools
import json
import os
import shutil
import urllib.parse

import pytest

from daemon import Project, hello, slow
from peers import FOLDER
from servers import ROOT, Redis, Server, eventually

PREFIX = 'bull'
SECRET = 'sesame-do-not-tell'
numbers = itertools.count(1)


class Board(Server):
    """The real one, by node."""

    def __init__(self, redis, *queues):
        super().__init__('board')
        if not shutil.which('node') or not os.path.isdir(f'{FOLDER}/node_modules/@bull-board/express'):
            pytest.skip('there is no bull-board: tools/setup --with clients, which needs Node.js and an npm registry')
        self.run(['node', f'{ROOT}/tests/peers/board.js', FOLDER, redis.socket, PREFIX, *queues])
        self.port = int(eventually('bull-board listens', lambda: self.log().strip()))

    def call(self, path, method='GET', **query):
        client = http.client.HTTPConnection('127.0.0.1', self.port, timeout=20)
        try:
            client.request(method, f'/api/{path}?{urllib.parse.urlencode(query)}')
            answer = client.getresponse()
            text = answer.read()
            assert answer.status < 300, f'{path}: {answer.status} {text}'
            return json.loads(text) if text.startswith(b'{') else None
        finally:
            client.close()

    def queue(self, name):
        """What its page of this queue shows: the counts that are not 0, and all jobs by id."""
        queues = self.call('queues', activeQueue=name, status='latest', page=1, jobsPerPage=100)['queues']
        found = next(q for q in queues if q['name'] == name)
        counts = {place: n for place, n in found['counts'].items() if n}
        return counts, {job['id']: job for job in found['jobs']}, found

    def state(self, queue, job):
        return self.call(f'queues/{queue}/{job}')['status']


@pytest.fixture(scope='module')
def own():
    redis = Redis()
    redis.start()
    yield redis
    redis.stop()
    redis.remove()


@pytest.fixture(scope='module')
def board(own):
    made = Board(own, 'skep-deploy', 'skep-scale', 'skep-remove')
    yield made
    made.end()
    made.remove()


@pytest.fixture(scope='module')
def skepd(new_daemon, own):
    made = new_daemon(redis=own.url, bull_board=PREFIX, job_slots=2, job_reserved=0).start()
    yield made
    made.stop()


def ms(stamp):
    return stamp.seconds * 1000 + stamp.nanos // 1000000


@pytest.fixture
def stage(own, skepd, engine):
    """(project, {job: where bull-board has to show it}): one of each kind. Two run, and no more may."""
    project = Project(skepd, engine, f'stage-{next(numbers)}')
    skepd.call('Projects', 'Update', project=project.name, max_running=2)
    good = project.deploy({'app': hello(environment={'PASSWORD': SECRET})}, stack='good').job
    bad = project.deploy({'app': hello(image=f'localhost/{SECRET}:1')}, stack='bad', expect='FAILED').job
    assert SECRET in bad.error
    running = [project.submit({'app': slow()}, stack=f'slow-{i}').job for i in range(2)]
    for job in running:
        skepd.wait_step(job.id, 'converge')
    waiting = [project.submit({'app': hello()}, stack=f'wait-{i}').job for i in range(3)]
    skepd.call('Jobs', 'Cancel', id=waiting[1].id)
    yield project, {good.id: 'completed', bad.id: 'failed', running[0].id: 'active', running[1].id: 'active',
                    waiting[0].id: 'waiting', waiting[1].id: 'failed', waiting[2].id: 'waiting'}
    project.finish()
    own.command('FLUSHALL')  # a project that is gone leaves the view when that is made anew


def check(skepd, board, places):
    """Of each job: where it stands, its name, its times, how it ended."""
    counts, jobs, queue = board.queue('skep-deploy')
    expected = list(places.values())
    assert set(jobs) == set(places) and counts == {place: expected.count(place) for place in expected}, counts
    for number, place in places.items():
        job, shown = skepd.job(number), jobs[number]
        assert board.state('skep-deploy', number) == place
        assert shown['name'] == f'{job.project}/{job.stack}'
        assert shown['data'] == {'kind': 'deploy', 'project': job.project, 'project_id': job.project_id, 'stack': job.stack,
                                 'stack_id': job.stack_id, 'release': job.release, 'release_id': shown['data']['release_id']}
        times = [ms(job.created_at), ms(job.started_at), ms(job.finished_at)]
        assert [shown['timestamp'], shown.get('processedOn', 0), shown.get('finishedOn', 0)] == times
        assert shown['isFailed'] == (place == 'failed')
        assert shown['progress'] == (100 if place == 'completed' else job.percent)
        assert shown['attempts'] == (0 if place == 'active' else job.attempt)
        if place == 'failed':
            why = 'cancelled' if job.error_code == 'CANCELLED' else job.error_code
            assert shown['failedReason'].startswith(why) and f'skep job get {number}' in shown['failedReason']
    return queue


def all_shown(skepd, board, places):
    return eventually('bull-board shows them all', lambda: check(skepd, board, places))


def go_on(skepd, places):
    """What runs is cancelled, and what waits comes to its end."""
    running, waiting = ([n for n, place in places.items() if place == which] for which in ('active', 'waiting'))
    for number in running:
        skepd.call('Jobs', 'Cancel', id=number)
    for number in running + waiting:
        ended = skepd.wait(number)
        places[number] = 'completed' if ended.state == 'SUCCEEDED' else 'failed'
    assert [places[number] for number in running + waiting] == ['failed', 'failed', 'completed', 'completed']


def test_it_shows_what_there_is(board, own, skepd, stage):
    project, places = stage
    queue = all_shown(skepd, board, places)
    assert queue['hasWorkers'] and not queue['isPaused']
    assert len(board.call('queues/skep-deploy/workers')['workers']) == 1
    # Emptied: all of it comes back, from PostgreSQL.
    skepd.call('Jobs', 'Pause', kind=1)
    own.command('FLUSHALL')
    assert all_shown(skepd, board, places)['isPaused']
    skepd.call('Jobs', 'Resume', kind=1)
    eventually('it is paused no more', lambda: not board.queue('skep-deploy')[2]['isPaused'])
    # What the tenant wrote stands nowhere.
    dump = own.dump()
    assert SECRET.encode() not in dump and b'slow-0' in dump


def test_what_it_does_has_no_effect(board, own, skepd, stage, postgres):
    project, places = stage
    all_shown(skepd, board, places)

    def rows():
        return postgres.query('select id, state, epoch, attempt, cancel_requested from deployment_jobs order by id',
                              skepd.database).splitlines()
    before = rows()
    number = {place: number for number, place in places.items()}
    queue = 'queues/skep-deploy'
    board.call(f'{queue}/{number["failed"]}/retry', 'PUT')
    assert board.state('skep-deploy', number['failed']) == 'waiting'
    board.call(f'{queue}/clean/completed', 'PUT')
    board.call(f'{queue}/pause', 'PUT')
    board.call(f'{queue}/empty', 'PUT')
    counts = board.queue('skep-deploy')[0]
    assert 'waiting' not in counts
    # Nonsense by hand, of the wrong types too.
    own.command('RPUSH', f'{PREFIX}:skep-deploy:wait', 'x', 'y')
    own.command('DEL', f'{PREFIX}:skep-deploy:completed')
    own.command('SET', f'{PREFIX}:skep-deploy:completed', 'x')
    places[project.submit({'app': hello()}, stack='more').job.id] = 'waiting'
    own.command('SET', f'{PREFIX}:skep-view', 'x')
    all_shown(skepd, board, places)
    assert rows()[:-1] == before


def test_a_dead_writer_and_a_dead_redis(board, own, skepd, stage, new_daemon):
    project, places = stage
    second = new_daemon(database=skepd.database, key_file=skepd.options['key_file'], redis=own.url, bull_board=PREFIX, job_slots=1,
                        job_reserved=0).start()
    all_shown(skepd, board, places)
    assert len(board.call('queues/skep-deploy/workers')['workers']) == 2
    skepd.kill9()
    project.skepd = second
    go_on(second, places)
    all_shown(second, board, places)
    own.stop()
    places[project.deploy({'app': hello()}, stack='meanwhile').job.id] = 'completed'
    own.start()
    all_shown(second, board, places)
    skepd.start()
    project.skepd = skepd
    second.stop()
