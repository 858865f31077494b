"""Each oracle is shown a history that is good and ones in which just its thing is wrong."""

import copy
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..', 'e2e')]

import checker  # noqa: E402
import history  # noqa: E402
import schedule  # noqa: E402
from history import Change, History, Kill, StackEnd, Submission, Watched, Write  # noqa: E402

D1, D2 = 'd1.1', 'd2.1'


def change(at, writer, before, state, epoch_before, epoch, job='j1', stack='s1', kind='deploy', cancel_only=False):
    return Change(at, writer, job, stack, 'p1', kind, before, state, epoch_before, epoch, writer, '', cancel_only)


def events(job, *kinds):
    return [{'job': job, 'sequence': n, 'kind': kind, 'message': '', 'state': '', 'step': ''} for n, kind in enumerate(kinds, 1)]


def row(job, state, epoch, last, kind='deploy', project='alpha', stack='a'):
    return {'id': job, 'project': project, 'stack': stack, 'kind': kind, 'state': state, 'epoch': epoch, 'attempt': 1,
            'last_sequence': last, 'created_by': 'unix:root', 'error': '', 'takeovers': 0}


@pytest.fixture
def good():
    """j1: d1 dies over it, d2 goes on and ends it. j2, of another stack: failed, retried by hand, succeeded."""
    j1 = events('j1', 'job.created', 'job.started', 'job.resumed', 'job.ended')
    j2 = events('j2', 'job.created', 'job.started', 'job.ended', 'job.retried', 'job.started', 'job.ended')
    return History(
        is_read=True,
        submissions=[Submission('r1', 'Deploy', 'alpha', 'a', job='j1', again=['j1'], unknown=1),
                     Submission('r2', 'Scale', 'alpha', 'b', job='j2'),
                     Submission('r3', 'Retry', 'alpha', 'b', about='j2', job='j2'),
                     Submission('r4', 'Restart', 'alpha', 'c', refusal='FAILED_PRECONDITION: no')],
        audit=[{'request_id': 'r1', 'method': '/skep.v1.Stacks/Deploy', 'job': 'j1', 'jobs': None},
               {'request_id': 'r2', 'method': '/skep.v1.Stacks/Scale', 'job': 'j2', 'jobs': None},
               {'request_id': 'r3', 'method': '/skep.v1.Jobs/Retry', 'job': 'j2', 'jobs': None}],
        changes=[change(1, D1, '', 'pending', 0, 0), change(2, D1, 'pending', 'running', 0, 1),
                 change(2.5, D1, 'running', 'running', 1, 1), change(2.6, D2, 'running', 'running', 1, 1, cancel_only=True),
                 change(6, D2, 'running', 'running', 1, 2), change(8, D2, 'running', 'succeeded', 2, 2),
                 change(9, D1, '', 'pending', 0, 0, 'j2', 's2', 'scale'), change(9.1, D2, 'pending', 'running', 0, 1, 'j2', 's2', 'scale'),
                 change(9.2, D2, 'running', 'failed', 1, 1, 'j2', 's2', 'scale'),
                 change(9.3, D1, 'failed', 'pending', 1, 1, 'j2', 's2', 'scale'),
                 change(9.4, D2, 'pending', 'running', 1, 2, 'j2', 's2', 'scale'),
                 change(9.5, D2, 'running', 'succeeded', 2, 2, 'j2', 's2', 'scale')],
        jobs=[row('j1', 'succeeded', 2, 4), row('j2', 'succeeded', 2, 6, 'scale', stack='b')], events=j1 + j2,
        watched=[Watched('j1', 0, [(e['sequence'], e['kind'], '') for e in j1], 'SUCCEEDED', 3),
                 Watched('j2', 0, [(e['sequence'], e['kind'], '') for e in j2[:3]], 'FAILED', 1),
                 Watched('j2', 3, [(e['sequence'], e['kind'], '') for e in j2[3:]], 'SUCCEEDED', 1)],
        attempts=[{'job': 'j1', 'epoch': 1, 'error': 'its daemon was lost', 'error_code': 'UNAVAILABLE'},
                  {'job': 'j2', 'epoch': 1, 'error': 'no', 'error_code': 'INTERNAL'}],
        writes=[Write(2.4, 'svc', 'a_app', 10, 'j1', 1, 'x'), Write(7, 'svc', 'a_app', 20, 'j1', 2, 'y'),
                Write(9.15, 'other', 'b_app', 30, 'j2', 1, 'z')],
        kills=[Kill(3, D1, True, 9)], projects={'p1': 1}, slots=2, reserved=1,
        logs={'d1': [(0, 'started', '', '', 0), (2, 'begins', 'j1', 'deploy', 1)],
              'd2': [(0, 'started', '', '', 0), (6, 'begins', 'j1', 'deploy', 2), (8, 'over', 'j1', 'deploy', 0),
                     (9.1, 'begins', 'j2', 'scale', 1), (9.2, 'over', 'j2', 'scale', 0), (9.4, 'begins', 'j2', 'scale', 2),
                     (9.5, 'over', 'j2', 'scale', 0)]},
        stacks=[StackEnd('then', 'alpha', 'a', 'RUNNING', '', 1, False, {'app': 'm1'}, {'app': 'm1'}),
                StackEnd('then', 'alpha', 'b', 'DEGRADED', 'it says why', 1, True, {'app': 'm1'}, {})],
        peak_rss={'d1': 50 << 20}, rss_limit=64 << 20)


def replace(h, name, index, **fields):
    thing = getattr(h, name)[index]
    for key, value in fields.items():
        if isinstance(thing, dict):
            thing[key] = value
        else:
            setattr(thing, key, value)


def double(h, name, index):
    things = getattr(h, name)
    things.insert(index, copy.deepcopy(things[index]))


BAD = {
    'accepted_jobs_are_there': {
        'lost': lambda h: h.jobs.pop(0),
        'not ended': lambda h: replace(h, 'jobs', 0, state='running'),
        'never answered': lambda h: replace(h, 'submissions', 3, refusal=''),
        'another job for the same request': lambda h: replace(h, 'submissions', 0, again=['j9']),
        'refused when it was repeated': lambda h: replace(h, 'submissions', 0, again=['NOT_FOUND: no']),
    },
    'jobs_end_once': {
        'twice': lambda h: h.changes.insert(6, change(8.5, D1, 'running', 'failed', 2, 2)),
        'two events of it': lambda h: replace(h, 'events', 2, kind='job.ended'),
        'none': lambda h: h.changes.pop(5),
        'runs again by itself': lambda h: h.changes.append(change(12, D1, 'succeeded', 'running', 2, 3)),
    },
    'no_job_is_invented': {
        'nobody asked': lambda h: h.jobs.append(row('j3', 'succeeded', 1, 3)),
        'done twice': lambda h: double(h, 'audit', 0),
        'refused and done': lambda h: h.audit.append({'request_id': 'r4', 'method': '/skep.v1.Stacks/Restart', 'job': 'j2', 'jobs': None}),
        'no audit': lambda h: h.audit.pop(),
        'retried by itself': lambda h: h.submissions.pop(2),
    },
    'epochs_follow_one_another': {
        'two claims with one number': lambda h: replace(h, 'changes', 4, epoch=1, epoch_before=0),
        'one left out': lambda h: replace(h, 'changes', 4, epoch=3),
        'the old owner writes': lambda h: replace(h, 'changes', 5, writer=D1),
        'somebody else writes': lambda h: replace(h, 'changes', 3, cancel_only=False),
        'under an old number': lambda h: replace(h, 'changes', 5, epoch=1, epoch_before=1),
    },
    'stacks_keep_their_order': {
        'a newer one first': lambda h: h.changes.insert(1, change(1.5, D1, '', 'pending', 0, 0, 'j0')),
        'before one that was run once more long ago': lambda h: h.changes.append(change(9.35, D1, '', 'pending', 0, 0, 'j3', 's2')) or
        h.changes.append(change(9.9, D1, 'pending', 'running', 0, 1, 'j3', 's2')) or h.changes.pop(-3) and h.changes.pop(-3),
        'beside the one that runs': lambda h: [setattr(c, 'stack', 's1') for c in h.changes] and
        replace(h, 'changes', 7, at=7) or h.changes.sort(key=lambda c: c.at),
    },
    'attempts_are_kept': {
        'of a lost daemon': lambda h: h.attempts.pop(0),
        'of a failure': lambda h: h.attempts.pop(),
        'without a reason': lambda h: replace(h, 'attempts', 1, error=''),
    },
    'caps_hold': {
        'project': lambda h: replace(h, 'changes', 7, at=7) or h.changes.sort(key=lambda c: c.at),
        'stack': lambda h: h.projects.clear() or [setattr(c, 'stack', 's1') for c in h.changes] and
        replace(h, 'changes', 7, at=7) or h.changes.sort(key=lambda c: c.at),
        'kind': lambda h: h.projects.clear() or [setattr(c, 'kind', 'housekeeping') for c in h.changes] and
        replace(h, 'changes', 7, at=7) or h.changes.sort(key=lambda c: c.at),
    },
    'slots_hold': {
        'too many': lambda h: h.logs['d2'].__delitem__(slice(2, 3)) or setattr(h, 'slots', 1),
        'a reserved one': lambda h: h.logs['d2'].pop(2),
    },
    'one_epoch_writes_a_service': {
        'behind the next': lambda h: h.writes.append(Write(7.1, 'svc', 'a_app', 21, 'j1', 1, 'w')),
        'after its end': lambda h: replace(h, 'writes', 1, at=11),
        'late, of an epoch that another has taken over': lambda h: replace(h, 'writes', 0, at=7.9),
        'a claim that never was': lambda h: replace(h, 'writes', 1, epoch=7),
    },
    'swarm_is_as_released': {
        'a service is missing': lambda h: replace(h, 'stacks', 0, found={}),
        'an older one': lambda h: replace(h, 'stacks', 0, found={'app': 'm0'}),
        'it does not run': lambda h: replace(h, 'stacks', 0, status='DEPLOYING'),
        'it drifts': lambda h: replace(h, 'stacks', 0, drift=['replicas']),
        'of a stack that never ran something is there': lambda h: replace(h, 'stacks', 0, release=0, expected={}),
    },
    'nothing_is_left': {'a network': lambda h: h.left.update({'alpha-a': ['alpha-a_back']})},
    'events_are_whole': {
        'one is missing in the database': lambda h: h.events.pop(1),
        'one is there twice': lambda h: double(h, 'events', 1),
        'one step is told twice': lambda h: [replace(h, 'events', n, kind='job.step', step='x') for n in (5, 6)],
        'a watcher misses one': lambda h: h.watched[0].events.pop(1),
        'a watcher sees one twice': lambda h: double(h.watched[0], 'events', 1),
        'a watcher misses the first': lambda h: h.watched[0].events.pop(0),
        'a watcher misses the last': lambda h: h.watched[0].events.pop(),
        'a watcher sees another one': lambda h: h.watched[0].events.__setitem__(1, (2, 'job.resumed', '')),
        'a watcher never hears of the end': lambda h: replace(h, 'watched', 0, state=''),
        'a watcher is refused': lambda h: replace(h, 'watched', 0, trouble='NOT_FOUND: no'),
    },
    'takeovers_are_quick': {
        'slow': lambda h: replace(h, 'kills', 0, at=2.7) or [setattr(c, 'at', c.at + 2) for c in h.changes[4:]],
        'never': lambda h: replace(h, 'kills', 0, until=5),
    },
    'memory_is_bounded': {'it grew': lambda h: h.peak_rss.update(d1=65 << 20)},
    'nothing_went_wrong': {'an answer nobody should get': lambda h: h.wrong.append('Deploy r1 was answered INTERNAL')},
}


def test_a_good_history_passes(good):
    assert {name: words for name, words in checker.check(good).items() if words} == {}


def test_every_oracle_has_a_bad_history():
    assert {oracle.__name__ for oracle in checker.ORACLES} == set(BAD)


@pytest.mark.parametrize('oracle, what', [(oracle, what) for oracle, cases in BAD.items() for what in cases])
def test_a_bad_history_is_found(good, oracle, what):
    BAD[oracle][what](good)
    assert checker.check(good)[oracle], f'{oracle} does not see: {what}'


def test_what_is_not_promised_is_not_asked_for(good):
    """A takeover when the machine had no time, or something else was broken; a write of the way back; a request that stood still;
    the place of a takeover; the place of a job that is run once more while the next one is claimed."""
    retry = good.changes.index(next(c for c in good.changes if c.before == 'failed'))
    good.changes[retry + 1:retry + 1] = [change(9.31, D1, '', 'pending', 0, 0, 'j3', 's2'), change(9.32, D1, 'pending', 'running', 0, 1, 'j3', 's2'),
                                         change(9.33, D1, 'running', 'succeeded', 1, 1, 'j3', 's2')]
    good.projects.clear()
    good.submissions.append(Submission('r5', 'Deploy', 'alpha', 'b', job='j3'))
    good.audit.append({'request_id': 'r5', 'method': '/skep.v1.Stacks/Deploy', 'job': 'j3', 'jobs': None})
    good.jobs.append(row('j3', 'succeeded', 1, 3, stack='b'))
    good.events += events('j3', 'job.created', 'job.started', 'job.ended')
    good.kills.append(Kill(2.7, D1, False))
    good.kills.append(Kill(7.99, D2, True, 9))  # it had sent the end of j1
    replace(good, 'kills', 0, until=5, lateness=1)
    good.writes.append(Write(7.5, 'svc', 'a_app', 21, 'j1', 1, 'x'))  # as it was in version 10
    replace(good, 'writes', 0, at=7.9)
    good.freezes.append((5, 7.9))
    good.logs['d2'].insert(1, (5, 'begins', 'j0', 'remove', 1))
    assert {name: words for name, words in checker.check(good).items() if words} == {}


def test_nothing_is_said_of_an_unread_database(good):
    good.is_read = False
    assert all(words for name, words in checker.check(good).items() if name != 'nothing_went_wrong')


def test_a_history_can_be_stored(good, tmp_path):
    good.store(tmp_path / 'history.json')
    assert {k: v for k, v in checker.check(history.load(tmp_path / 'history.json')).items() if v} == {}


def test_a_log_is_read():
    text = ('ts=2026-11-29T20:22:43.667Z level=info msg="listening" socket=/s\n'
            'ts=2026-11-29T20:22:44.403Z level=info msg="job run begins" job=j1 kind=deploy stack=web epoch=2 after_step=""\n'
            'ts=2026-11-29T20:22:45.850Z level=info msg="job run ends" job=j1 kind=deploy\n'
            'ts=2026-11-29T20:22:45.853Z level=info msg="job run over" job=j1 kind=deploy stack=web outcome=finished error=""\n')
    assert [line[1:] for line in history.read_log(text)] == [
        ('started', '', '', 0), ('begins', 'j1', 'deploy', 2), ('over', 'j1', 'deploy', 0), ('over', 'j1', 'deploy', 0)]


def test_a_seed_is_a_schedule():
    def made(seed):
        return [str(e) for e in schedule.make(schedule.random.Random(seed), 300)]
    assert made(1) == made(1) != made(2)
    assert sum('busiest' in line for line in made(1)) >= 3
    events = schedule.make(schedule.random.Random(1), 300)
    for clean in (e for e in events if e.target == 'busiest'):
        assert not [str(e) for e in events if e is not clean and e.at < clean.until and e.until > clean.at - schedule.CALM_S]
