"""One case through the docker CLI and through skep, and what differs, in words."""

import json
import os
import re
import shutil
import subprocess

import yaml

from engine import Engine

SKEP_SAYS = re.compile(r'^(skep: |warning: |  \S+?:\d+:\d+: )')


def clean(value):
    """null and absent are the same; ids are the fake Engine's, and skep has none. Uses of one secret stand in docker's list by
    chance (a Go map's order): here by their targets."""
    if isinstance(value, dict):
        made = {}
        for k, v in value.items():
            if v is not None:
                made[k] = '<id>' if k in ('SecretID', 'ConfigID') else clean(v)
        for k in ('Secrets', 'Configs'):
            if isinstance(made.get(k), list):
                made[k].sort(key=lambda use: (use[k[:-1] + 'Name'], json.dumps(use.get('File'), sort_keys=True)))
        spec = made.get('CredentialSpec')
        if isinstance(spec, dict) and 'Config' in spec:
            made['CredentialSpec'] = {**spec, 'Config': '<id>'}
        return made
    if isinstance(value, list):
        return [clean(v) for v in value]
    return value


def differences(path, want, got, found):
    if isinstance(want, dict) and isinstance(got, dict):
        for k in sorted({*want, *got}, key=str):
            differences(f'{path}.{k}', want.get(k, '<absent>'), got.get(k, '<absent>'), found)
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for i, (a, b) in enumerate(zip(want, got)):
            differences(f'{path}[{i}]', a, b, found)
    elif want != got or isinstance(want, bool) != isinstance(got, bool):
        found.append(f'{path}: docker {json.dumps(want, default=str)[:200]} skep {json.dumps(got, default=str)[:200]}')
    return found


class Ran:
    def __init__(self, argv, cwd, env):
        done = subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        self.code = done.returncode
        self.out = done.stdout.decode(errors='replace')
        self.err = done.stderr.decode(errors='replace')


def words(line):
    """A line of docker's stderr without what its logger puts around it."""
    line = line.strip()
    logged = re.match(r'time="[^"]*" level=\w+ msg="(.*)"$', line) or re.match(r'level=\w+ msg="(.*)"$', line)
    return json.loads(f'"{logged[1]}"') if logged else line


class Pair:
    """The two programs, an Engine that records, and a directory, for one case after another."""

    def __init__(self, skep, docker, directory):
        self.skep, self.docker, self.directory = skep, docker, directory
        os.makedirs(os.path.join(directory, 'docker'))
        self.engine = Engine(os.path.join(directory, 'engine.sock'))

    def lay_out(self, case):
        top = os.path.join(self.directory, 'up')
        shutil.rmtree(top, ignore_errors=True)
        here = os.path.join(top, 'here')
        os.makedirs(here)
        for path, text in case['files'].items():
            place = os.path.join(here, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, 'w', encoding='utf-8', newline='') as f:
                f.write(text)
        return here

    def environment(self, case):
        return {'PATH': os.environ['PATH'], 'HOME': '/home/caller', **case['env']}

    def run_docker(self, case, here, *command):
        env = {**self.environment(case), 'DOCKER_HOST': f'unix://{self.directory}/engine.sock',
               'DOCKER_CONFIG': f'{self.directory}/docker'}
        argv = [self.docker, 'stack', *command, *files_of(case)]
        return Ran(argv + (['s'] if command[0] == 'deploy' else []), here, env)

    def run_skep(self, case, here, command, *options):
        env = {**self.environment(case), 'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', ''),
               'UBSAN_OPTIONS': os.environ.get('UBSAN_OPTIONS', '')}
        argv = [self.skep, 'compose', command, *options, *files_of(case)]
        return Ran(argv + (['s'] if command == 'render' else []), here, env)

    def deploy(self, case):
        """docker stack deploy against skep compose render."""
        here = self.lay_out(case)
        docker = self.run_docker(case, here, 'deploy', '--detach=true')
        want = self.engine.collect()
        skep = self.run_skep(case, here, 'render', '--compat', 'docker')
        found = compare_words(docker, skep)
        if (docker.code != 0) != (skep.code != 0):
            found.insert(0, f'exit: docker {docker.code} ({docker.err.strip()[-200:]}) skep {skep.code} ({skep.err.strip()[-300:]})')
        elif docker.code == 0:
            found += compare_bodies(want, skep.out)
        return docker, found

    def config(self, case):
        """docker stack config against skep compose config, where both take the case."""
        here = self.lay_out(case)
        docker, skep = self.run_docker(case, here, 'config'), self.run_skep(case, here, 'config', '--compat', 'docker')
        if docker.code or skep.code:
            return []
        return differences('', read_yaml(docker.out), read_yaml(skep.out), [])

    def own_rules(self, case, docker):
        """Without --compat: what docker takes is taken, one text means the same, and `config` keeps the meaning."""
        here = self.lay_out(case)
        skep = self.run_skep(case, here, 'render')
        found = []
        if docker.code == 0 and skep.code != 0:
            found = [f'refused: {line.strip()}' for line in skep.err.splitlines() if re.match(r'  \S+:\d+:\d+: |  \S', line)]
            return found or [f'refused: {skep.err.strip()}']
        if skep.code == 0 and docker.code == 0 and len(case['compose']) == 1:
            like_docker = self.run_skep(case, here, 'render', '--compat', 'docker')
            if like_docker.code == 0:
                found += differences('', env_by_key(case, by_name(like_docker.out)), env_by_key(case, by_name(skep.out)), [])
        if skep.code == 0:
            found += self.printed_again(case, here, skep)
        return found

    def printed_again(self, case, here, skep):
        config = self.run_skep(case, here, 'config')
        with open(os.path.join(here, 'printed.yml'), 'w', encoding='utf-8') as f:
            f.write(config.out)
        again = self.run_skep({**case, 'compose': ['printed.yml']}, here, 'render')
        if config.code or again.code:
            return [f'config: its text is refused: {config.err}{again.err}']
        return differences('config', by_name(skep.out), by_name(again.out), [])


def read_yaml(text):
    """PyYAML takes 1e+06, which is a number, for a string."""
    return yaml.safe_load(re.sub(r'(?m)(?<=[:-] )(-?\d+)(e[-+]\d+)$', r'\1.0\2', text))


def files_of(case):
    return [word for path in case['compose'] for word in ('-c', path)]


def compare_words(docker, skep):
    """Every line that docker says stands in what skep says; and no line of docker's kind that docker does not say."""
    found = []
    for line in docker.err.splitlines():
        line = words(line)
        if line and 'could not be accessed on a registry' not in line and line not in skep.err:
            found.append(f'not said: {line} (said: {skep.err[max(0, skep.err.find("skep: ")):].strip()[:400]})')
    for line in skep.err.splitlines():
        kind = re.search(r'Ignoring (unsupported|deprecated) options|ignoring IP-address|deprecated in favor', line)
        if kind and docker.code == 0 and SKEP_SAYS.sub('', line).strip() not in docker.err and line.split(': ', 2)[-1] not in docker.err:
            found.append(f'said alone: {line}')
    if 'Sanitizer' in skep.err or 'runtime error' in skep.err:
        found.append(f'sanitizer: {skep.err[:2000]}')
    return found


def by_name(text):
    """What render prints, as Engine.collect has it."""
    return {kind: {body['Name']: clean(body) for body in bodies} for kind, bodies in json.loads(text).items() if bodies}


def env_by_key(case, bodies):
    """The services' Env as mappings, so that a variable more or less is one difference and does not hide the others; what env
    files name stands apart."""
    lines = [line for path, text in case['files'].items() if path.endswith('.env') for line in text.splitlines()]
    of_files = {line.strip('\ufeff \t').removeprefix('export ').partition('=')[0].strip() for line in lines}
    for service in bodies.get('services', {}).values():
        container = service['TaskTemplate']['ContainerSpec']
        for item in container.pop('Env', None) or []:
            key, equals, value = item.partition('=')
            container.setdefault('EnvOfFiles' if key in of_files else 'Env', {})[key] = value if equals else None
    return bodies


def compare_bodies(want, text):
    try:
        return differences('', clean(want), by_name(text), [])
    except ValueError as e:
        return [f'no JSON: {e}']
