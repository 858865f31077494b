"""Fixtures of the end-to-end tests: one PostgreSQL, Redis and Engine a session, one daemon with its own database a module,
one project a test. A module that wants its daemon otherwise defines a fixture `skepd` of its own."""

import itertools
import os
import re
import shutil
import struct
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import native_client  # noqa: E402
from daemon import Project, Skepd, serving  # noqa: E402
from proxy import Proxy  # noqa: E402
from servers import Engine, Postgres, Redis, Registry, binary, short_dir  # noqa: E402

numbers = itertools.count(1)
daemons = []


@pytest.fixture(scope='session', autouse=True)
def protocol(tmp_path_factory):
    try:
        binary('skepd')
    except FileNotFoundError as e:
        pytest.exit(str(e), 1)
    native_client.load(tmp_path_factory.mktemp('proto'))


def running(server):
    try:
        server.start()
        yield server
    finally:
        server.stop()
        server.remove()


@pytest.fixture(scope='session')
def postgres():
    yield from running(Postgres())


@pytest.fixture(scope='session')
def redis():
    yield from running(Redis())


@pytest.fixture(scope='session')
def engine():
    for server in running(Engine()):
        server.swarm_init()
        for version in (1, 2):
            server.load_image('hello', f'localhost/hello:{version}', ENTRYPOINT='["/hello"]', ENV=f'VERSION={version}')
        yield server


# A restarted Engine has another loopback.
@pytest.fixture(scope='module')
def registry(engine):
    yield from running(Registry(engine))


@pytest.fixture(scope='session')
def new_daemon(postgres, redis, engine):
    """Makes daemons on the session's servers. Without `database` it has a new one; pg_directory: where PostgreSQL's socket is."""
    def make(database=None, pg_directory=None, **options):
        if not database:
            database = f'skep{next(numbers)}'
            postgres.query(f'create database {database}')
        servers = {'postgres': postgres.conninfo(database, pg_directory), 'redis': redis.url, 'docker': engine.host}
        made = Skepd(**{**servers, **options})
        made.database = database
        daemons.append(made)
        return made
    yield make
    for made in daemons:
        made.kill9()
        made.remove()


def columns(*values):
    """Neighbouring parameters of a statement whose parameters are arrays, of one row, as they are on the wire."""
    texts = [b'{NULL}' if value is None else b'{"%s"}' % value.encode() for value in values]
    return b''.join(struct.pack('!i', len(text)) + text for text in texts)


class Between:
    """Proxies between daemons and the Engine and PostgreSQL."""

    def __init__(self, engine, postgres):
        self.dir = short_dir('fault')
        self.engine = Proxy(f'{self.dir}/d', engine.socket)
        self.postgres = Proxy(f'{self.dir}/.s.PGSQL.5432', postgres.socket)

    def options(self):
        return {'docker': f'unix://{self.dir}/d', 'pg_directory': self.dir}

    def reset(self):
        self.engine.reset()
        self.postgres.reset()

    def close(self):
        self.engine.close()
        self.postgres.close()
        shutil.rmtree(self.dir)

    def hold_step(self, step, after=False, undoing=False):
        """The write of a job's completed step (undoing: of the turn downwards behind it). The last one is the end, too."""
        return self.postgres.hold(b'job_write.', columns(step, 't' if undoing else 'f'), after=after)

    def hold_end(self, state, after=False):
        """The write of a job's end."""
        return self.postgres.hold(b'job_write.', columns(state, '0'), after=after)

    def hold_events(self, after=False):
        """A write of a job's events alone."""
        return self.postgres.hold(b'job_write.', columns(None, 'f'), columns(None, '0'), after=after)

    def hold_statement(self, name, after=False, nth=1):
        return self.postgres.hold(name.encode() + b'.', after=after, nth=nth)

    def hold_engine(self, verb, path, after=True, nth=1):
        return self.engine.hold(verb.encode() + b' /', path.encode(), after=after, nth=nth)


@pytest.fixture(scope='module')
def between(engine, postgres):
    made = Between(engine, postgres)
    yield made
    made.close()


@pytest.fixture(scope='module')
def skepd(new_daemon):
    with serving(new_daemon()) as made:
        yield made


@pytest.fixture
def project(request, skepd, engine):
    """Taken down behind the test: at once, or (where no other test could mind) only begun, and over with the module's daemon."""
    name = re.sub('[^a-z0-9]+', '-', request.node.name.removeprefix('test_').lower())
    made = Project(skepd, engine, f't{next(numbers)}-{name}'[:30].strip('-'))
    later = getattr(skepd, 'projects_to_finish', None)
    try:
        yield made
        if later is None:
            made.finish()
        else:
            later.append(made)
            made.begin_to_finish()
    finally:
        if later is None:
            made.sweep()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the ends of the daemons' logs."""
    report = (yield).get_result()
    if report.failed:
        for made in daemons:
            if made.process:
                report.sections.append((f'log of {made.database}', made.log()[-6000:]))
