"""skep as people and scripts use it: exit codes, formats, words, Ctrl-C, completion."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import threading
import time

import pytest
import yaml
from daemon import compose, hello, slow
from servers import binary, eventually


class Cli:
    """skep in a directory of its own, which is its home too."""

    def __init__(self, skepd, project, directory):
        self.directory, self.running = directory, []
        self.env = {k: v for k, v in os.environ.items() if k == 'PATH' or k.endswith('SAN_OPTIONS')}
        self.env.update(HOME=str(directory), SKEP_HOST=f'unix://{skepd.socket}', SKEP_PROJECT=project.name)

    def write(self, name, text):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def run(self, *words, stdin=None, env=None, cwd=None):
        """Exit code, stdout, stderr."""
        done = subprocess.run([binary('skep'), *words], input=stdin or '', capture_output=True, text=True, timeout=60,
                              check=False, cwd=cwd or self.directory, env={**self.env, **(env or {})})
        return done.returncode, done.stdout, done.stderr

    def ok(self, *words, **how):
        """stdout."""
        code, out, err = self.run(*words, **how)
        assert code == 0, f'{words}: {code} {out} {err}'
        return out

    def refused(self, code, *words, **how):
        """stderr."""
        found, out, err = self.run(*words, **how)
        assert found == code, f'{words}: {found} {out} {err}'
        return err

    def start(self, *words):
        """A pipe to its stdout and stderr together. SIGINT is as in a shell's foreground, whoever runs the tests."""
        made = subprocess.Popen([binary('skep'), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, cwd=self.directory, env=self.env,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        limit = threading.Timer(30, made.kill)
        limit.start()
        self.running.append((made, limit))
        return made

    def on_terminal(self, *words, until, columns=100, env=None):
        """Runs on a pseudo-terminal until `until` was printed; then (status None) or when it ends: (status, what was printed)."""
        program, environment = binary('skep'), {**self.env, 'TERM': 'xterm', 'COLUMNS': str(columns), **(env or {})}
        pid, fd = pty.fork()
        if pid == 0:  # whatever happens, this copy of the tests must not go on
            try:
                os.chdir(self.directory)
                os.execve(program, ['skep', *words], environment)
            finally:
                os._exit(127)
        text, deadline = '', time.monotonic() + 30
        try:
            while until not in text:
                assert time.monotonic() < deadline, text
                if select.select([fd], [], [], 1)[0]:
                    text += os.read(fd, 65536).decode(errors='replace')
        except OSError:  # it has ended
            pass
        return pid, fd, text


@pytest.fixture
def cli(skepd, project, tmp_path):
    made = Cli(skepd, project, tmp_path)
    yield made
    for process, limit in made.running:
        limit.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def one_job(cli, *words):
    return json.loads(cli.ok('job', 'ls', '-o', 'json', *words))


# -- the main job -----------------------------------------------------------------------------------------------------

def test_deploy_from_a_directory(cli, engine):
    """compose.yaml, .env beside it, the environment, and the files that the text names."""
    port = engine.free_port()
    services = {'app': hello(port, environment={'FROM_DOT_ENV': '${DOT}', 'FROM_ENV': '${OUTER}', 'FROM_FLAG': '${FLAG}'},
                             env_file=['conf/app.env'], secrets=['s'])}
    cli.write('compose.yaml', compose(services, secrets={'s': {'file': './conf/s.txt'}}))
    cli.write('.env', 'DOT=dot\n')
    cli.write('conf/app.env', 'FROM_FILE=file\n')
    cli.write('conf/s.txt', 'word')
    out = cli.ok('stack', 'deploy', 'web', '-e', 'FLAG=flag', env={'OUTER': 'outer'})
    assert re.search(r'deploy web: succeeded after [\d.]+s, release 1', out)
    for name, value in {'FROM_DOT_ENV': 'dot', 'FROM_ENV': 'outer', 'FROM_FLAG': 'flag', 'FROM_FILE': 'file'}.items():
        assert engine.http(port, f'/env/{name}') == (200, value)
    assert engine.http(port, '/file/run/secrets/s') == (200, 'word')


def bound(engine, project):
    mounts = engine.services(project.namespace('binds'))['app']['Spec']['TaskTemplate']['ContainerSpec']['Mounts']
    return {m['Target']: m['Source'] for m in mounts}


def test_bind_sources_begin_at_the_first_file_and_at_home(cli, engine, project):
    """As docker has them: in a deploy, a plan, an update from elsewhere, a roll-back and a diff."""
    port, home = engine.free_port(), cli.directory
    text = compose({'app': hello(port, volumes=['./data:/data:ro', '../mine:/up', '~/mine:/mine', '/tmp:/other'])})
    for where in 'here', 'there':
        cli.write(f'{where}/c.yml', text)
        cli.write(f'{where}/data/word', where)
    cli.write('mine/word', 'home')
    cli.ok('stack', 'deploy', '-c', 'here/c.yml', 'binds')
    assert bound(engine, project) == {'/data': f'{home}/here/data', '/up': f'{home}/mine', '/mine': f'{home}/mine', '/other': '/tmp'}
    assert engine.http(port, '/file/data/word') == (200, 'here')
    assert engine.http(port, '/file/mine/word') == (200, 'home')
    cli.ok('stack', 'plan', '-c', 'c.yml', 'binds', '--detailed-exitcode', cwd=home / 'here')
    assert cli.run('stack', 'plan', '-c', 'there/c.yml', 'binds', '--detailed-exitcode')[0] == 2
    cli.ok('stack', 'deploy', '-c', '-', 'binds', stdin=text.decode(), cwd=home / 'there')
    assert engine.http(port, '/file/data/word') == (200, 'there')
    _, _, said = cli.run('stack', 'export', 'binds', '--source', '--dir', 'out')
    assert f'relative bind sources were seen from {home}/there' in said and f'~ of bind sources was seen from {home}' in said
    cli.ok('stack', 'rollback', 'binds')
    assert engine.http(port, '/file/data/word') == (200, 'here')
    cli.ok('stack', 'diff', 'binds', '--detailed-exitcode')


@pytest.mark.skipif(not shutil.which('docker'), reason='the docker CLI is not installed')
def test_bind_sources_are_dockers(cli, engine, project):
    sources = ['./a', 'b/../c', '../d', '../../../../../../../e', './', '.', '~', '~/f', '~g/h', './ä b', './~', '/i/../j/']
    volumes = [{'type': 'bind', 'source': s, 'target': f'/t{i}'} for i, s in enumerate(sources)]
    cli.write('x/y/c.yml', compose({'app': hello(volumes=volumes, deploy={'replicas': 0})}, version='3.9'))
    cli.ok('stack', 'deploy', '-c', 'x/y/c.yml', 'binds')
    ours = bound(engine, project)
    project.remove('binds')
    try:
        subprocess.run(['docker', '-H', engine.host, 'stack', 'deploy', '--resolve-image', 'never', '-c', 'x/y/c.yml',
                        project.namespace('binds')], cwd=cli.directory, env=cli.env, check=True, capture_output=True, timeout=60)
        assert ours == bound(engine, project)
    finally:
        engine.sweep(project.namespace('binds'))


def test_deploy_from_stdin_and_the_verbs(cli, engine, project):
    text = compose({'app': hello(), 'other': hello()}).decode()
    cli.ok('stack', 'deploy', '-c', '-', 'web', stdin=text)
    assert re.search(r'^web +', cli.ok('stack', 'ls').split('\n')[1].replace(project.name, '').strip())
    assert [line.split()[0] for line in cli.ok('stack', 'ps', 'web').split('\n')[1:3]] == ['app.1', 'other.1']
    assert '2/2' in cli.ok('stack', 'ls')
    cli.ok('stack', 'scale', 'web', 'app=2')
    eventually('shown', lambda: re.search(r'app +replicated +2/2 +running', cli.ok('stack', 'services', 'web')))
    before = engine.running(project.namespace())['other']
    cli.ok('stack', 'restart', 'web', 'other')
    assert engine.running(project.namespace())['other'] != before
    assert re.search(r'^1 +active', cli.ok('stack', 'releases', 'web').split('\n')[1])
    assert [j['kind'] for j in one_job(cli)] == ['JOB_KIND_RESTART', 'JOB_KIND_SCALE', 'JOB_KIND_DEPLOY']
    assert [j['kind'] for j in one_job(cli, '--kind', 'scale', '--kind', 'deploy', '--since', '1h')] == ['JOB_KIND_SCALE', 'JOB_KIND_DEPLOY']
    assert not one_job(cli, '--until', '1h')
    cli.ok('stack', 'rm', 'web')
    assert engine.objects(project.namespace()) == {}
    assert 'does not exist' in cli.refused(1, 'stack', 'get', 'web')


def test_failed_deploy_tells_all(cli):
    cli.write('compose.yaml', compose({'app': hello(arguments=['FAIL_CODE=7'])}))
    code, out, err = cli.run('stack', 'deploy', 'web')
    assert code == 1
    assert 'crash loop: task' in err and 'exit' in err and '7' in err
    assert 'hello: the database is not there' in err, 'the last lines of its log'
    assert 'deploy web: failed' in out


def test_errors_of_the_text_are_listed(cli):
    text = 'services:\n  a:\n    image: x\n    bad_one: 1\n    bad_two: 2\n'
    err = cli.refused(1, 'stack', 'deploy', '-c', '-', 'web', stdin=text)
    assert '-:4:5' in err and 'bad_one' in err and '-:5:5' in err and 'bad_two' in err


def test_detach_then_watch(cli, project):
    cli.write('compose.yaml', compose({'app': hello()}))
    job = cli.ok('stack', 'deploy', '-q', '-d', 'web').strip()
    assert re.fullmatch('[0-9a-f-]{36}', job)
    assert 'succeeded' in cli.ok('job', 'watch', job)
    lines = [json.loads(line) for line in cli.ok('job', 'watch', job, '-o', 'json').strip().split('\n')]
    assert lines[0].get('event', lines[0])['sequence'] == '1'
    assert lines[-1].get('job', lines[-1])['state'] == 'JOB_STATE_SUCCEEDED'


def test_watch_of_a_failed_job_fails(cli):
    cli.write('compose.yaml', compose({'app': hello(image='localhost/nowhere:1')}))
    job = cli.ok('stack', 'deploy', '-q', '-d', 'web').strip()
    assert 'No such image' in cli.refused(1, 'job', 'watch', job)
    assert 'No such image' in cli.ok('job', 'get', job)
    assert [j['id'] for j in one_job(cli, '--state', 'failed')] == [job] and one_job(cli, '--state', 'running') == []
    assert 'No such image' in cli.refused(1, 'job', 'retry', job)


def test_wait_timeout_leaves_the_job_running(cli, project):
    cli.write('compose.yaml', compose({'app': slow()}))
    err = cli.refused(1, 'stack', 'deploy', '--wait-timeout', '1s', 'web')
    job = one_job(cli)[0]
    assert job['state'] == 'JOB_STATE_RUNNING' and f'skep job watch {job["id"]}' in err
    cli.ok('job', 'cancel', job['id'])
    assert 'cancelled' in cli.refused(1, 'job', 'watch', job['id'])


def test_ctrl_c_detaches_and_says_how_to_come_back(cli, project, skepd):
    cli.write('compose.yaml', compose({'app': slow()}))
    process = cli.start('stack', 'deploy', 'web')
    text = ''
    while 'converge' not in text:
        text += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(10) == 130
    job = one_job(cli)[0]
    assert job['state'] == 'JOB_STATE_RUNNING' and f'skep job watch {job["id"]}' in rest
    process = cli.start('job', 'watch', job['id'])
    text = ''
    while 'converge' not in text:
        text += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert f'skep job watch {job["id"]}' in process.stdout.read() and process.wait(10) == 130
    skepd.call('Jobs', 'Cancel', id=job['id'])


def test_ctrl_c_during_a_stack_watch(cli):
    cli.write('compose.yaml', compose({'app': hello()}))
    cli.ok('stack', 'deploy', '-q', 'web')
    process = cli.start('stack', 'watch', 'web', '-o', 'json')
    assert json.loads(process.stdout.readline())['name'] == 'web'
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    assert process.wait(10) in (0, 130)


# -- formats ------------------------------------------------------------------------------------------------------------

def test_formats_agree(cli):
    cli.write('compose.yaml', compose({'app': hello(), 'other': hello()}))
    cli.ok('stack', 'deploy', '-q', 'web')
    for words in (['stack', 'ls'], ['stack', 'get', 'web'], ['stack', 'ps', 'web'], ['stack', 'services', 'web'],
                  ['stack', 'releases', 'web'], ['job', 'ls'], ['project', 'ls'], ['token', 'ls'], ['whoami'], ['ready'], ['info']):
        as_json = json.loads(cli.ok(*words, '-o', 'json'))
        as_yaml = yaml.safe_load(cli.ok(*words, '-o', 'yaml'))
        if words != ['whoami'] and words != ['info']:
            assert as_json or words == ['token', 'ls']
        assert as_json == as_yaml, words
        names = cli.ok(*words, '-o', 'name').split()
        if isinstance(as_json, list):
            assert len(names) == len(as_json), words
    assert cli.ok('stack', 'ls', '-o', 'name') == 'web\n'
    header = cli.ok('stack', 'ls').split('\n')[0].split()
    assert 'NAME' in header and 'STATUS' in header


def test_quiet_in_a_pipe_and_no_colours(cli):
    cli.write('compose.yaml', compose({'app': hello()}))
    for words in (['stack', 'deploy', 'web'], ['stack', 'ls'], ['stack', 'get', 'web'], ['job', 'ls']):
        assert '\x1b' not in cli.ok(*words), words
    assert re.fullmatch('[0-9a-f-]{36}\n', cli.ok('stack', 'deploy', '-q', 'web'))


def test_progress_on_a_terminal(cli):
    """One line a service, drawn in place; colours unless NO_COLOR."""
    cli.write('compose.yaml', compose({'app': hello(), 'other': hello()}))
    for env in ({}, {'NO_COLOR': '1'}):
        pid, fd, text = cli.on_terminal('stack', 'deploy', 'web', until='succeeded after', env=env)
        os.close(fd)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (0, -signal.SIGHUP)
        assert bool(re.search(r'\x1b\[\d*(;\d+)*m', text)) == (not env), 'colours'
        if not env:
            assert re.search(r'\x1b\[\d*[AFJK]', text), 'drawn in place'


def test_top(cli, skepd, project):
    """Live on a terminal until q; once elsewhere."""
    skepd.call('Jobs', 'Pause', project=project.name, reason='quiet')
    job = project.submit({'app': hello()}).job
    pid, fd, text = cli.on_terminal('top', until='\x1b[J')
    assert '1 waiting' in text and 'the project is paused: quiet' in text  # within 80 columns
    os.write(fd, b'q')
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(fd)
    for words in (['top'], ['top', '--once']):
        told = cli.ok(*words)
        assert 'the project is paused: quiet' in told and '\x1b' not in told
    assert json.loads(cli.ok('top', '-o', 'json'))['totalWaiting'] == 1
    assert cli.ok('top', '-q').split() == [job.id]
    assert 'expected a time' in cli.refused(2, 'top', '--interval', '1ms')
    skepd.call('Jobs', 'Resume', project=project.name)
    skepd.wait(job.id)


# -- errors -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('words, said', [
    (['stck', 'ls'], 'did you mean "stack"'), (['stack', 'deplyo', 'x'], 'did you mean "stack deploy"'),
    (['stack', 'rollback'], 'too few arguments'), (['stack', 'get', 'a', 'b'], 'one argument too many'),
    (['stack', 'ls', '--bogus'], 'unknown option --bogus'), (['stack', 'ls', '-o', 'xml'], 'table json yaml name'),
    (['stack', 'ls', '-o'], '--output needs a value'), (['stack', 'ls', '--quiet=1'], 'takes no value'),
    (['stack', 'scale', 'web', 'app'], 'app'), (['stack', 'scale', 'web', 'app=x'], 'app=x'),
    (['job', 'ls', '--state', 'lost'], 'pending running'), (['job', 'ls', '--kind', 'lost'], 'deploy update'),
    (['job', 'ls', '--since', 'soon'], '--since soon: expected a time'), (['stack', 'deploy', '--wait-timeout', 'soon', 'x'], 'soon'),
    (['stack', 'deploy', 'no-compose.yaml-here'], 'no compose.yaml'), (['completion', 'cmd'], 'cmd'), ([], 'Usage: skep')])
def test_wrong_usage_is_2(cli, words, said):
    assert said in cli.refused(2, *words)


def test_what_fails_is_1(cli, skepd):
    assert 'Is skepd running?' in cli.refused(1, '-H', 'unix:///nowhere', 'stack', 'ls')
    assert 'nofile' in cli.refused(1, 'stack', 'deploy', '-c', 'nofile', 'web')
    assert 'does not exist' in cli.refused(1, 'stack', 'get', 'nowhere')
    assert 'does not exist' in cli.refused(1, 'project', 'get', 'nowhere')
    assert cli.refused(1, 'job', 'watch', '01900000-0000-7000-8000-000000000000')
    assert 'token' in cli.refused(1, '-H', f'127.0.0.1:{skepd.port()}', 'stack', 'ls').lower()


def test_a_file_that_the_text_names_and_is_not_there(cli):
    cli.write('compose.yaml', compose({'app': hello(env_file=['missing.env'])}))
    assert 'missing.env' in cli.refused(1, 'stack', 'deploy', 'web')


def test_no_project_is_named(cli):
    err = cli.run('stack', 'get', 'web', env={'SKEP_PROJECT': ''})
    assert err[0] in (1, 2) and '--project' in err[2] and 'SKEP_PROJECT' in err[2]


def test_broken_pipe_is_no_crash(cli):
    done = subprocess.run(f'{binary("skep")} -h | true', shell=True, capture_output=True, text=True, env=cli.env, check=False)
    assert 'Sanitizer' not in done.stderr


# -- tokens and contexts ------------------------------------------------------------------------------------------------

def test_token_over_tcp(cli, skepd, project):
    secret = cli.ok('token', 'create', 'ci', '--role', 'viewer', '--ttl', '1h').strip()
    address = f'127.0.0.1:{skepd.port()}'
    env = {'SKEP_HOST': address, 'SKEP_TOKEN': secret}
    assert 'token:ci' in cli.ok('whoami', env=env)
    assert cli.ok('stack', 'ls', env=env)
    cli.write('compose.yaml', compose({'app': hello()}))
    assert 'deployer' in cli.refused(1, 'stack', 'deploy', 'web', env=env)
    token = json.loads(cli.ok('token', 'ls', '-o', 'json'))[0]
    assert token['name'] == 'ci' and secret not in cli.ok('token', 'ls', '-o', 'json')
    cli.ok('context', 'set', 'here', '--host', address, '--token', secret, '--project', project.name)
    bare = {'SKEP_HOST': '', 'SKEP_PROJECT': ''}
    assert 'token:ci' in cli.ok('whoami', env=bare)
    assert secret not in cli.ok('context', 'ls')
    path = cli.directory / '.config/skep/config.json'
    assert path.stat().st_mode & 0o777 == 0o600
    cli.ok('token', 'rm', token['id'])
    assert json.loads(cli.ok('token', 'ls', '-o', 'json')) == []
    cli.ok('context', 'rm', 'here')


# -- help and completion ------------------------------------------------------------------------------------------------

def all_commands(cli):
    """From the help itself."""
    def below(*words):
        listed = re.search(r'Commands:\n((?:  \S.*\n)+)', cli.ok(*words, '-h'))
        return [line.split()[0] for line in listed.group(1).strip().split('\n')] if listed else []
    found = []
    for word in below():
        found += [[word, w] for w in below(word)] or [[word]]
    return found


def test_help_on_everything_with_an_example(cli):
    commands = all_commands(cli)
    assert len(commands) > 25
    for words in commands:
        text = cli.ok(*words, '-h')
        assert 'Usage: skep ' + ' '.join(words) in text and 'Example:\n  ' in text, words
        assert max(len(line) for line in text.split('\n')) <= 120, words


@pytest.mark.parametrize('shell', ['bash', 'zsh', 'fish'])
def test_completion_script_loads(cli, shell):
    script = cli.ok('completion', shell)
    assert 'skep' in script
    if not shutil.which(shell):
        pytest.skip(f'{shell} is not installed')
    cli.write('script', script)
    subprocess.run([shell, '-n', str(cli.directory / 'script')], check=True)


def test_bash_completes(cli, project):
    """As typed: the words, the options, and names that the daemon knows."""
    cli.write('script', cli.ok('completion', 'bash'))
    cli.write('compose.yaml', compose({'app': hello()}))
    cli.ok('stack', 'deploy', '-q', 'webshop')

    def complete(*words):
        line = ' '.join(words)
        script = f'''
source ./script
COMP_WORDS=({' '.join(repr(w) for w in words)}) COMP_CWORD={len(words) - 1} COMP_LINE={line!r} COMP_POINT={len(line)}
function=$(complete -p skep | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function skep {words[-1]!r} {words[-2]!r}
printf '%s\\n' "${{COMPREPLY[@]}}"
'''
        done = subprocess.run(['bash', '-c', script], cwd=cli.directory, capture_output=True, text=True, check=True,
                              env={**cli.env, 'PATH': f'{os.path.dirname(binary("skep"))}:{cli.env["PATH"]}'})
        return done.stdout.split()
    assert 'stack' in complete('skep', 'st')
    assert complete('skep', 'stack', 'depl') == ['deploy']
    assert 'webshop' in complete('skep', 'stack', 'get', 'web')
    assert '--compose-file' in complete('skep', 'stack', 'deploy', '--comp')
    assert {'json', 'yaml'} <= set(complete('skep', 'stack', 'ls', '-o', ''))
    assert project.name in complete('skep', 'project', 'get', '')


def test_registry_login(cli, project, engine, registry):
    registry.push('hello', 'cli:1', ENTRYPOINT='["/hello"]', ENV='VERSION=1')
    out = cli.ok('registry', 'login', '-u', registry.USER, registry.host, stdin=registry.PASSWORD + '\n')
    assert registry.host in out and registry.PASSWORD not in out
    assert cli.ok('registry', 'ls', '-q') == registry.host + '\n'
    project.deploy({'app': hello(image=f'{registry.host}/cli:1')})
    assert len(engine.running(project.namespace())['app']) == 1
    cli.ok('registry', 'logout', registry.host)
    assert cli.ok('registry', 'ls', '-q') == ''
    assert 'does not take them' in cli.refused(1, 'registry', 'login', '-u', registry.USER, registry.host, stdin='wrong')
    assert cli.ok('registry', 'ls', '-q') == ''
    assert 'was not asked' in cli.ok('registry', 'login', '-u', 'x', '--no-verify', '127.0.0.1:9', stdin='wrong')
    assert 'no password' in cli.refused(2, 'registry', 'login', '-u', 'x', 'host')
    assert 'as whom' in cli.refused(2, 'registry', 'login', 'host', stdin='x')
    assert 'no credentials' in cli.refused(1, 'registry', 'logout', 'host')
