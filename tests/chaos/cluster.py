"""What the chaos happens to: three daemons, PostgreSQL that keeps what it committed, Redis, an Engine, and a proxy that can be
made to break between each daemon and each server."""

import os
import shutil
import signal
import threading
import time

from daemon import Project, Skepd
from faultproxy import FaultProxy
from servers import Engine, Postgres, Redis, binary, children, eventually, short_dir

DAEMONS = ('d1', 'd2', 'd3')
SERVERS = ('postgres', 'redis', 'docker')
SLOTS, RESERVED = 4, 1
LEASE_S = 4.0  # the default
OPTIONS = {'hold': '200ms', 'stall_limit': '20s', 'drain_grace': '5s', 'postgres_pool': '3', 'job_lease': '4s',
           'job_slots': SLOTS, 'job_reserved': RESERVED, 'job_rate': '6000', 'job_burst': '1000'}
# As every change of a job is committed: who wrote it (the daemon's name and how often it was started), and when.
RECORD = """
create table chaos_changes (
  seq bigserial primary key, xid xid not null default pg_current_xact_id()::xid, at timestamptz not null default clock_timestamp(),
  writer text not null default current_setting('application_name'),
  job uuid not null, stack uuid, project uuid not null, kind text not null,
  state_before text, state text not null, epoch_before integer, epoch integer not null, owner text not null,
  step text not null, cancel_only boolean not null);
create function chaos_record() returns trigger language plpgsql as $$
begin
  insert into chaos_changes (job, stack, project, kind, state_before, state, epoch_before, epoch, owner, step, cancel_only)
    values (new.id, new.stack_id, new.project_id, new.kind, old.state, new.state, old.epoch, new.epoch, new.owner, new.step,
      tg_op = 'UPDATE' and new.cancel_requested and not old.cancel_requested and new.state = old.state and new.epoch = old.epoch and new.step = old.step
      and new.lease_until is not distinct from old.lease_until);
  return new;
end $$;
create trigger chaos_record after insert or update of state, epoch, step, owner, last_sequence, cancel_requested
  on deployment_jobs for each row execute function chaos_record();
"""


def stop_tree(pid):
    """Stops a process and all below it, itself first, so that no more come: their pids."""
    send(pid, signal.SIGSTOP)
    found = tree(pid)
    for child in found:
        send(child, signal.SIGSTOP)
    return found


def tree(pid):
    below, found, left = children(), [], [pid]
    while left:
        found.append(left.pop())
        left += below.get(found[-1], ())
    return found


class Daemon(Skepd):
    """One of the three; `incarnation` names the process in everything it writes to PostgreSQL."""

    def __init__(self, name, cluster, **options):
        super().__init__(**options)
        self.name, self.cluster, self.starts, self.stopped = name, cluster, 0, False
        self.lock = threading.Lock()  # between the schedule and the end
        self.incarnations = []        # (its name, from, until)

    def begin(self):
        """Starts it, and waits for nothing."""
        with self.lock:
            if self.is_alive():
                return
            self.starts += 1
            self.incarnations.append([f'{self.name}.{self.starts}', time.time(), None])
            self.options['postgres'] = f'{self.cluster.conninfo(self.name)} application_name={self.name}.{self.starts}'
            self.wait_up = lambda *_: None
            super().start()

    def kill(self):
        with self.lock:
            self.resume()
            self.kill9()
            self.incarnations[-1][2] = time.time()

    def pause(self):
        self.send(signal.SIGSTOP)
        self.stopped = True

    def resume(self):
        self.send(signal.SIGCONT)
        self.stopped = False

    def is_up(self):
        return self.is_alive() and not self.stopped


class Cluster:
    def __init__(self):
        self.dir = short_dir('chaos')
        self.postgres = Postgres(fsync='on', full_page_writes='on', track_commit_timestamp='on', max_connections='200')
        self.redis, self.engine = Redis(), Engine()
        self.proxies, self.daemons = {}, {}

    def conninfo(self, name):
        proxy = self.proxies[name, 'postgres']
        where = f'host=127.0.0.1 port={proxy.port} sslmode=disable' if proxy.port else f'host={os.path.dirname(proxy.path)}'
        return f'{where} user=postgres dbname=skep'

    def make_proxies(self, name, tcp):
        """The last daemon goes by TCP."""
        targets = {'postgres': self.postgres.socket, 'redis': self.redis.socket, 'docker': self.engine.socket}
        os.mkdir(f'{self.dir}/{name}')
        for server in SERVERS:
            file = '.s.PGSQL.5432' if server == 'postgres' else server
            self.proxies[name, server] = FaultProxy(None if tcp else f'{self.dir}/{name}/{file}', targets[server])
        redis, docker = self.proxies[name, 'redis'], self.proxies[name, 'docker']
        return {'redis': f'redis://127.0.0.1:{redis.port}' if tcp else f'unix://{redis.path}',
                'docker': f'tcp://127.0.0.1:{docker.port}' if tcp else f'unix://{docker.path}'}

    def start(self, environment):
        self.postgres.start()
        self.redis.start()
        self.engine.start()
        self.engine.swarm_init()
        for version in (1, 2, 3):
            self.engine.load_image('hello', f'localhost/hello:{version}', ENTRYPOINT='["/hello"]', ENV=f'VERSION={version}')
        self.postgres.query('create database skep')
        program = shutil.copy(binary('skepd'), self.dir)  # a build meanwhile changes nothing
        for name in DAEMONS:
            made = Daemon(name, self, **{**OPTIONS, **self.make_proxies(name, name == DAEMONS[-1]),
                                         'key_file': f'{self.dir}/keys', 'listen': ''})
            made.environment.update(environment)
            made.program = program
            self.daemons[name] = made
        for made in self.daemons.values():
            made.begin()
            eventually(f'{made.name} is ready', made.is_ready, 30)
        self.postgres.query(RECORD, 'skep')

    def project(self, name, max_running=0):
        made = Project(self.daemons['d1'], self.engine, name)
        if max_running:
            self.daemons['d1'].call('Projects', 'Update', project=name, max_running=max_running)
        return made

    # -- what happens to PostgreSQL: its children are of groups of their own -----------------------------------------

    def postgres_kill(self):
        pids = stop_tree(self.postgres.process.pid)
        for pid in pids:
            send(pid, signal.SIGKILL)
        self.postgres.kill9()
        eventually('nothing of PostgreSQL is left', lambda: not any(os.path.exists(f'/proc/{p}') for p in pids), 20)

    def postgres_pause(self):
        stop_tree(self.postgres.process.pid)

    def postgres_resume(self):
        for pid in reversed(tree(self.postgres.process.pid)):
            send(pid, signal.SIGCONT)

    def busiest(self):
        """Of the daemons that are up, the one that runs most jobs; None: none does."""
        rows = self.postgres.query("select writer from (select distinct on (c.job) c.job, c.writer from chaos_changes c"
                                   " join deployment_jobs j on j.id = c.job and j.epoch = c.epoch and j.state = 'running'"
                                   " where c.epoch > c.epoch_before order by c.job, c.seq desc) x"
                                   " group by 1 order by count(*) desc, 1", 'skep').split('\n')
        names = [w.split('.')[0] for w in rows if w]
        return next((self.daemons[n] for n in names if self.daemons[n].is_up()), None)

    # -- the end ------------------------------------------------------------------------------------------------------

    def mend(self):
        """No more faults: everything runs."""
        for proxy in self.proxies.values():
            proxy.mend()
        if self.postgres.is_alive():
            self.postgres_resume()
        else:
            self.postgres.start()
        self.redis.send(signal.SIGCONT)
        if not self.redis.is_alive():
            self.redis.start()
        self.engine.send(signal.SIGCONT)
        if not self.engine.is_alive():
            self.engine.start()
        for made in self.daemons.values():
            made.resume()
            made.begin()

    def stop(self):
        """Every daemon drains; those that do not end well, by name."""
        bad = {}
        for made in self.daemons.values():
            if made.process is None:
                continue
            made.resume()
            try:
                status = made.end()
            except AssertionError as e:
                status = str(e)
            if status:
                bad[made.name] = f'{made.name} ended with {status}'
        for proxy in self.proxies.values():
            proxy.mend()
            proxy.close()
        for server, go_on in ((self.engine, signal.SIGCONT), (self.redis, signal.SIGCONT)):
            server.send(go_on)
            server.stop()
        if self.postgres.is_alive():
            self.postgres_resume()
            self.postgres.stop()
        return list(bad.values())

    def remove(self):
        for server in (self.postgres, self.redis, self.engine, *self.daemons.values()):
            server.remove()
        shutil.rmtree(self.dir, ignore_errors=True)


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
