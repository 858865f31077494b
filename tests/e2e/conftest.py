"""Fixtures of the end-to-end tests: one PostgreSQL, Redis and Engine a session, one daemon with its own database a module,
one project a test. A module that wants its daemon otherwise defines a fixture `skepd` of its own."""

import itertools
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import native_client  # noqa: E402
from daemon import Project, Skepd  # noqa: E402
from servers import Engine, Postgres, Redis, binary  # noqa: E402

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


@pytest.fixture(scope='session')
def new_daemon(postgres, redis, engine):
    """Makes daemons, by default on the session's servers and a database of their own. Not started yet."""
    def make(**options):
        if 'postgres' not in options:
            database = f'skep{next(numbers)}'
            postgres.query(f'create database {database}')
            options['postgres'] = postgres.conninfo(database)
        made = Skepd(**{'redis': redis.url, 'docker': engine.host, **options})
        made.database = dict(word.split('=') for word in made.options['postgres'].split())['dbname']
        daemons.append(made)
        return made
    yield make
    for made in daemons:
        made.remove()


@pytest.fixture(scope='module')
def skepd(new_daemon):
    made = new_daemon()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def project(skepd, engine):
    made = Project(skepd, engine, f't{next(numbers)}')
    try:
        yield made
        made.finish()
    finally:
        made.sweep()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the ends of the daemons' logs."""
    report = (yield).get_result()
    if report.failed:
        for made in daemons:
            if made.is_alive():
                report.sections.append((f'log of {made.database}', made.log()[-6000:]))
