"""Schedules: who submits what is due, and what becomes of runs that were missed."""

import signal

import pytest
from daemon import Project, hello, name_of
from native_client import RpcError
from servers import eventually


def make_due(postgres, skepd, ago='0', where='true'):
    """Every schedule, so many seconds ago; and the daemons hear of it."""
    postgres.query(f"update schedules set next_at = now() - interval '{ago} seconds', due_at = now() - interval '{ago} seconds' "
                   f"where {where}; notify skep_schedules", skepd.database)


def outcomes(skepd, project):
    """{name: outcome}"""
    found = skepd.call('Schedules', 'List', project=project.name, page={'page_size': 100}).schedules
    return {s.name: name_of('ScheduleOutcome', s.last_outcome, 'schedules') for s in found}


def test_however_many_daemons_submit_once(new_daemon, engine, postgres):
    """Three daemons, twenty schedules due at once; one of the three sleeps in the middle and wakes later."""
    first = new_daemon().start()
    others = [new_daemon(database=first.database, key_file=first.options['key_file']).start() for _ in range(2)]
    project = Project(first, engine, 'often')
    project.deploy({'app': hello()})
    first.call('Jobs', 'Pause', project=project.name)  # what is submitted stays
    for i in range(20):
        first.call('Schedules', 'Create', project=project.name, name=f's{i}', stack='web', action=2, cron='0 3 1 1 *')

    def jobs():
        return postgres.query("select count(*) from deployment_jobs where created_by like 'schedule:%'", first.database)

    def all_are(outcome):
        return set(outcomes(first, project).values()) == {outcome}
    make_due(postgres, first)
    eventually('all are submitted', lambda: all_are('SUBMITTED'))
    assert jobs() == '20'
    make_due(postgres, first)
    eventually('the runs before have not ended', lambda: all_are('SKIPPED'))
    assert jobs() == '20'
    postgres.query("update deployment_jobs set state = 'cancelled', finished_at = now() where state = 'pending'", first.database)
    others[0].send(signal.SIGSTOP)
    make_due(postgres, first)
    eventually('the others go on', lambda: all_are('SUBMITTED'))
    others[0].send(signal.SIGCONT)
    eventually('it is awake', others[0].is_ready)
    assert jobs() == '40'
    postgres.query("update deployment_jobs set state = 'cancelled', finished_at = now() where state = 'pending'", first.database)
    # None was there for an hour: each by its policy.
    postgres.query("update schedules set missed = 'run_once' where name = 's7'", first.database)
    make_due(postgres, first, ago='3600')
    each = {f's{i}': 'SUBMITTED' if i == 7 else 'MISSED' for i in range(20)}
    eventually('all are seen to', lambda: outcomes(first, project) == each and jobs() == '41')
    first.call('Jobs', 'Resume', project=project.name)
    project.finish()
    for daemon in (first, *others):
        daemon.stop()


def test_a_schedule_scales(skepd, project, postgres, engine):
    project.deploy({'app': hello()})
    made = skepd.call('Schedules', 'Create', project=project.name, name='morning', stack='web', action=3, replicas={'app': 2},
                      cron='0 7 * * mon-fri', time_zone='Europe/Berlin')
    assert made.next_at.seconds > made.created_at.seconds
    make_due(postgres, skepd)
    job = eventually('it has run', lambda: skepd.call('Schedules', 'Get', project=project.name, name='morning').last_job_id)
    ended = skepd.wait(job)
    assert ended.state == 'SUCCEEDED' and len(engine.running(project.namespace())['app']) == 2
    told = skepd.call('Schedules', 'Get', project=project.name, name='morning')
    assert name_of('JobState', told.last_job_state, 'jobs') == 'SUCCEEDED' and told.next_at.seconds > told.last_at.seconds
    # The service leaves the text: the schedule's runs are refused, and say so.
    skepd.call('Schedules', 'Pause', project=project.name, name='morning')
    project.deploy({'other': hello()})
    skepd.call('Schedules', 'Resume', project=project.name, name='morning')
    make_due(postgres, skepd)
    told = eventually('it was refused', lambda: next(
        (s for s in skepd.call('Schedules', 'List', project=project.name).schedules if s.last_message), None))
    assert 'service "app" is not in stack "web"' in told.last_message
    project.remove()
    assert not skepd.call('Schedules', 'List', project=project.name).schedules  # they go with the stack


@pytest.mark.parametrize('fields, words', [
    ({'cron': '61 * * * *'}, '"61" as the minute'),
    ({'cron': '0 0 30 2 *'}, 'never comes'),
    ({'time_zone': '../../etc/passwd'}, 'there is no time zone'),
    ({'time_zone': 'Europe'}, 'there is no time zone'),
    ({'action': 3}, 'needs replicas'),
    ({'services': ['app']}, 'go with the action restart'),
    ({'stack': 'nowhere'}, 'stack "nowhere" does not exist'),
])
def test_mistakes_are_told(skepd, project, fields, words):
    with pytest.raises(RpcError, match=words):
        skepd.call('Schedules', 'Create', **{'project': project.name, 'name': 'x', 'stack': 'web', 'action': 1, 'cron': '@daily',
                                             **fields})
