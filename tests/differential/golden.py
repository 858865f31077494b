#!/usr/bin/python3
"""The captures of `docker stack deploy` (tests/golden) against `skep compose render --compat docker`: exit code, words and
bodies. Those that are about an Engine's state (updates, rm, its networks) are for tests/flow and tests/e2e.

The captures name their directories @DIR@ and @PARENT@, their caller's home was /home/foo, and one of the probes reads two
files that its record lacks: they are made here.

usage: golden.py SKEP"""

import glob
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(os.path.dirname(HERE), 'golden')
sys.path.insert(0, HERE)

from compare import clean, differences, words  # noqa: E402

NEEDS_ENGINE = {'auth', 'err-external-network', 'err-local-network', 'rm', 'update-always', 'update-changed', 'update-never',
                'server-roundtrip'}
READ_BY_PROBES = {'one.env': 'E1=1\nSH=1\n', 'two.env': 'E2=2\nSH=2\n'}


def captures():
    """(name, {path: bytes}, the files of -c, what docker did)."""
    with open(os.path.join(GOLDEN, 'probes.json'), encoding='utf-8') as f:
        for probe in json.load(f):
            texts = ['c.yml'] + sorted(p for p in probe['files'] if p != 'c.yml' and p.endswith('.yml'))
            yield probe['name'], {**READ_BY_PROBES, **probe['files']}, texts, probe
    for path in sorted(glob.glob(os.path.join(GOLDEN, '*', 'expected.json'))):
        folder = os.path.dirname(path)
        name = os.path.basename(folder)
        if name in NEEDS_ENGINE:
            continue
        files = {}
        for file in os.listdir(folder):
            with open(os.path.join(folder, file), encoding='utf-8') as f:
                files[file] = f.read()
        with open(path, encoding='utf-8') as f:
            expected = json.load(f)
        args = expected['args']
        yield name, files, [args[i + 1] for i, word in enumerate(args) if word == '-c'], expected


def filled(value, here):
    text = json.dumps(value).replace('@DIR@', here).replace('@PARENT@', os.path.dirname(here))
    return json.loads(text)


def wanted(writes):
    found = {}
    for write in writes:
        if write.get('method', 'POST') == 'POST' and write['path'].endswith('/create'):
            found.setdefault(write['path'].split('/')[1], {})[write['body']['Name']] = clean(write['body'])
    return found


def check(skep, files, texts, expected, here):
    for path, text in files.items():
        place = os.path.join(here, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, 'w', encoding='utf-8', newline='') as f:
            f.write(text)
    expected = filled(expected, here)
    env = {'PATH': os.environ['PATH'], 'HOME': '/home/foo', **(expected.get('env') or {})}
    for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS'):
        env[name] = os.environ.get(name, '')
    ran = subprocess.run([skep, 'compose', 'render', '--compat', 'docker', *(word for t in texts for word in ('-c', t)), 's'],
                         cwd=here, env=env, capture_output=True, text=True, timeout=60)
    found = []
    if (ran.returncode != 0) != (expected['rc'] != 0):
        found.append(f'exit: docker {expected["rc"]} skep {ran.returncode}: {ran.stderr[:300]}')
    elif ran.returncode == 0:
        got = {kind: {body['Name']: clean(body) for body in bodies} for kind, bodies in json.loads(ran.stdout).items() if bodies}
        differences('', wanted(expected['writes']), got, found)
    for line in expected['stderr']:
        line = line.strip().removeprefix('warning msg="').removesuffix('"') if 'warning msg=' in line else words(line)
        if line and 'could not be accessed on a registry' not in line and line not in ran.stderr:
            found.append(f'not said: {line} (said: {ran.stderr[:300]})')
    return found


def main():
    skep = os.path.abspath(sys.argv[1])
    passed = failed = 0
    for name, files, texts, expected in captures():
        with tempfile.TemporaryDirectory(prefix='skep-golden-') as top:
            here = os.path.join(os.path.realpath(top), 'here')
            os.makedirs(here)
            found = check(skep, files, texts, expected, here)
        passed, failed = passed + (not found), failed + bool(found)
        if found:
            print(f'FAIL {name}\n  ' + '\n  '.join(found[:6]))
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or passed < 100 else 0


if __name__ == '__main__':
    sys.exit(main())
