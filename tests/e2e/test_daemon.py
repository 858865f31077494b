"""skepd as an operator sees it: its commands, its start, its log, its database's migrations, its keys."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess

import pytest
from daemon import Project, hello
from servers import ROOT, binary, eventually


def skepd_command(*words, **env):
    done = subprocess.run([binary('skepd'), *words], capture_output=True, text=True, check=False, timeout=30, cwd='/',
                          env={'PATH': os.environ['PATH'], **env})
    return done.returncode, done.stdout, done.stderr


def test_version_and_help():
    assert skepd_command('--version')[1].startswith('skepd ')
    code, out, _ = skepd_command('--help')
    assert code == 0 and 'usage: skepd' in out and 'Example' in out


def test_config_help_names_every_option():
    code, out, _ = skepd_command('config', '--help')
    assert code == 0
    for key in ('listen', 'socket', 'postgres', 'redis', 'docker', 'key_file', 'job_lease', 'stall_limit', 'hold', 'drain_grace'):
        assert f'\n  {key} ' in out and 'default: ' in out


def test_check_config(tmp_path):
    (tmp_path / 'c.yaml').write_text('postgres: postgresql://u:geheim@h/d\njob_slots: 3\n')
    code, out, _ = skepd_command('check-config', '--config', str(tmp_path / 'c.yaml'), SKEP_HOLD='1s')
    assert code == 0 and 'geheim' not in out and 'c.yaml:2' in out and 'hold: "1s" # SKEP_HOLD' in out
    (tmp_path / 'c.yaml').write_text('job_slots: many\nno_such_key: 1\n')
    code, _, err = skepd_command('check-config', '--config', str(tmp_path / 'c.yaml'), '--hold=long')
    assert code == 2
    for place in ('c.yaml:1', 'c.yaml:2', '--hold'):
        assert place in err


@pytest.mark.parametrize('words, said', [(['no-such-command'], '"no-such-command" is no command'),
                                         (['--no-such-option=1'], '--no-such-option'),
                                         (['--config', '/nowhere/skepd.yaml'], '/nowhere/skepd.yaml')])
def test_wrong_usage_is_2(words, said):
    code, _, err = skepd_command(*words)
    assert code == 2 and said in err


def test_migrate(new_daemon, postgres):
    skepd = new_daemon()
    env = {'SKEP_POSTGRES': skepd.options['postgres']}
    assert 'migration' in skepd_command('migrate', **env)[1]
    assert skepd_command('migrate', **env)[1] == 'the database is up to date: 0 new migrations\n'
    skepd.start(migrate='false')
    skepd.stop()
    first = sorted(os.listdir(f'{ROOT}/migrations'))[0]
    name = postgres.query('select name from schema_migrations order by name limit 1', skepd.database)
    assert name in first
    postgres.query("update schema_migrations set checksum = repeat('0', 64)", skepd.database)
    code, _, err = skepd_command('migrate', **env)
    assert code == 1 and name in err, 'a changed old file is refused by name'
    with pytest.raises((SystemError, AssertionError)):
        skepd.start(migrate='true')
    assert skepd.end() == 1 and name in skepd.log()


def test_two_daemons_on_an_empty_database(new_daemon):
    first = new_daemon()
    second = new_daemon(database=first.database, key_file=first.options['key_file'])
    for made in (first, second):
        made.start(ready=False)
    for made in (first, second):
        eventually('ready', made.is_ready)
        made.stop()


def test_systemd_is_told(new_daemon, tmp_path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / 'notify'))
    listener.settimeout(10)
    skepd = new_daemon()
    skepd.environment['NOTIFY_SOCKET'] = str(tmp_path / 'notify')
    skepd.start()
    assert listener.recv(100) == b'READY=1'
    skepd.send(signal.SIGHUP)
    assert listener.recv(100).startswith(b'RELOADING=1\nMONOTONIC_USEC=')
    assert listener.recv(100) == b'READY=1'
    skepd.stop()
    assert listener.recv(100) == b'STOPPING=1'
    listener.close()


def test_log_as_json(new_daemon):
    skepd = new_daemon(log_format='json')
    skepd.start()
    skepd.stop()
    lines = [json.loads(line) for line in skepd.log().strip().split('\n')]
    assert {'listening', 'ready', 'draining'} <= {line['msg'] for line in lines}
    assert all(line['ts'] and line['level'] in ('info', 'warn') for line in lines)


def test_idle_daemon_is_small(new_daemon):
    """A guard against leaks; the figure itself is bench/footprint's, without a sanitizer."""
    skepd = new_daemon()
    skepd.start()
    before = skepd.rss()
    for _ in range(300):
        skepd.call('Projects', 'List')
    assert skepd.rss() < before + 96 * 1024 * 1024
    skepd.stop()


def wake_ups(daemon):
    with open(f'/proc/{daemon.process.pid}/status', encoding='ascii') as f:
        return int(re.search(r'^voluntary_ctxt_switches:\s+(\d+)$', f.read(), re.M).group(1))


def test_idle_daemon_rests(new_daemon, postgres):
    """It asks no server again and again: tens of wake-ups a second, not thousands."""
    skepd = new_daemon()
    skepd.start()
    before = wake_ups(skepd)
    postgres.query('select pg_sleep(1)')
    assert wake_ups(skepd) - before < 300
    skepd.stop()


def test_lost_keys_are_said(new_daemon, engine):
    """Without the key file that the database needs skepd does not start, and makes no new one unless it is told to; then
    what the old one has sealed fails with words, the rest goes on."""
    skepd = new_daemon()
    skepd.start()
    key_file = skepd.options['key_file']
    assert os.stat(key_file).st_mode & 0o777 == 0o600
    project = Project(skepd, engine, 'sealed')
    project.deploy({'app': hello()})
    skepd.stop()
    os.rename(key_file, key_file + '.lost')
    with open(key_file + '.lost', encoding='ascii') as f:
        key = f.read().split()[0]
    with pytest.raises((SystemError, AssertionError)):
        skepd.start()
    assert skepd.end() == 1 and not os.path.exists(key_file)
    for words in (f'no key file {key_file}', key, 'put the file back', 'docs/backup.md', '--new_key'):
        assert words in skepd.log()
    skepd.start(new_key='true')
    assert project.status() == 'RUNNING'
    ended = project.deploy({'app': hello(environment={'NEW': '1'})}, expect='FAILED')
    assert f'sealed with the key "{key}"' in ended.job.error
    skepd.stop()
    skepd.start(new_key='false')  # the file is there now
    skepd.stop()
    with open(key_file + '.lost', encoding='ascii') as lost, open(key_file, 'a', encoding='ascii') as keys:
        keys.write(lost.read())  # found again
    skepd.start()
    project.deploy({'app': hello()})
    project.finish()
    skepd.stop()


def test_daemons_with_different_key_files(new_daemon):
    """As on two machines: what one seals the other could not open, so it does not begin, although nothing is sealed yet."""
    first = new_daemon().start()
    second = new_daemon(database=first.database)
    with open(first.options['key_file'], encoding='ascii') as f:
        line = f.read()
    for file in ('missing', 'another one'):
        with pytest.raises((SystemError, AssertionError)):
            second.start()
        assert second.end() == 1
        said = second.log_since_start()
        for words in (line.split()[0], second.options['key_file'], 'copy their key file there', '--new_key'):
            assert words in said, file
        assert os.path.exists(second.options['key_file']) == (file != 'missing')
        with open(second.options['key_file'], 'w', encoding='ascii') as f:
            os.fchmod(f.fileno(), 0o600)
            f.write('k0other ' + '0' * 64 + '\n')
    with open(second.options['key_file'], 'a', encoding='ascii') as f:
        f.write(line)  # it opens what the first one seals, and seals with its own
    second.start()
    second.stop()
    first.stop()
    with pytest.raises((SystemError, AssertionError)):
        first.start()
    assert first.end() == 1 and 'k0other' in first.log_since_start()


def test_socket_is_taken(new_daemon):
    """A second daemon on the same socket says so and leaves the first one alone; a socket of a dead one is taken over."""
    first = new_daemon()
    first.start()
    second = new_daemon(socket=first.socket)
    with contextlib.suppress(SystemError):  # when it has ended before the first one answers in its place
        second.start(ready=False)
    assert second.end(None) == 1 and first.socket in second.log()
    assert first.is_ready()
    first.kill9()
    first.start()
    first.stop()
