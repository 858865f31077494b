#!/usr/bin/python3
"""Differential test: Compose files by chance through `docker stack deploy` (against an Engine that only records) and
through `skep compose render --compat docker`: exit code, words and bodies are compared. A sample goes through
`stack config` and through skep's own rules too. Kept cases (cases/*.json) come first.

A difference is a bug, or a row of docs/compose.md: allowed.json names each with the row's id.

usage: run.py [--seed N] [--count N] [--seconds N] [--jobs N] [--keep DIR] SKEP
       run.py --show N          prints case N of the generator
       run.py --one FILE SKEP   compares a kept case (JSON)"""

import argparse
import copy
import glob
import json
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import generate  # noqa: E402
from compare import Pair  # noqa: E402

DOCKER_VERSION = (28, 2)  # whose behaviour skep's --compat docker is; older ones differ


# -- what may differ -------------------------------------------------------------------------------------------------

class Allowed:
    """allowed.json: [{id, kind: deploy | config | own, pattern}]; each id stands in docs/compose.md as `id`."""

    def __init__(self):
        with open(os.path.join(HERE, 'allowed.json'), encoding='utf-8') as f:
            self.rows = json.load(f)
        with open(os.path.join(ROOT, 'docs/compose.md'), encoding='utf-8') as f:
            document = f.read()
        missing = sorted({row['id'] for row in self.rows if f'`{row["id"]}`' not in document})
        if missing:
            sys.exit(f'docs/compose.md has no row for: {", ".join(missing)}')
        self.used = {}

    def unexplained(self, kind, found):
        left = []
        for difference in found:
            rows = [row for row in self.rows if row['kind'] == kind and re.search(row['pattern'], difference, re.S)]
            if rows:
                self.used[rows[0]['id']] = self.used.get(rows[0]['id'], 0) + 1
            else:
                left.append(difference)
        return left


# -- one case --------------------------------------------------------------------------------------------------------

class Judge:
    def __init__(self, skep, docker, directory):
        self.pair = Pair(skep, docker, directory)
        self.allowed = Allowed()
        self.accepted = 0

    def differences(self, case, sampled):
        docker, found = self.pair.deploy(case)
        self.accepted += docker.code == 0
        left = [('deploy', d) for d in self.allowed.unexplained('deploy', found)]
        if sampled and not left:
            left += [('config', d) for d in self.allowed.unexplained('config', self.pair.config(case))]
            left += [('own', d) for d in self.allowed.unexplained('own', self.pair.own_rules(case, docker))]
        return left


def what(difference):
    """The kind of a difference, its particulars left out: what a smaller case must keep."""
    kind, text = difference
    text = re.sub(r'\(said:.*', '', text, flags=re.S)
    if text.startswith('exit'):
        return kind, text[:14]
    return kind, re.sub(r'\d+|"[^"]*"|/\S+', '#', re.sub(r' skep .*', '', text, flags=re.S))[:60]


def cuts(tree, path=()):
    """Paths to everything that can be left out, large things first."""
    found = []
    if isinstance(tree, generate.Anchored):
        tree = tree.value
        return cuts(tree, path + (None,))
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for k, v in items:
        found.append(path + (k,))
        found += cuts(v, path + (k,))
    return found


def without(case, file, path):
    made = copy.deepcopy(case)
    if not path:
        del made['trees'][file]
        made['compose'] = [c for c in made['compose'] if c != file]
        return made
    at = made['trees'][file]
    for k in path[:-1]:
        at = at.value if k is None else at[k]
    if isinstance(at, generate.Anchored):
        return None
    del at[path[-1]]
    return made


def smaller(judge, case, sampled, tries=200):
    """Leaves out what the difference does not need."""
    wanted = what(judge.differences(generate.as_files(case), sampled)[0])
    again = True
    while again and tries > 0:
        again = False
        candidates = [(file, ()) for file in case['trees']]
        candidates += [(file, p) for file, tree in case['trees'].items() if not isinstance(tree, str) for p in sorted(cuts(tree), key=len)]
        for file, path in candidates:
            try:
                made = without(case, file, path)
            except (KeyError, IndexError, TypeError, AttributeError):
                continue  # it went with something larger
            if not made or not made['compose'] or tries <= 0:
                continue
            tries -= 1
            if any(what(d) == wanted for d in judge.differences(generate.as_files(made), sampled)):
                case, again = made, True
    return case


# -- many ------------------------------------------------------------------------------------------------------------

def work(options, directory, tasks, results):
    judge = Judge(options.skep, options.docker, directory)
    for number, case in iter(tasks.get, None):
        try:
            sampled = case is not None or number % options.sample == 0
            tree = None if case else generate.make(number)
            left = judge.differences(case or generate.as_files(tree), sampled)
            small = generate.as_files(smaller(judge, tree, sampled)) if left and tree and options.minimise else case
            results.put((number, left, small, None))
        except Exception as e:  # a broken test must not look like a passed one
            results.put((number, [('broken', repr(e))], case, None))
    results.put((None, [], None, (judge.accepted, judge.allowed.used)))


def tasks_of(options, kept):
    for path in kept:
        with open(path, encoding='utf-8') as f:
            yield os.path.basename(path), json.load(f)
    if not options.kept_only:
        for number in range(options.seed, options.seed + options.count):
            yield number, None


def show(number, left, small, keep):
    print(f'\n--- {"case" if isinstance(number, str) else "seed"} {number}')
    for kind, text in left[:8]:
        print(f'  {kind}: {text}')
    if small and not isinstance(number, str):
        for path, text in small['files'].items():
            print(f'  # {path}\n' + '\n'.join('    ' + line for line in text.splitlines()))
        if keep:
            os.makedirs(keep, exist_ok=True)
            with open(os.path.join(keep, f'{number}.json'), 'w', encoding='utf-8') as f:
                json.dump(small, f, indent=1, ensure_ascii=False)
    sys.stdout.flush()


def run(options, directory):
    kept = sorted(glob.glob(os.path.join(HERE, 'cases', '*.json')))
    tasks, results = multiprocessing.Queue(options.jobs * 4), multiprocessing.Queue()
    workers = []
    for i in range(options.jobs):
        place = os.path.join(directory, str(i))
        os.makedirs(place)
        workers.append(multiprocessing.Process(target=work, args=(options, place, tasks, results), daemon=True))
        workers[-1].start()
    began, sent, failed, compared, accepted, used, running = time.monotonic(), 0, 0, 0, 0, {}, len(workers)
    source = tasks_of(options, kept)
    ended = False
    while running:
        while not ended and sent - compared < options.jobs * 3:
            task = next(source, None)
            late = options.seconds and sent >= max(options.least, len(kept)) and time.monotonic() - began > options.seconds
            if task is None or late:
                ended = True
                for _ in workers:
                    tasks.put(None)
                break
            tasks.put(task)
            sent += 1
        number, left, small, summary = results.get(timeout=300)
        if summary:
            running -= 1
            accepted += summary[0]
            for k, n in summary[1].items():
                used[k] = used.get(k, 0) + n
            continue
        compared += 1
        if left:
            failed += 1
            if failed <= options.show_most:
                show(number, left, small, options.keep)
    for w in workers:
        w.join()
    took = time.monotonic() - began
    print(f'\nseed {options.seed}: {compared} cases ({len(kept)} kept), docker took {accepted} of the runs, in {took:.0f} s; '
          f'{failed} with unexplained differences')
    for k in sorted(used):
        print(f'  {used[k]:6} explained by {k}')
    return 1 if failed or compared < options.least else 0


def docker_version(docker):
    try:
        text = subprocess.run([docker, '--version'], capture_output=True, text=True, timeout=30).stdout
    except OSError:
        return None
    found = re.search(r'version (\d+)\.(\d+)', text)
    return (int(found[1]), int(found[2])) if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('skep', nargs='?')
    parser.add_argument('--seed', type=int, help='the first (default: a new one)')
    parser.add_argument('--count', type=int, default=2000)
    parser.add_argument('--seconds', type=float, default=0, help='begin no more after so long, if --least were')
    parser.add_argument('--least', type=int, default=1, help='so many are compared however slow it is; fewer are a failure')
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--sample', type=int, default=4, help='one of so many goes through the other comparisons')
    parser.add_argument('--show-most', type=int, default=10)
    parser.add_argument('--no-minimise', dest='minimise', action='store_false')
    parser.add_argument('--keep', metavar='DIR', help='writes what failed there')
    parser.add_argument('--kept-only', action='store_true')
    parser.add_argument('--show', type=int, metavar='N')
    parser.add_argument('--one', metavar='FILE')
    parser.add_argument('--docker', default=shutil.which('docker') or 'docker')
    options = parser.parse_args()
    if options.show is not None:
        case = generate.as_files(generate.make(options.show))
        for path, text in case['files'].items():
            print(f'# {path}\n{text}')
        print('#', case['compose'], case['env'])
        return 0
    version = docker_version(options.docker)
    if version is None or version < DOCKER_VERSION:
        print(f'SKIPPED: no docker CLI of {DOCKER_VERSION[0]}.{DOCKER_VERSION[1]} or later here '
              f'({"none" if version is None else ".".join(map(str, version))}): nothing was compared')
        return 77
    if not options.skep:
        parser.error('which skep?')
    options.skep = os.path.abspath(options.skep)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(10**9)
    directory = tempfile.mkdtemp(prefix='skep-diff-')
    try:
        if options.one:
            os.makedirs(os.path.join(directory, 'one'))
            with open(options.one, encoding='utf-8') as f:
                left = Judge(options.skep, options.docker, os.path.join(directory, 'one')).differences(json.load(f), True)
            for kind, text in left:
                print(f'{kind}: {text}')
            return 1 if left else 0
        return run(options, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
