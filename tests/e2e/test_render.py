"""What `skep compose render` accepts, a real Engine accepts: bodies of Compose files by chance (tests/differential), created and
removed again. What the Engine refuses is foreseen by the compose checks, or stands below with the reason why it cannot be."""

import json
import os
import re
import subprocess
import sys

import pytest

from servers import ROOT, binary, eventually

sys.path.insert(0, os.path.join(ROOT, 'tests/differential'))

import generate  # noqa: E402

FILES = int(os.environ.get('SKEP_RENDER_FILES', 60))

# What only an Engine knows: its plugins, and what else lives in it.
UNFORESEEN = [
    (r'plugin "?\S+"? not found|could not find plugin|error looking up.*plugin', 'drivers are plugins of the Engine'),
    (r'cannot be used with services|only networks scoped to the swarm can be used', 'whether a driver spans the Swarm'),
    (r'Pool overlaps|pool overlaps|invalid pool request', 'subnets that are taken'),
    (r'lookup of plugin', 'log and secret drivers are plugins too'),
    (r'operation not supported', 'what a network driver can do on this machine'),
    (r'predefined default network|network default not found', 'an external network named default is the Engine\'s own'),
    (r'already exists|name conflict', 'names that are taken'),
    (r'invalid MountType', 'an Engine before API 1.42 has no cluster volumes'),
]


def render(case, directory):
    for path, text in case['files'].items():
        place = os.path.join(directory, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, 'w', encoding='utf-8', newline='') as f:
            f.write(text)
    env = {'PATH': os.environ['PATH'], 'HOME': '/home/caller', **case['env']}
    for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS'):
        if name in os.environ:
            env[name] = os.environ[name]
    argv = [binary('skep'), 'compose', 'render', *(w for p in case['compose'] for w in ('-c', p)), f'r{case["seed"]}']
    ran = subprocess.run(argv, cwd=directory, env=env, capture_output=True, text=True, timeout=60)
    return json.loads(ran.stdout) if ran.returncode == 0 else None


class Stack:
    """One rendering in the Engine. What it names and does not make is made first, as an operator would have."""

    def __init__(self, engine):
        self.engine = engine
        self.made = []
        self.refused = []

    def create(self, kind, body):
        try:
            made = self.engine.call('POST', f'/{kind}/create', body)
        except RuntimeError as e:
            self.refused.append(f'{kind} {body["Name"]}: {e}')
            return None
        self.made.append((kind, made.get('ID') or made.get('Id')))
        return self.made[-1][1]

    def id_of(self, kind, name):
        """`GET /secrets?filters` matches by prefix."""
        for found in self.engine.call('GET', f'/{kind}', filters={'name': [name]}) or []:
            if found['Spec']['Name'] == name:
                return found['ID']
        return self.create(kind, {'Name': name, 'Data': 'eA=='})

    def prepare(self, body):
        """Ids for names; no task is to run: no node has this label."""
        spec = body['TaskTemplate']
        container = spec['ContainerSpec']
        for kind, word in (('secrets', 'Secret'), ('configs', 'Config')):
            for use in container.get(f'{word}s') or []:
                use[f'{word}ID'] = self.id_of(kind, use[f'{word}Name'])
                if 'Runtime' in use:
                    container['Privileges']['CredentialSpec']['Config'] = use[f'{word}ID']
        for network in spec.get('Networks') or []:
            known = self.engine.call('GET', '/networks', filters={'name': [network['Target']]})
            if not any(n['Name'] == network['Target'] for n in known):
                self.create('networks', {'Name': network['Target'], 'Driver': 'overlay'})
        placement = spec.setdefault('Placement', {})
        placement['Constraints'] = [*(placement.get('Constraints') or []), 'node.labels.nowhere==yes']

    def deploy(self, rendered):
        for kind in ('networks', 'secrets', 'configs'):
            for body in rendered[kind]:
                self.create(kind, body)
        for body in rendered['services']:
            self.prepare(body)
            self.create('services', body)

    def remove(self):
        for kind, number in sorted(self.made, key=lambda made: ('services', 'secrets', 'configs', 'networks').index(made[0])):
            eventually(f'no task is left that uses it: /{kind}/{number}', lambda: self.engine.gone(kind, number))
            if kind == 'networks':
                self.engine.gone('networks', number)


def unforeseen(words):
    return any(re.search(pattern, words) for pattern, _ in UNFORESEEN)


def test_a_real_engine_takes_what_render_makes(engine, tmp_path):
    first = int(os.environ.get('SKEP_RENDER_SEED', 7000))  # another finds what is new
    sent, refused = 0, []
    seed = first
    while sent < FILES:
        case = {**generate.as_files(generate.make(seed)), 'seed': seed}
        directory = tmp_path / str(seed) / 'here'
        directory.mkdir(parents=True)
        rendered = render(case, str(directory))
        seed += 1
        if not rendered:
            continue
        sent += 1
        stack = Stack(engine)
        try:
            stack.deploy(rendered)
        finally:
            stack.remove()
        refused += [f'seed {case["seed"]}: {words}' for words in stack.refused]
    surprises = [words for words in refused if not unforeseen(words)]
    print(f'seeds {first} to {seed - 1}: {sent} renderings sent, {len(refused)} bodies refused, {len(surprises)} of them surprises')
    if surprises:
        pytest.fail('\n'.join(surprises[:40]))
