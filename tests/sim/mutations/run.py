"""Plants each bug of this folder in a copy of the tree, and wants tests/sim to find it, in the words of its oracle.

    tests/sim/mutations/run.py [NAME…]

A patch begins with what it breaks and `# found by: WORDS|WORDS`. The copy is var/mutations; it is built once and then
again for each bug, at least what includes it. A bug that is not found in SEEDS runs, or by other words alone, is a failure."""

import glob
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
COPY = os.path.join(ROOT, 'var', 'mutations')
BUILD = os.path.join(COPY, 'build')
SEEDS = 3000
AT_A_TIME = 250


def run(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', check=False,
                          **options)


def must(*command, **options):
    done = run(*command, **options)
    if done.returncode != 0:
        sys.exit(f'{" ".join(command)}:\n{done.stdout[-4000:]}')


def copy_tree():
    """Only what differs is written, so that a second run builds little."""
    os.makedirs(COPY, exist_ok=True)
    for folder in ('src', 'gen', 'tests', 'bench', 'migrations'):
        shutil.rmtree(os.path.join(COPY, folder), ignore_errors=True)
        shutil.copytree(os.path.join(ROOT, folder), os.path.join(COPY, folder), symlinks=True)  # keeps times
    for path in glob.glob(os.path.join(ROOT, 'tests/sim/mutations/*.patch')):  # built with its bug, if the last run ended there
        with open(path, encoding='utf-8') as f:
            for file in re.findall(r'^\+\+\+ b/(\S+)', f.read(), re.M):
                os.utime(os.path.join(COPY, file))
    for file in ('CMakeLists.txt', 'CMakePresets.json'):
        shutil.copy2(os.path.join(ROOT, file), COPY)
    launcher = ['-DCMAKE_C_COMPILER_LAUNCHER=ccache'] if shutil.which('ccache') else []
    must('cmake', '-G', 'Ninja', '-S', COPY, '-B', BUILD, '-DCMAKE_BUILD_TYPE=Debug', '-DCMAKE_C_FLAGS_DEBUG=-O1 -g', *launcher)


def build():
    return run('cmake', '--build', BUILD, '--target', 'sim')


def hunt(words):
    """Runs seeds until a failure says one of the words: (runs, line); or (runs, what was said instead)."""
    first = int(time.time()) * 1000
    others = ''
    for done in range(0, SEEDS, AT_A_TIME):
        out = run(os.path.join(BUILD, 'tests/sim'), '--from', str(first + done), '--seeds', str(AT_A_TIME), timeout=900)
        failures = re.findall(r'^FAILED seed (\d+): (.*)$', out.stdout, re.M)
        for seed, text in failures:
            if re.search(words, text):
                return int(seed) - first + 1, text, True
            others = text
        if out.returncode not in (0, 1):
            return done + 1, f'exit status {out.returncode}: {out.stdout[-300:]}', False
    return SEEDS, others, False


def try_one(path):
    """True: found."""
    name = os.path.basename(path)[:-len('.patch')]
    with open(path, encoding='utf-8') as f:
        words = re.search(r'^# found by: (.*)$', f.read(), re.M).group(1)
    must('patch', '-p1', '-s', '-i', path, cwd=COPY)
    began = time.monotonic()
    built = build()
    if built.returncode != 0:
        found, line = False, 'it does not build:\n' + built.stdout[-2000:]
    else:
        runs, text, found = hunt(words)
        line = f'{"found" if found else "NOT FOUND"} after {runs} runs: {text}'
    print(f'{name:<22} {line}  ({time.monotonic() - began:.0f} s)', flush=True)
    must('patch', '-p1', '-s', '-R', '-i', path, cwd=COPY)
    return found


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    names = sys.argv[1:]
    paths = [p for p in sorted(glob.glob(os.path.join(folder, '*.patch')))
             if not names or os.path.basename(p)[:-len('.patch')] in names]
    if not paths:
        sys.exit('no such mutation')
    copy_tree()
    missed = [p for p in paths if not try_one(p)]
    print(f'{len(paths) - len(missed)} of {len(paths)} found')
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
