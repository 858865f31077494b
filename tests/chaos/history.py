"""All that is known of a run once it is over: what callers were told, what PostgreSQL holds, what the Engine's event stream
and the daemons' logs said. checker.py judges it; it can be written to a file and read again."""

import dataclasses
import json
import re
from datetime import datetime


@dataclasses.dataclass
class Submission:
    """One call that makes or touches a job, with all its tries."""
    request_id: str
    method: str
    project: str
    stack: str
    marker: str = ''            # of a deploy: stands in the services' environment
    services: list = dataclasses.field(default_factory=list)
    about: str = ''             # of Cancel and Retry: the job
    job: str = ''               # as answered
    stack_id: str = ''
    release: int = 0
    refusal: str = ''
    tries: int = 0
    unknown: int = 0            # of the tries: nobody knows what became of them
    again: list = dataclasses.field(default_factory=list)  # what the same request was answered later
    troubles: list = dataclasses.field(default_factory=list)

    def answered(self):
        return bool(self.job or self.refusal)


@dataclasses.dataclass
class Watched:
    """What one watcher saw of one job, over all its connections."""
    job: str
    after: int                  # began behind this event
    events: list = dataclasses.field(default_factory=list)  # (sequence, kind, message)
    state: str = ''             # the ended job, as the watch's last message says
    connections: int = 0
    trouble: str = ''


@dataclasses.dataclass
class Change:
    """One committed change of a job's row."""
    at: float                   # of the commit
    writer: str                 # "d1.2": the second process of daemon d1
    job: str
    stack: str
    project: str
    kind: str
    before: str                 # states; '' = it was not there
    state: str
    epoch_before: int
    epoch: int
    owner: str
    step: str
    cancel_only: bool           # somebody asked for its end, no more

    def is_claim(self):
        return self.epoch > self.epoch_before


@dataclasses.dataclass
class Write:
    """One version of a service, as the Engine held it."""
    at: float
    service: str                # the Engine's id
    name: str
    version: int
    job: str
    epoch: int
    spec: str                   # its digest, labels included
    by_engine: bool = False     # the Engine's own roll-back


@dataclasses.dataclass
class Kill:
    at: float
    incarnation: str
    clean: bool                 # nothing else was broken until the next fault
    until: float = 0            # that one
    lateness: float = 0         # how late the harness itself was at worst meanwhile: the machine had no time


@dataclasses.dataclass
class StackEnd:
    """A stack when all was quiet."""
    when: str
    project: str
    name: str
    status: str
    message: str
    release: int                # 0: none runs
    unfinished: bool            # it says of itself that it is not as its release says
    expected: dict = dataclasses.field(default_factory=dict)  # {service: marker}
    found: dict = dataclasses.field(default_factory=dict)
    drift: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class History:
    is_read: bool = False                                     # the database
    submissions: list = dataclasses.field(default_factory=list)
    watched: list = dataclasses.field(default_factory=list)
    changes: list = dataclasses.field(default_factory=list)   # in the order of their commits
    jobs: list = dataclasses.field(default_factory=list)      # rows: dicts
    events: list = dataclasses.field(default_factory=list)
    attempts: list = dataclasses.field(default_factory=list)
    audit: list = dataclasses.field(default_factory=list)
    writes: list = dataclasses.field(default_factory=list)
    freezes: list = dataclasses.field(default_factory=list)   # (from, until): the Engine or the way to it stood still
    kills: list = dataclasses.field(default_factory=list)
    stacks: list = dataclasses.field(default_factory=list)
    left: dict = dataclasses.field(default_factory=dict)      # what the Engine still holds when every stack is removed
    logs: dict = dataclasses.field(default_factory=dict)      # {daemon: [(at, 'begins' | 'over' | 'started', job, kind, epoch of one that begins)]}
    projects: dict = dataclasses.field(default_factory=dict)  # {project id: its max_running, 0 = none}
    slots: int = 0
    reserved: int = 0
    peak_rss: dict = dataclasses.field(default_factory=dict)  # {daemon: bytes}
    rss_limit: int = 0
    wrong: list = dataclasses.field(default_factory=list)     # answers nobody should get, daemons that ended badly

    def store(self, path):
        with open(path, 'w', encoding='utf-8') as f:
            json.dump(dataclasses.asdict(self), f, indent=1)


def load(path):
    """As stored."""
    kinds = {'submissions': Submission, 'watched': Watched, 'changes': Change, 'writes': Write, 'kills': Kill, 'stacks': StackEnd}
    with open(path, encoding='utf-8') as f:
        fields = json.load(f)
    return History(**{name: [kinds[name](**row) for row in value] if name in kinds else value for name, value in fields.items()})


def rows(postgres, sql):
    """Of the database skep, as dicts."""
    text = postgres.query(f"select coalesce(json_agg(x), '[]') from ({sql}) x", 'skep')
    return json.loads(text)


def read_database(h, postgres):
    h.changes = [Change(**row) for row in rows(postgres, """
        select extract(epoch from pg_xact_commit_timestamp(xid)) as at, writer, job, coalesce(stack::text, '') as stack, project, kind,
          coalesce(state_before, '') as before, state, coalesce(epoch_before, 0) as epoch_before, epoch, owner, step, cancel_only
        from chaos_changes order by 1, seq""")]
    h.jobs = rows(postgres, """
        select j.id, p.name as project, j.stack_name as stack, j.kind, j.state, j.epoch, j.attempt, j.last_sequence, j.created_by,
          j.error, j.takeovers from deployment_jobs j join projects p on p.id = j.project_id""")
    h.events = rows(postgres, """
        select job_id as job, job_sequence as sequence, kind, message, state, step from events where job_id is not null
        order by job_id, job_sequence, seq""")
    h.attempts = rows(postgres, 'select job_id as job, epoch, attempt, owner, step, error, error_code from job_attempts')
    h.audit = rows(postgres, "select method, request_id, coalesce(detail ->> 'job', '') as job, detail -> 'jobs' as jobs from audit_log")
    h.is_read = True
    h.projects = {row['id']: row['max_running'] for row in rows(postgres, 'select id, max_running from projects')}


def read_log(text):
    """Which jobs had a place in a daemon when, as it says itself: until they end, or are given up."""
    found = []
    for line in text.split('\n'):
        m = re.match(r'ts=(\S+) level=\S+ msg="(job run begins|job run ends|job run over|listening)"(?: job=(\S+) kind=(\S+)(?:.* epoch=(\d+))?)?', line)
        if m:
            what = {'job run begins': 'begins', 'job run ends': 'over', 'job run over': 'over', 'listening': 'started'}[m[2]]
            found.append((datetime.fromisoformat(m[1].replace('Z', '+00:00')).timestamp(), what, m[3] or '', m[4] or '', int(m[5] or 0)))
    return found
