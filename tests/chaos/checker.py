"""The oracles. Each takes the whole history of a run and returns, in words, what in it must not be; nothing it says is about how
long something took unless docs/jobs.md promises that. test_checker.py shows each of them a bad history."""

import collections

ENDED = ('succeeded', 'failed', 'cancelled')
SHORT = ('remove', 'rollback', 'renew_certificate', 'publish_routes', 'housekeeping')  # may use the reserved places
KIND_IN_PROJECT = {'build': 2, 'renew_certificate': 4, 'publish_routes': 1, 'housekeeping': 1}
TAKEOVER_S = 5.0
LATE_S = 0.5        # the harness itself was so late: the machine was too busy for any promise about time
RACE_S = 0.5        # a claim may have looked before a retry was committed, and be committed behind it
STALE_S = 1.5       # a request that was sent in time may take so long to be done


def by_job(things):
    found = collections.defaultdict(list)
    for thing in things:
        found[thing['job'] if isinstance(thing, dict) else thing.job].append(thing)
    return found


# -- jobs -------------------------------------------------------------------------------------------------------------

def accepted_jobs_are_there(h):
    """What was accepted is in the database, once a request, and has ended."""
    jobs = {j['id']: j for j in h.jobs}
    for s in h.submissions:
        if not s.answered():
            yield f'{s.request_id} ({s.method}) was never answered, after {s.tries} tries'
        elif s.job and s.job not in jobs:
            yield f'job {s.job} was accepted ({s.request_id}, {s.method}) and is lost'
        for other in s.again:
            if other != s.job:
                yield f'{s.request_id} ({s.method}) was answered job {s.job}, and when it was repeated {other}'
    for j in h.jobs:
        if j['state'] not in ENDED:
            yield f'job {j["id"]} ({j["kind"]}) has not ended: it is {j["state"]}'


def jobs_end_once(h):
    """Every way through the states ends once, and goes on only where somebody asked for it."""
    changes, events = by_job(h.changes), by_job(h.events)
    for j in h.jobs:
        ends = retries = 0
        for c in changes[j['id']]:
            if c.before in ENDED and c.state != c.before:
                retries += 1
                if c.state != 'pending':
                    yield f'job {c.job} went from {c.before} to {c.state}, by {c.writer}'
            if c.state in ENDED and c.before not in ENDED:
                ends += 1
        kinds = collections.Counter(e['kind'] for e in events[j['id']])
        if ends != retries + (j['state'] in ENDED) or ends != kinds['job.ended']:
            yield f'job {j["id"]} ended {ends} times, was retried {retries} times, and tells of {kinds["job.ended"]} ends'


def no_job_is_invented(h):
    """Every job, and every run after its end, was asked for by somebody, once for each request."""
    asked = {s.request_id: s for s in h.submissions}
    made, audits = {}, collections.Counter()
    for a in h.audit:
        if a['request_id'] in asked:
            audits[a['request_id']] += 1
            if a['method'].startswith('/skep.v1.Stacks/'):
                made[a['job']] = asked[a['request_id']]
    for request, n in audits.items():
        if n > 1:
            yield f'request {request} ({asked[request].method}) was done {n} times'
        if asked[request].refusal and not asked[request].unknown:
            yield f'request {request} ({asked[request].method}) was refused and done: {asked[request].refusal}'
    for s in h.submissions:
        if s.job and not audits[s.request_id]:
            yield f'{s.request_id} ({s.method}) was accepted, and the audit does not know of it'
    for j in h.jobs:
        if j['id'] not in made:
            yield f'job {j["id"]} ({j["kind"]} of {j["project"]}/{j["stack"]}, by {j["created_by"]}): nobody asked for it'
    retried = collections.Counter(e['job'] for e in h.events if e['kind'] == 'job.retried')
    may = collections.Counter(s.about for s in h.submissions if s.method == 'Retry' and (s.job or s.unknown))
    for job, n in retried.items():
        if n > may[job]:
            yield f'job {job} was retried {n} times, and {may[job]} calls asked for it'


def epochs_follow_one_another(h):
    """Each claim has the next number, and between two of them only who claimed writes."""
    for job, changes in by_job(h.changes).items():
        epoch, writer = 0, ''
        for c in changes:
            if c.is_claim():
                if c.epoch != epoch + 1 or c.state != 'running':
                    yield f'job {job}: behind epoch {epoch} comes {c.epoch}, {c.state}, by {c.writer}'
                epoch, writer = c.epoch, c.writer
            elif c.epoch != epoch:
                yield f'job {job}: {c.writer} wrote under epoch {c.epoch}, and it is {epoch}'
            elif c.before == 'running' and not c.cancel_only and c.writer != writer:
                yield f'job {job}, epoch {epoch}: claimed by {writer}, written by {c.writer} ({c.before} → {c.state})'


def stacks_keep_their_order(h):
    """No job begins while an older one of its stack waits or runs. (Ids sort by their making.) One that was run once more by
    hand in the same moment may come too late for that."""
    open_, retried = collections.defaultdict(set), {}
    for c in h.changes:
        if c.before in ENDED and c.state == 'pending':
            retried[c.job] = c.at
        if c.state in ENDED:
            open_[c.stack].discard(c.job)
        elif c.stack:
            older = [job for job in open_[c.stack] if job < c.job and c.at - retried.get(job, 0) > RACE_S]
            if c.before == 'pending' and c.state == 'running' and older:
                yield f'job {c.job} of stack {c.stack} began at {c.at:.3f} before {min(older)}'
            open_[c.stack].add(c.job)


def attempts_are_kept(h):
    """Of each that did not succeed: it failed, it was cancelled, its daemon was lost."""
    kept = {(a['job'], a['epoch']): a for a in h.attempts}
    for c in h.changes:
        lost = c.is_claim() and c.before == 'running'
        if not lost and (c.before != 'running' or c.state not in ('failed', 'cancelled')):
            continue
        a = kept.get((c.job, c.epoch_before))
        if not a or not a['error'] or not a['error_code']:
            yield f'job {c.job}, epoch {c.epoch_before}, {"lost" if lost else c.state}: of this attempt is kept {a}'


# -- caps -------------------------------------------------------------------------------------------------------------

def running_changes(h):
    """(commit, change, +1 | -1) of each job that begins or stops to be running."""
    for c in h.changes:
        if c.state == 'running' and c.before != 'running':
            yield c, 1
        elif c.before == 'running' and c.state != 'running':
            yield c, -1


def caps_hold(h):
    """At every instant, in the order of commits."""
    running = collections.Counter()
    for c, step in running_changes(h):
        project, kind, stack = ('project', c.project), ('kind', c.project, c.kind), ('stack', c.stack)
        for key in (project, kind, stack):
            running[key] += step
        if step < 0:
            continue
        most = h.projects.get(c.project, 0)
        if most and running[project] > most:
            yield f'{running[project]} jobs of project {c.project} ran, and {most} may: at {c.at:.3f}, job {c.job}'
        if running[kind] > KIND_IN_PROJECT.get(c.kind, 1 << 30):
            yield f'{running[kind]} jobs of kind {c.kind} of project {c.project} ran: at {c.at:.3f}, job {c.job}'
        if c.stack and running[stack] > 1:
            yield f'{running[stack]} jobs of stack {c.stack} ran: at {c.at:.3f}, job {c.job}'


def slots_hold(h):
    """As each daemon's log tells of its runs. What a dead daemon has left may be taken over into a reserved place."""
    fresh = {(c.job, c.epoch) for c in h.changes if c.is_claim() and c.before != 'running'}
    for daemon, lines in h.logs.items():
        runs = {}
        for at, what, job, kind, epoch in lines:
            if what == 'started':
                runs.clear()
            elif what == 'over':
                runs.pop(job, None)
            else:
                runs[job] = kind
            long = sum(k not in SHORT for k in runs.values())
            if len(runs) > h.slots:
                yield f'{daemon} ran {len(runs)} jobs at {at:.3f}, and has {h.slots} places'
            elif what == 'begins' and kind not in SHORT and long > h.slots - h.reserved and (job, epoch) in fresh:
                yield f'{daemon} ran {long} long jobs at {at:.3f}, and {h.reserved} of {h.slots} places are reserved'


# -- the Engine -------------------------------------------------------------------------------------------------------

def claims_of(h):
    """{(job, epoch): its place among all claims, from, until (the next claim or the end of this one)}"""
    found, open_ = {}, {}
    for place, c in enumerate(h.changes):
        if c.is_claim() or (c.before == 'running' and c.state != 'running'):
            old = open_.pop(c.job, None)
            if old:
                old[2] = c.at
        if c.is_claim():
            found[c.job, c.epoch] = open_[c.job] = [place, c.at, float('inf')]
    return found


def stood_still(h, since, until):
    return any(a < until and b > since for a, b in h.freezes)


def one_epoch_writes_a_service(h):
    """A service's versions come from claims in their order; nothing is written by one that is over. The way back of a scale or
    restart writes what there was, labels and all: then the same spec was there before."""
    claims, seen = claims_of(h), collections.defaultdict(list)
    for w in sorted(h.writes, key=lambda w: (w.service, w.version)):
        before = seen[w.service]
        back = w.by_engine or any(b.spec == w.spec for b in before)
        before.append(w)
        if not w.job or back:
            continue
        if (w.job, w.epoch) not in claims:
            yield f'service {w.name}: version {w.version} is of job {w.job}, epoch {w.epoch}, which never was'
            continue
        place, _, until = claims[w.job, w.epoch]
        for b in before[:-1]:
            if (b.job, b.epoch) in claims and claims[b.job, b.epoch][0] > place:
                yield (f'service {w.name}: job {w.job}, epoch {w.epoch} wrote version {w.version} '
                       f'behind job {b.job}, epoch {b.epoch}')
                break
        if w.at > until + STALE_S and not stood_still(h, until - STALE_S, w.at):
            yield (f'service {w.name}: job {w.job}, epoch {w.epoch} wrote version {w.version} '
                   f'{w.at - until:.1f} s after it was over')


def swarm_is_as_released(h):
    """Stacks that say of themselves that they are whole."""
    for s in h.stacks:
        who = f'{s.when}: stack {s.project}/{s.name}'
        if s.unfinished:
            continue
        if s.release and s.status != 'RUNNING':
            yield f'{who} is {s.status}: {s.message}'
        if s.expected != s.found:
            yield f'{who}, release {s.release}: its services are {s.found}, and should be {s.expected}'
        for line in s.drift:
            yield f'{who}, release {s.release}: {line}'


def nothing_is_left(h):
    for namespace, objects in h.left.items():
        yield f'of {namespace} the Engine still holds {objects}'


# -- watchers ---------------------------------------------------------------------------------------------------------

def events_are_whole(h):
    """In the database, and for each watcher."""
    events_of = by_job(h.events)
    events = {job: {e['sequence']: e for e in found} for job, found in events_of.items()}
    count = collections.Counter(e['job'] for e in h.events)
    for j in h.jobs:
        has = events.get(j['id'], {})
        if count[j['id']] != len(has) or sorted(has) != list(range(1, j['last_sequence'] + 1)):
            yield f'job {j["id"]}: {count[j["id"]]} events, the last is {j["last_sequence"]}, in the database {sorted(has)}'
        told = set()
        for e in sorted(events_of[j['id']], key=lambda e: e['sequence']):
            if e['kind'] in ('job.started', 'job.resumed'):
                told.clear()
            elif e['kind'] in ('job.step', 'job.undo'):  # a run takes each step once
                if (e['kind'], e['step']) in told:
                    yield f'job {j["id"]} tells twice of {e["kind"]} {e["step"]}: event {e["sequence"]}'
                told.add((e['kind'], e['step']))
    for w in h.watched:
        got = [e[0] for e in w.events]
        has = events.get(w.job, {})
        if w.trouble or not w.state:
            yield f'a watcher of job {w.job} did not see its end: {w.trouble or "no answer"}, {w.connections} connections'
        elif got != list(range(w.after + 1, w.after + 1 + len(got))):
            yield f'a watcher of job {w.job} who began behind {w.after} saw {got}, over {w.connections} connections'
        elif not got and not w.after or (got and w.events[-1][1] != 'job.ended'):
            yield f'a watcher of job {w.job} was told that it is {w.state} before its last event: {w.events[-1:]}'
        for sequence, kind, message in w.events:
            e = has.get(sequence)
            if e and (e['kind'], e['message']) != (kind, message):
                yield f'a watcher of job {w.job} saw as event {sequence} "{kind}: {message}", and it is "{e["kind"]}: {e["message"]}"'


# -- time and memory --------------------------------------------------------------------------------------------------

def takeovers(h):
    """[(job, seconds, kill)] of what a killed daemon ran, where nothing else was broken. None: until the next fault nobody did."""
    found, claims = [], collections.defaultdict(list)
    for c in h.changes:
        claims[c.job].append(c)
    for kill in h.kills:
        for job, changes in claims.items():
            before = [c for c in changes if c.at <= kill.at]
            last = [c for c in before if c.is_claim()]
            if not kill.clean or not last or before[-1].state != 'running' or last[-1].writer != kill.incarnation:
                continue
            nxt = next((c for c in changes if c.at > kill.at and (c.is_claim() or c.state != 'running')), None)
            if nxt and not nxt.is_claim():
                continue  # its last write, the end, was on its way
            found.append((job, nxt.at - kill.at if nxt and nxt.at <= kill.until else None, kill))
    return found


def takeovers_are_quick(h):
    for job, seconds, kill in takeovers(h):
        if kill.lateness < LATE_S and (seconds is None or seconds > TAKEOVER_S):
            after = 'nobody took it over' if seconds is None else f'it was taken over after {seconds:.2f} s'
            yield f'job {job} of {kill.incarnation}, killed at {kill.at:.3f}: {after}'


def memory_is_bounded(h):
    for daemon, peak in h.peak_rss.items():
        if peak > h.rss_limit:
            yield f'{daemon} grew to {peak >> 20} MiB, and {h.rss_limit >> 20} are enough'


def nothing_went_wrong(h):
    yield from h.wrong


ORACLES = (accepted_jobs_are_there, jobs_end_once, no_job_is_invented, epochs_follow_one_another, stacks_keep_their_order,
           attempts_are_kept, caps_hold, slots_hold, one_epoch_writes_a_service, swarm_is_as_released, nothing_is_left,
           events_are_whole, takeovers_are_quick, memory_is_bounded, nothing_went_wrong)


def check(h):
    """{oracle's name: what it found}. Of a database that could not be read nothing can be said."""
    return {oracle.__name__: list(oracle(h)) if h.is_read or oracle is nothing_went_wrong else ['nothing is known']
            for oracle in ORACLES}
