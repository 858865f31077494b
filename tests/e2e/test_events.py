"""The stream of all events: who comes back, to whichever daemon, misses none and sees none twice."""

import itertools
import subprocess
import threading

import pytest
from daemon import Project, hello
from native_client import RpcError
from servers import eventually


class Session:
    """A psql of its own, in whose transaction something is open."""

    def __init__(self, postgres, database):
        self.process = subprocess.Popen(['psql', '-h', postgres.dir, '-U', 'postgres', '-d', database, '-qAtX'], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, sql):
        """Returns when it has been run."""
        self.process.stdin.write(f'{sql};\n\\echo done\n')
        self.process.stdin.flush()
        assert self.process.stdout.readline() == 'done\n'

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture(scope='module')
def pair(new_daemon):
    """Two daemons on one database."""
    first = new_daemon().start()
    second = new_daemon(database=first.database, key_file=first.options['key_file']).start()
    yield first, second
    first.stop()
    second.stop()


def make_events(skepd, project, rounds, half):
    """Jobs that are made and cancelled: two events each. half(): in the middle of it."""
    for i in range(rounds):
        if i == rounds // 2:
            half()
        job = skepd.call('Stacks', 'Restart', stack=project.ref())
        skepd.call('Jobs', 'Cancel', id=job.id)


def test_none_is_missed_and_none_comes_twice(pair, engine, postgres):
    first, second = pair
    project = Project(first, engine, 'stream')
    project.deploy({'app': hello()})
    first.call('Jobs', 'Pause', project=project.name)  # what is submitted waits, and is cancelled
    with first.client() as client:
        token = next(client.stream('Events', 'Watch', project=project.name)).token
    begin = postgres.query('select coalesce(max(seq), 0) from events', first.database)
    late = Session(postgres, first.database)
    late.run("begin; insert into events (project_id, kind, message) select id, 'test.late', 'late' from projects")
    writer = threading.Thread(target=make_events, args=(second, project, 20, lambda: late.run('commit; begin')))
    writer.start()
    seen, daemons = [], itertools.cycle(pair)
    while len(seen) < 41:
        with next(daemons).client(timeout=20) as client:
            for message in itertools.islice(client.stream('Events', 'Watch', project=project.name, token=token), 4):
                token = message.token
                if message.HasField('event'):
                    seen.append((message.job_id, message.event.sequence, message.event.kind))
                if len(seen) == 41:  # no more messages will come
                    break
    writer.join()
    late.close()
    written = postgres.query(f"select coalesce(job_id::text, ''), job_sequence, kind from events where seq > {begin} "
                             f"and project_id = '{project.id}' order by xact, seq", first.database)
    assert [f'{job}|{number}|{kind}' for job, number, kind in seen] == written.splitlines()
    assert ('', 0, 'test.late') in seen
    with first.client() as client:  # and nothing is behind it
        assert not next(client.stream('Events', 'Watch', project=project.name, token=token)).HasField('event')
    first.call('Jobs', 'Resume', project=project.name)
    project.finish()


def test_none_is_missed_over_a_crash_of_postgres(pair, engine, postgres):
    """A server that crashed gives out again the transaction numbers of which it had written nothing: no position is among them."""
    first, second = pair
    project = Project(first, engine, 'crash')
    project.deploy({'app': hello()})
    first.call('Jobs', 'Pause', project=project.name)
    postgres.query(';'.join(['begin; select pg_current_xact_id(); rollback'] * 50), first.database)
    with first.client() as client:
        caught_up = next(client.stream('Events', 'Watch', project=project.name))
        token = next(client.stream('Events', 'Watch', project=project.name, token=caught_up.token)).token
    postgres.stop_immediately()
    for skepd in pair:
        eventually('it is missed', lambda s=skepd: 'postgres' in s.not_up())
    postgres.start()
    for skepd in pair:
        eventually('connected again', skepd.is_ready)
    job = second.call('Stacks', 'Restart', stack=project.ref())
    for position in (caught_up.token, token):
        with second.client() as client:
            message = next(client.stream('Events', 'Watch', project=project.name, token=position))
            assert (message.job_id, message.event.sequence) == (job.id, 1)
    first.call('Jobs', 'Resume', project=project.name)
    project.expect(job, 'SUCCEEDED')
    project.finish()


def test_live_events_come_at_once(pair, engine):
    first, second = pair
    project = Project(first, engine, 'live')
    with second.client() as client:
        stream = client.stream('Events', 'Watch', project=project.name, kinds=['job.ended'])
        assert not next(stream).HasField('event')
        job = project.submit({'app': hello()}).job
        message = next(stream)
        assert (message.job_id, message.stack, message.event.state) == (job.id, 'web', 'succeeded')
    project.finish()


def test_a_projects_token_sees_its_own(pair, engine):
    first, _ = pair
    mine, other = Project(first, engine, 'mine'), Project(first, engine, 'other')
    token = first.call('Auth', 'CreateToken', project=mine.name, name='t', role=1).secret
    with first.client(token) as client, pytest.raises(RpcError, match='does not exist'):
        next(client.stream('Events', 'Watch', project=other.name))
    first.call('Jobs', 'Pause', project=other.name)
    other.submit({'app': hello()})
    with first.client(token) as client:
        assert not next(client.stream('Events', 'Watch', since={'seconds': 1})).HasField('event')
    with first.client(token) as client, pytest.raises(RpcError, match='Begin anew'):
        next(client.stream('Events', 'Watch', token='99999999999999.1'))
    first.call('Jobs', 'Resume', project=other.name)
    other.finish()
    mine.finish()
