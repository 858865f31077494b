"""The queue as its users see it: why a job waits, pauses, caps, retries by filter, what each attempt failed with; and who takes
over how soon."""

import re
import signal
import subprocess
import time

import pytest
from daemon import Project, hello, number_of, slow
from native_client import RpcError
from servers import binary, eventually


def waiting(skepd, project):
    """{stack: (reason, why, before)}"""
    told = skepd.call('Jobs', 'Stats', project=project.name).waiting
    return {w.job.stack: (w.reason, w.why, w.before) for w in told}


def reason(name):
    return number_of(f'WAIT_REASON_{name}', 'jobs')


def test_what_is_paused_waits_and_says_so(skepd, project):
    skepd.call('Jobs', 'Pause', project=project.name, reason='moving')
    job = project.submit({'app': hello()}).job
    assert waiting(skepd, project) == {'web': (reason('PAUSED'), 'the project is paused: moving', 0)}
    skepd.call('Jobs', 'Resume', project=project.name)
    assert skepd.wait(job.id).state == 'SUCCEEDED'
    assert not skepd.call('Jobs', 'Stats', project=project.name).pauses


def test_pause_names_one_thing(skepd, project):
    for fields in ({}, {'project': project.name, 'kind': 1}):
        with pytest.raises(RpcError, match='either a project or a kind'):
            skepd.call('Jobs', 'Pause', **fields)


def test_a_cap_holds_jobs_back(skepd, project):
    made = skepd.call('Projects', 'Update', project=project.name, weight=3, max_running=1)
    assert (made.weight, made.max_running) == (3, 1)
    first = project.submit({'app': slow()}, stack='a').job
    skepd.wait_step(first.id, 'converge')
    second = project.submit({'app': hello()}, stack='b').job
    behind = skepd.call('Stacks', 'Remove', stack=project.ref('a'))
    told = waiting(skepd, project)
    assert told['b'][:2] == (reason('PROJECT_CAP'), 'as many jobs of the project run as may at a time: 1')
    assert told['a'][0] == reason('STACK') and first.id in told['a'][1]
    raised = skepd.call('Projects', 'Update', project=project.name, max_running=2).updated_at.ToMicroseconds()
    ended = skepd.wait(second.id)
    assert ended.state == 'SUCCEEDED'
    assert ended.job.started_at.ToMicroseconds() - raised < 1000000  # not at the next sweep
    skepd.call('Jobs', 'Cancel', id=first.id)
    assert skepd.wait(behind.id).state == 'SUCCEEDED'


def test_failed_jobs_run_again_by_filter(skepd, project):
    job = project.submit({'app': hello(image='localhost/nowhere:1')}).job
    project.expect(job, 'FAILED')
    again = skepd.call('Jobs', 'RetryFailed', project=project.name).jobs
    assert [j.id for j in again] == [job.id]
    project.expect(job, 'FAILED')
    attempts = skepd.job(job.id).attempts
    assert [a.attempt for a in attempts] == [1, 2]
    assert all('No such image' in a.error and a.daemon and a.started_at.seconds for a in attempts)
    assert not skepd.call('Jobs', 'RetryFailed', project=project.name, kind=number_of('JOB_KIND_SCALE', 'jobs')).jobs
    with pytest.raises(RpcError, match='stack "other" does not exist'):
        skepd.call('Jobs', 'RetryFailed', project=project.name, stack='other')


def test_daemons_are_listed(skepd):
    me = skepd.call('System', 'Info').instance
    found = eventually('it has said that it lives', lambda: [d for d in skepd.call('Jobs', 'Stats').daemons if d.id == me])
    assert found[0].alive and found[0].slots == 16


def test_taken_over_within_five_seconds(new_daemon, engine, postgres):
    """With the lease as it is by default."""
    told = subprocess.run([binary('skepd'), 'config'], capture_output=True, text=True, check=True).stdout
    lease = re.search(r'job_lease .*\n +default: (\d+)s', told).group(1)
    first = new_daemon(stall_limit='60s', job_lease=f'{lease}s').start()
    second = new_daemon(database=first.database, key_file=first.options['key_file'], stall_limit='60s', job_lease=f'{lease}s').start()
    project = Project(first, engine, 'handover')
    job = project.submit({'app': slow()}).job
    first.wait_step(job.id, 'converge')
    query = f"select owner from deployment_jobs where id = '{job.id}'"
    before = postgres.query(query, first.database)
    dead, alive = (first, second) if first.call('System', 'Info').instance == before else (second, first)
    dead.send(signal.SIGKILL)
    begun = time.monotonic()
    eventually('the other one takes it', lambda: postgres.query(query, first.database) != before)
    assert time.monotonic() - begun < 5
    assert 'not heard of any more' in alive.job(job.id).attempts[0].error
    alive.call('Jobs', 'Cancel', id=job.id)
    assert alive.wait(job.id).state == 'CANCELLED'
    dead.kill9()
    dead.start()
    project.skepd = alive
    project.finish()
    first.stop()
    second.stop()



def test_a_watch_comes_to_its_end_although_its_events_have_left(skepd, project, postgres):
    skepd.call('Jobs', 'Pause', project=project.name)
    job = project.submit({'app': hello()}).job.id
    skepd.call('Jobs', 'Cancel', id=job)
    postgres.query(f"delete from events where job_id = '{job}'", skepd.database)
    told = skepd.wait(job, timeout=10)
    assert (told.state, told.events) == ('CANCELLED', [])
    skepd.call('Jobs', 'Resume', project=project.name)


def test_a_watch_finds_what_nobody_told_of(skepd, project, postgres):
    """Who stored it died behind his commit."""
    skepd.call('Jobs', 'Pause', project=project.name)
    job = project.submit({'app': hello()}).job.id
    with skepd.client(timeout=10) as client:
        watch = client.stream('Jobs', 'Watch', id=job)
        assert next(watch).event.kind == 'job.created'
        postgres.query(f"""
            with j as (update deployment_jobs set state = 'cancelled', finished_at = now(), last_sequence = last_sequence + 1
              where id = '{job}' returning *)
            insert into events (project_id, stack_id, job_id, job_sequence, kind, state, message)
            select project_id, stack_id, id, last_sequence, 'job.ended', state, 'by hand' from j""", skepd.database)
        told = list(watch)
    assert told[-2].event.message == 'by hand'
    assert told[-1].job.state == number_of('JOB_STATE_CANCELLED', 'jobs')
    skepd.call('Jobs', 'Resume', project=project.name)


def test_the_archive_is_read_like_the_rest(skepd, project, postgres):
    """Get, List, Watch and Retry reach jobs there; a page that was dropped since is not told as one with a hole."""
    skepd.call('Jobs', 'Pause', project=project.name)
    jobs = []
    for _ in range(2):
        jobs.append(project.submit({'app': hello()}).job.id)
        skepd.call('Jobs', 'Cancel', id=jobs[-1])
    assert int(postgres.query("select skep_archive_jobs('0', '9600 hours', 1000)", skepd.database)) > 0
    old = skepd.job(jobs[0])
    assert (old.project, old.stack, old.state) == (project.name, 'web', number_of('JOB_STATE_CANCELLED', 'jobs'))
    told = skepd.wait(jobs[0], timeout=10)
    assert told.state == 'CANCELLED' and [e.kind for e in told.events][-1] == 'job.ended'
    first = skepd.call('Jobs', 'List', project=project.name, page={'page_size': 1}, kinds=[1], created_after={'seconds': 1})
    assert first.jobs[0].id == jobs[1]
    page = {'page_size': 1, 'page_token': first.next_page_token}
    assert skepd.call('Jobs', 'List', project=project.name, page=page).jobs[0].id == jobs[0]
    for seconds in (-5, 0, 1):
        assert not skepd.call('Jobs', 'List', project=project.name, created_before={'seconds': seconds}).jobs
    assert not skepd.call('Jobs', 'List', project=project.name, created_after={'seconds': 253402300799}).jobs
    horizon = postgres.query('select id from job_horizon', skepd.database)
    postgres.query('update job_horizon set id = skep_uuid_floor(now())', skepd.database)
    with pytest.raises(RpcError, match='the page token is of a job that was dropped since') as refused:
        skepd.call('Jobs', 'List', page={'page_token': jobs[0]})
    assert refused.value.code == 'OUT_OF_RANGE'
    postgres.query(f"update job_horizon set id = '{horizon}'", skepd.database)
    assert skepd.call('Jobs', 'Retry', id=jobs[0]).state == number_of('JOB_STATE_PENDING', 'jobs')
    skepd.call('Jobs', 'Cancel', id=jobs[0])
    skepd.call('Jobs', 'Resume', project=project.name)
