"""The parts of tools/test, their order, and the counting. Run by tools/test, which installs first."""

import argparse
import concurrent.futures
import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VAR = os.path.join(ROOT, 'var', 'test')
JOBS = os.cpu_count() or 1
# Whatever is drawn by chance is drawn from the same seed in each run, so that a change is judged by what it changes; --fresh
# draws anew, to find more. The simulation's seeds are fresh always.
FUZZ_SECONDS = 30
FUZZ_SEED = 7
SIM_SEEDS = 2400
SIM_MODEL_SECONDS = 20
SIM_MODEL_SEED = 1000
DIFFERENTIAL_SECONDS = 80
DIFFERENTIAL_SEED = 36000000
CHAOS_MINUTES = 3  # of faults; start and end take another one
CHAOS_SEED = 31
SANITIZER = {
    'ASAN_OPTIONS': 'detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1',
    'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1',
}


class Count:
    """What passed and failed; `words`: of each failure a line, told once more at the end, where the whole log is not at hand."""

    def __init__(self, passed=0, failed=0, skipped=0, words=()):
        self.passed, self.failed, self.skipped, self.words = passed, failed, skipped, list(words)

    def __add__(self, other):
        return Count(self.passed + other.passed, self.failed + other.failed,
                     self.skipped + other.skipped, self.words + other.words)

    def __str__(self):
        skipped = f', {self.skipped} skipped' if self.skipped else ''
        return f'{self.passed} passed, {self.failed} failed{skipped}'


class Interrupted(Exception):
    """Ctrl-C or SIGTERM: end the children, then say so."""


class Children:
    """The processes that run now, each the leader of its own group, so that it ends with all it started."""

    def __init__(self):
        self.running = set()
        self.stopping = False

    def run(self, command, log, limit, env=None):
        """Runs to the end, output appended to `log`. Returns the exit status; 124 past `limit` seconds."""
        if self.stopping:
            return 130
        log.write(f'$ {" ".join(command)}\n')
        log.flush()
        child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=subprocess.STDOUT, start_new_session=True,
                                 env={**os.environ, **SANITIZER, **(env or {})})
        self.running.add(child)
        try:
            status = child.wait(limit)
        except subprocess.TimeoutExpired:
            log.write(f'stopped: not done after {limit} s\n')
            self.end([child])
            status = 124
        # Not in a finally: when Interrupted comes out of wait(), the child still has to be ended.
        self.running.discard(child)
        return status

    @staticmethod
    def signal(children, number):
        for child in children:
            if child.returncode is None:  # until it is waited for, its number is nobody else's
                try:
                    os.killpg(child.pid, number)
                except ProcessLookupError:
                    pass

    def end(self, children):
        """SIGINT, so that pytest takes its servers down; after 30 s SIGKILL."""
        for number, patience in ((signal.SIGINT, 30), (signal.SIGKILL, 5)):
            self.signal(children, number)
            deadline = time.monotonic() + patience
            try:
                for child in children:
                    child.wait(max(0, deadline - time.monotonic()))
                return
            except subprocess.TimeoutExpired:
                continue

    def stop(self):
        """No more of them; those that run are asked to end, which the threads that wait for them notice."""
        self.stopping = True
        self.signal(list(self.running), signal.SIGINT)

    def end_all(self):
        self.end(list(self.running))


children = Children()
built = {}  # preset → did it build
fresh = False  # --fresh


def drawn(seed):
    return str(random.randrange(1, 10**9) if fresh else seed)


def log_path(part):
    return os.path.join(VAR, part + '.log')


def said(part):
    """What the log of a program that names its failures says."""
    with open(log_path(part), encoding='utf-8', errors='replace') as log:
        return [line.strip()[:300] for line in log if line.startswith('FAILED')][:5]


def check(part, *command, limit=600):
    """One command, one check."""
    with open(log_path(part), 'a', encoding='utf-8') as log:
        status = children.run(list(command), log, limit)
    return Count(passed=1) if status == 0 else Count(failed=1, words=said(part) or [f'{" ".join(command)}: exit status {status}'])


def build(preset, *targets):
    """Configure and build once; a check of its own the first time, nothing after."""
    if preset in built:
        return Count()
    part = 'build-' + preset
    if shutil.which('ccache'):
        os.environ.setdefault('CMAKE_C_COMPILER_LAUNCHER', 'ccache')
    count = check(part, 'cmake', '--preset', preset)
    if not count.failed:
        count = check(part, 'cmake', '--build', '--preset', preset, '-j', str(JOBS),
                      *(['--target', *targets] if targets else []), limit=1800)
    built[preset] = not count.failed
    return count


def junit(path, status):
    """What a JUnit file counts; a runner that fails without naming a test, or passes none, is one failure."""
    count = Count()
    if os.path.exists(path):
        for case in xml.parse(path).getroot().iter('testcase'):
            bad = [e for e in case if e.tag in ('failure', 'error')]
            if bad:
                count.failed += 1
                message = (bad[0].get('message') or '').strip().split('\n')[0]
                count.words.append(f'{case.get("classname")}.{case.get("name")}: {message[:200]}')
            elif case.find('skipped') is not None:
                count.skipped += 1
            else:
                count.passed += 1
    if not count.failed and (status != 0 or not count.passed):
        count.failed = 1
    return count


def ctest(part, preset, pattern='.', env=None):
    result = os.path.join(VAR, part + '.xml')
    with open(log_path(part), 'a', encoding='utf-8') as log:
        status = children.run(['ctest', '--test-dir', f'build/{preset}', '-R', pattern, '-j', str(JOBS),
                               '--output-on-failure', '--timeout', '120', '--no-tests=error',
                               '--output-junit', result], log, 1200, env)
    return junit(result, status)


def pytest(part, paths, limit, env=None):
    result = os.path.join(VAR, part + '.xml')
    with open(log_path(part), 'a', encoding='utf-8') as log:
        status = children.run(['/usr/bin/python3', '-m', 'pytest', '-ra', '-p', 'no:cacheprovider',
                               '--durations=10', f'--junitxml={result}', *paths], log, limit,
                              {'PYTHONDONTWRITEBYTECODE': '1', **(env or {})})
    return junit(result, status)


# -- the parts, each a function that returns its Count ----------------------------------------------

def part_layers():
    return check('layers', 'tools/check-layers')


def part_generated():
    return check('generated', 'tools/generate', '--check')


def part_proto():
    """buf's rules for proto/, and nothing broken that was released. Skipped where tools/setup has not made buf."""
    with open(log_path('proto'), 'a', encoding='utf-8') as log:
        status = children.run(['tools/check-proto'], log, 120)
    if status == 77:
        print('(no buf: tools/setup --with clients) ', end='', flush=True)
    return Count(passed=1) if status == 0 else Count(skipped=1) if status == 77 else Count(failed=1)


def part_tools():
    return pytest('tools', ['tests/unit/tools'], 300)


def part_fast():
    """The sweeps of the flow tests (tests/flow/fake_sweep.h) are thin here, whole in part_asan."""
    count = build('dev', 'tests/all')
    return count if not built['dev'] else count + ctest('fast', 'dev', '^(unit|flow)/', {'SKEP_SWEEP': 'thin'})


def part_release():
    return build('release', 'skepd', 'skep', 'bench_rpc')


def part_asan():
    count = build('asan')
    return count if not built['asan'] else count + ctest('asan', 'asan')


def part_clang():
    return build('clang')


def part_tidy():
    """clang-tidy on each of our own .c files; a file is no check of its own, the part is."""
    count = build('clang')
    if not built['clang']:
        return count
    with open(os.path.join(ROOT, 'build/clang/compile_commands.json'), encoding='utf-8') as f:
        files = sorted({entry['file'] for entry in json.load(f)})
    files = [f for f in files if os.path.relpath(f, ROOT).split('/')[0] in ('src', 'bench')]

    def tidy(file):
        name = os.path.relpath(file, ROOT).replace('/', '-')
        path = os.path.join(VAR, 'tidy', name + '.log')
        with open(path, 'w', encoding='utf-8') as log:
            return children.run(['clang-tidy-14', '-p', 'build/clang', '--quiet', file], log, 300), path

    os.makedirs(os.path.join(VAR, 'tidy'))
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool, \
            open(log_path('tidy'), 'a', encoding='utf-8') as log:
        failed = [path for status, path in pool.map(tidy, files) if status != 0]
        for path in failed:
            with open(path, encoding='utf-8') as f:
                log.write(f.read())
    return count + (Count(failed=1) if failed or not files else Count(passed=1))


def fuzz_target(binary):
    """FUZZ_SECONDS of one target: from tests/fuzz/corpus/<what>, new inputs to var/test/fuzz/<what>."""
    what = os.path.basename(binary)[len('fuzz_'):]
    found = os.path.join(VAR, 'fuzz', what)
    os.makedirs(found)
    command = [binary, f'-seed={drawn(FUZZ_SEED)}', f'-max_total_time={FUZZ_SECONDS}', '-timeout=10', '-rss_limit_mb=2048',
               '-print_final_stats=1', f'-artifact_prefix={found}/', found]
    dictionary = os.path.join(ROOT, 'tests/fuzz', what + '.dict')
    if os.path.exists(dictionary):
        command.insert(1, '-dict=' + dictionary)
    corpus = os.path.join(ROOT, 'tests/fuzz/corpus', what)
    if os.path.isdir(corpus):
        command.append(corpus)
    return check('fuzz-' + what, *command, limit=FUZZ_SECONDS * 4)


def part_fuzz():
    count = build('clang')
    if not built['clang']:
        return count
    binaries = sorted(glob.glob(os.path.join(ROOT, 'build/clang/tests/fuzz_*')))
    if not binaries:
        return count + Count(failed=1)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return sum(pool.map(fuzz_target, binaries), count)


# Of the slow files, about; any other is taken for E2E_USUAL.
E2E_SECONDS = {'test_main_job.py': 144, 'test_faults.py': 116, 'test_crash.py': 114, 'test_failures.py': 87, 'test_nodes.py': 66,
               'test_plan.py': 63, 'test_render.py': 52, 'test_callers.py': 48, 'test_bull_board.py': 42, 'test_attack.py': 41,
               'test_storms.py': 31, 'test_cli.py': 27, 'test_clients.py': 25, 'test_adopt.py': 24, 'test_tls.py': 22,
               'test_registry.py': 20, 'test_observed.py': 20}
E2E_USUAL = 12


def halves(files):
    """Two lists of about the same length in time: the longest first, each to the lighter side."""
    def seconds(file):
        return E2E_SECONDS.get(os.path.basename(file), E2E_USUAL)
    sides = [], []
    for file in sorted(files, key=lambda f: (-seconds(f), f)):
        min(sides, key=lambda side: sum(map(seconds, side))).append(file)
    return sides


def part_e2e():
    """The real binaries, with sanitizers; what those report in a daemon is a failure too. Two runs side by side, each with
    servers of its own: most of the time is waiting for the Engine."""
    count = build('asan')
    if not built['asan']:
        return count
    reports = os.path.join(VAR, 'sanitizer')
    options = {name: f'{value}:log_path={reports}' for name, value in SANITIZER.items()}
    env = {'SKEP_BIN_DIR': os.path.join(ROOT, 'build/asan'), **options}
    shares = dict(zip(('e2e-1', 'e2e-2'), halves(glob.glob('tests/e2e/test_*.py'))))
    with concurrent.futures.ThreadPoolExecutor(len(shares)) as pool:
        count += sum(pool.map(lambda part: pytest(part, shares[part], 2400, env), shares), Count())
    found = sorted(glob.glob(reports + '.*'))
    with open(log_path('e2e'), 'a', encoding='utf-8') as log:
        for path in found:
            with open(path, encoding='utf-8', errors='replace') as f:
                log.write(f.read())
    return count + Count(failed=len(found))


def part_differential():
    """Generated Compose files through the docker CLI and through skep: always the same ones, so that a change is judged by
    what it changes. Others are for `tests/differential/run.py` by hand; what they find stays in cases/."""
    count = build('asan')
    if not built['asan']:
        return count
    with open(log_path('differential'), 'a', encoding='utf-8') as log:
        status = children.run(['/usr/bin/python3', 'tests/differential/run.py', '--count', '100000', '--seconds',
                               str(DIFFERENTIAL_SECONDS), '--least', '60', '--seed', drawn(DIFFERENTIAL_SEED), '--jobs', str(JOBS),
                               'build/asan/src/skep'], log, 600, {'PYTHONDONTWRITEBYTECODE': '1'})
    return count + (Count(passed=1) if status == 0 else Count(skipped=1) if status == 77 else Count(failed=1))


def part_sim():
    """Several daemons in virtual time (tests/sim): the kept seeds, and fresh ones, which the log names; and the model of
    PostgreSQL that they stand on beside the real one."""
    count = build('release', 'skepd', 'skep', 'bench_rpc')
    if not built['release']:
        return count
    count += check('build-sim', 'cmake', '--build', 'build/release', '--target', 'sim', 'sim_differential', '-j', str(JOBS))
    if count.failed:
        return count

    def run(name, *command):
        return check('sim-' + name, 'build/release/tests/' + command[0], *command[1:])

    shares = [['seeds-%d' % i, 'sim', '--seeds', str(SIM_SEEDS // JOBS)] for i in range(JOBS)]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        todo = [['kept', 'sim', '--kept', 'tests/sim/seeds'],
                ['model', 'sim_differential', '--from', drawn(SIM_MODEL_SEED), '--seconds', str(SIM_MODEL_SECONDS)], *shares]
        return sum(pool.map(lambda words: run(*words), todo), count)


def part_mutations():
    """tests/sim must find each bug that is planted: for the night, it builds the simulation once a bug."""
    return check('mutations', '/usr/bin/python3', 'tests/sim/mutations/run.py', limit=5400)


def part_conformance():
    """connectconformance against tests/conformance/server.c: its own count. Skipped where tools/setup has not made the runner."""
    folder = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'skep/conformance-v1.0.7')
    runner = os.path.join(folder, 'bin/connectconformance')
    if not os.path.exists(runner) or not os.path.isdir(os.path.join(folder, 'gen')):
        print('(no connectconformance: tools/setup --with conformance, which needs Go) ', end='', flush=True)
        return Count(skipped=1)
    count = build('asan')
    if not built['asan']:
        return count
    count += check('conformance', 'cmake', '--preset', 'asan', f'-DSKEP_CONFORMANCE={folder}')
    count += check('conformance', 'cmake', '--build', 'build/asan', '--target', 'conformance_server', '-j', str(JOBS))
    if count.failed:
        return count
    with open(log_path('conformance'), 'a', encoding='utf-8') as log:
        status = children.run([runner, '--mode', 'server', '--conf', 'tests/conformance/features.yaml', '-p', '4',
                               '--max-servers', '2', '--', 'build/asan/tests/conformance_server'], log, 600)
    with open(log_path('conformance'), encoding='utf-8', errors='replace') as log:
        found = re.findall(r'^(\d+) passed, (\d+) failed', log.read(), re.M)
    passed, failed = (int(n) for n in found[-1]) if found else (0, 1)
    return count + Count(passed=passed, failed=failed or (1 if status else 0))


def part_protobuf():
    """protobuf's own conformance tests of the binary and JSON codecs: its own count. Skipped where tools/setup has not made the runner."""
    folder = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'skep/peers')
    runner = os.path.join(folder, 'bin/conformance_test_runner')
    if not os.path.exists(runner) or not os.path.isdir(os.path.join(folder, 'gen')):
        print('(no runner: tools/setup --with clients, which needs Go and Node.js) ', end='', flush=True)
        return Count(skipped=1)
    count = build('asan')
    if not built['asan']:
        return count
    count += check('protobuf', 'cmake', '--preset', 'asan', f'-DSKEP_PEERS={folder}')
    count += check('protobuf', 'cmake', '--build', 'build/asan', '--target', 'protobuf_testee', '-j', str(JOBS))
    if count.failed:
        return count
    with open(log_path('protobuf'), 'a', encoding='utf-8') as log:
        status = children.run([runner, '--enforce_recommended', '--maximum_edition', 'PROTO3', '--failure_list',
                               'tests/conformance/protobuf-exceptions.txt', '--output_dir', VAR + '/',
                               'build/asan/tests/protobuf_testee'], log, 300)
    with open(log_path('protobuf'), encoding='utf-8', errors='replace') as log:
        found = re.findall(r'^CONFORMANCE SUITE \w+: (\d+) successes, \d+ skipped, \d+ expected failures, (\d+) unexpected', log.read(), re.M)
    passed, failed = (sum(int(pair[i]) for pair in found) for i in (0, 1))
    return count + Count(passed=passed, failed=failed or (0 if status == 0 and passed else 1))


def part_chaos():
    """Three daemons and all that they need, killed and cut off from one another under load, always by the same schedule, so that a
    change is judged by what it changes (others: tests/chaos/run). Its checker is tried on bad histories first. Every oracle counts."""
    count = build('asan')
    if not built['asan']:
        return count
    count += pytest('chaos-checker', ['tests/chaos'], 60)
    with open(log_path('chaos'), 'a', encoding='utf-8') as log:
        status = children.run(['tests/chaos/run', '--minutes', str(CHAOS_MINUTES), '--seed', drawn(CHAOS_SEED), '--out', os.path.join(VAR, 'chaos')], log,
                              CHAOS_MINUTES * 60 + 420, {'SKEP_BIN_DIR': os.path.join(ROOT, 'build/asan')})
    with open(log_path('chaos'), encoding='utf-8', errors='replace') as log:
        found = re.findall(r'^seed \d+: (\d+) of (\d+) oracles', log.read(), re.M)
    content, oracles = (int(n) for n in found[-1]) if found else (0, 1)
    return count + Count(passed=content, failed=oracles - content or (1 if status else 0), words=said('chaos'))


FAST = ['layers', 'fast']
ALL = ['layers', 'generated', 'proto', 'tools', 'asan', 'release', 'sim', 'clang', 'tidy', 'fuzz', 'differential', 'conformance', 'protobuf',
       'e2e', 'chaos']
NIGHT = ['mutations']  # by --only alone


# What went well has no place where the words of a failure are looked for.
WENT_WELL = re.compile(r'\s+Start +\d+: |.*\.\.\. +Passed +|\[\d+/\d+\] (Building|Linking|Generating) |\[( RUN|       OK|  PASSED)')


def show_failure(part):
    """The end of each log the part wrote, where the words of the failure stand."""
    paths = glob.glob(log_path(part)) + glob.glob(log_path(part + '-*'))
    paths += [log_path('build-' + preset) for preset, good in built.items() if not good]
    for path in sorted(paths, key=os.path.getmtime):
        with open(path, encoding='utf-8', errors='replace') as f:
            lines = [line for line in f.read().split('\n') if not WENT_WELL.match(line)]
        if any(lines):
            print(f'--- {os.path.relpath(path, ROOT)}')
            print('\n'.join(lines[-120:]))


def run_parts(parts):
    total = Count()
    for part in parts:
        print(f'{part:<10} ', end='', flush=True)
        began = time.monotonic()
        count = globals()['part_' + part]()
        print(f'{str(count):<34} {time.monotonic() - began:7.1f} s', flush=True)
        if count.failed and not count.words:
            count.words = ['see its log above']
        count.words = [f'{part}: {words}' for words in count.words]
        total += count
        if count.failed:
            show_failure(part)
    return total


def on_signal(number, frame):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    children.stop()
    raise Interrupted


def main():
    parser = argparse.ArgumentParser(prog='tools/test', description='Installs, builds and runs every test.')
    parser.add_argument('--fast', action='store_true', help='unit and flow tests only, in under a minute once the tree is built')
    parser.add_argument('--only', metavar='PART,…', help='these parts')
    parser.add_argument('--fresh', action='store_true', help='draw anew what is drawn by chance: inputs of fuzzing, texts, schedules of faults')
    parser.add_argument('--list', action='store_true', help='name the parts')
    arguments = parser.parse_args()
    global fresh
    fresh = arguments.fresh
    if arguments.list:
        print('\n'.join(sorted({*FAST, *ALL, *NIGHT})))
        return 0
    parts = arguments.only.split(',') if arguments.only else FAST if arguments.fast else ALL
    unknown = [p for p in parts if p not in {*FAST, *ALL, *NIGHT}]
    if unknown:
        parser.error(f'no part {", ".join(unknown)}; there are: {", ".join(sorted({*FAST, *ALL, *NIGHT}))}')

    os.chdir(ROOT)
    shutil.rmtree(VAR, ignore_errors=True)
    os.makedirs(VAR)
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    began = time.monotonic()
    try:
        total = run_parts(parts)
    except Interrupted:
        children.end_all()
        print('\nstopped')
        return 130
    for words in total.words:
        print(f'failed: {words}')
    print(f'all of it took {time.monotonic() - began:.0f} s')
    print(f'{total.passed} passed, {total.failed} failed')
    return 1 if total.failed or not total.passed else 0


if __name__ == '__main__':
    sys.exit(main())
