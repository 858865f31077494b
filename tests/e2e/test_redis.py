"""Redis only wakes: down, emptied, replaced or full of nonsense, no job is lost, run twice or made up."""

import time

import pytest
from daemon import Project, hello, name_of, slow
from servers import Redis, eventually


@pytest.fixture
def own(new_daemon):
    """Two daemons that share a Redis of their own, and which of them could run a job is known: the first has one place."""
    redis = Redis()
    redis.start()
    first = new_daemon(redis=redis.url, job_slots=1, job_reserved=0).start()
    second = new_daemon(database=first.database, key_file=first.options['key_file'], redis=redis.url).start()
    yield redis, first, second
    first.stop()
    second.stop()
    redis.stop()
    redis.remove()


def began_after(skepd, project, stack):
    """Submits to the first daemon, which has no place: seconds until another one has begun."""
    begun = time.monotonic()
    job = project.submit({'app': hello()}, stack=stack).job
    eventually('it runs', lambda: skepd.job(job.id).started_at.seconds)
    took = time.monotonic() - begun
    assert skepd.wait(job.id).state == 'SUCCEEDED'
    return took


def test_redis_comes_and_goes(own, engine, postgres):
    redis, first, second = own
    project = Project(first, engine, 'rescue')
    busy = project.submit({'app': slow()}, stack='busy').job
    first.wait_step(busy.id, 'converge')
    second.call('Jobs', 'Stats')
    assert began_after(first, project, 'up') < 1
    redis.stop()
    eventually('they have noticed', lambda: 'redis' in first.not_up() and 'redis' in second.not_up())
    assert began_after(first, project, 'down') < 1  # by NOTIFY
    redis.start()
    eventually('they are back', lambda: not first.not_up() and not second.not_up())
    key = eventually('its name stands there', lambda: redis.command('GET', 'skep:instance'))
    # Nonsense, by hand: keys of wrong types and sizes, messages about what is not there.
    assert redis.command('FLUSHALL') == 'OK'
    eventually('a new name', lambda: redis.command('GET', 'skep:instance') not in ('', key))
    eventually('both have said so', lambda: all('Redis was emptied' in d.log() for d in (first, second)))
    redis.command('DEL', 'skep:instance')
    redis.command('RPUSH', 'skep:instance', 'x')
    eventually('a list is no name', lambda: redis.command('TYPE', 'skep:instance') == 'string')
    redis.command('SET', 'skep:instance', 'y' * 100000)
    eventually('nor is this', lambda: redis.command('STRLEN', 'skep:instance') == '36')
    jobs = postgres.query('select count(*) from deployment_jobs', first.database)
    for channel in ('skep:jobs:ready', 'skep:jobs:cancel'):
        for text in ('', 'x', 'y' * 100000, busy.id, busy.id[:-1] + 'f', '0' * 36, '\x7f' * 36, f'{project.id} 00000000-0000-7000-8000-000000000000'):
            redis.command('PUBLISH', channel, text)
    assert began_after(first, project, 'poison') < 1
    assert postgres.query('select count(*) from deployment_jobs', first.database) == str(int(jobs) + 1)
    still = first.job(busy.id)  # that anybody wrote its id into Redis is no reason to stop it
    assert name_of('JobState', still.state, 'jobs') == 'RUNNING' and not still.cancel_requested and not still.error
    first.call('Jobs', 'Cancel', id=busy.id)
    assert first.wait(busy.id).state == 'CANCELLED'
    project.finish()
    twice = postgres.query("select count(*) from deployment_jobs where epoch > 1", first.database)
    assert twice == '0'
