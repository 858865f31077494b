"""The checks that guard the tree, shown to fail on a planted breach of each rule."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

GOOD = {
    'src/CMakeLists.txt': 'skep_folder(base PkgConfig::JANSSON)\nskep_folder(stacks skep_jobs)\n',
    'src/base/str.h': '/* str: text. */\n#pragma once\nint str_len(const char *s);\n',
    'src/base/str.c': '#include "base/str.h"\n#include <string.h>\n\n'
                      'static const char *const names[] = { "select", "from" };\n\n'
                      'int str_len(const char *s)\n{\n\treturn s == names[0];\n}\n',
    'src/db/stacks.h': '/* stacks: rows. */\n#pragma once\n#include "base/str.h"\nstruct db_stack;\n',
    'src/db/stacks.c': '#include "db/stacks.h"\n\n'
                       'static const char load[] = "select id"\n\t" from orchestration_stacks";\n',
    'src/stacks/deploy.h': '/* deploy: a flow. */\n#pragma once\n#include "db/stacks.h"\n',
    'src/stacks/deploy.c': '#include "stacks/deploy.h"\n#include "base/str.h"\n\n'
                           'void deploy_start(void)\n{\n\tstr_len("a system (call) is no system()");\n}\n',
}


def check(tree, files):
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run([os.path.join(ROOT, 'tools/check-layers'), str(tree)],
                          stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout


def function(name, lines):
    return f'void {name}(void)\n{{\n' + '\t;\n' * (lines - 2) + '}\n'


def test_clean_tree_passes(tmp_path):
    assert check(tmp_path, GOOD) == (0, 'check-layers: 6 files, 0 breaches\n')


@pytest.mark.parametrize('name, file, text, place, words', [
    ('upward include', 'src/base/str.c', GOOD['src/base/str.c'] + '#include "db/stacks.h"\n',
     10, 'base/ may not include "db/stacks.h"'),
    ('sideways include', 'src/stacks/deploy.h', GOOD['src/stacks/deploy.h'] + '#include "pg/pg.h"\n',
     4, 'stacks/ may not include "pg/pg.h"'),
    ('generated types in a domain', 'src/stacks/deploy.h',
     GOOD['src/stacks/deploy.h'] + '#include "skep/v1/stacks.pb-c.h"\n', 4, 'may not include'),
    ('library type in a domain', 'src/stacks/deploy.h', GOOD['src/stacks/deploy.h'] + '#include <curl/curl.h>\n',
     4, '<curl/curl.h> belongs to net'),
    ('link line', 'src/CMakeLists.txt', 'skep_folder(base skep_db)\n', 1, 'base links db'),
    ('unknown folder', 'src/misc/x.c', 'int x;\n', 1, 'misc has no line in FOLDERS'),
    ('own header not first', 'src/stacks/deploy.c', '#include "base/str.h"\n#include "stacks/deploy.h"\n',
     1, 'not its own "stacks/deploy.h"'),
    ('header without a comment', 'src/stacks/deploy.h', '#pragma once\n', 1, 'opens with a comment'),
    ('header without a guard', 'src/stacks/deploy.h', '/* deploy: a flow. */\n', 1, 'no #pragma once'),
    ('SQL outside db', 'src/stacks/deploy.c',
     GOOD['src/stacks/deploy.c'] + 'static const char q[] = "select id"\n\t" from jobs";\n', 8, 'SQL text'),
    ('banned function', 'src/stacks/deploy.c',
     GOOD['src/stacks/deploy.c'] + 'int f(char *d)\n{\n\tstrcpy(d, "x");\n}\n', 10, 'strcpy() is banned'),
    ('long file', 'src/stacks/deploy.c', GOOD['src/stacks/deploy.c'] + '\n' * 795 + 'int f(void);\n',
     801, 'a .c file has at most 800'),
    ('long function', 'src/stacks/deploy.c', GOOD['src/stacks/deploy.c'] + function('deploy_load', 61),
     8, 'deploy_load() has 61 lines; at most 60'),
    ('long tick', 'src/stacks/deploy.c', GOOD['src/stacks/deploy.c'] + function('deploy_tick', 151),
     8, 'deploy_tick() has 151 lines; at most 150'),
    ('mutable global', 'src/stacks/deploy.c', GOOD['src/stacks/deploy.c'] + 'static int count;\n',
     8, 'mutable at file level: static int count'),
    ('mutable table', 'src/stacks/deploy.c',
     GOOD['src/stacks/deploy.c'] + 'static const char *names[] = { "a" };\n', 8, 'mutable at file level'),
])
def test_planted_breach_is_found(tmp_path, name, file, text, place, words):
    status, output = check(tmp_path, {**GOOD, file: text})
    assert status == 1
    assert re.search(rf'^{re.escape(file)}:{place}: .*{re.escape(words)}', output, re.M), output
    assert output.endswith(' 1 breaches\n'), output


@pytest.mark.parametrize('text', [
    function('deploy_load', 60), function('deploy_tick', 150),
    'static const struct table { int a; } t[] = { { 1 }, { 2 } };\n',
    'static enum state load(void);\nstruct later;\ntypedef int (*verb)(void);\n',
    'int f(void)\n{\n\tint count;\n\tif (count) {\n\t\tcount = 1;\n\t}\n\treturn count;\n}\n',
    '/* strcpy(a, b) and "select x from y" in words */\n',
    'static void (*const verbs[])(void) = { 0 };\n',
])
def test_allowed_is_not_reported(tmp_path, text):
    status, output = check(tmp_path, {**GOOD, 'src/stacks/deploy.c': GOOD['src/stacks/deploy.c'] + text})
    assert status == 0, output


# -- generated files ------------------------------------------------------------------------------

@pytest.fixture
def copy(tmp_path):
    """The parts of the tree that tools/generate reads and writes."""
    for part in ('proto', 'migrations', 'gen', 'tools'):
        shutil.copytree(os.path.join(ROOT, part), tmp_path / part)
    for part in 'tests/proto', 'tests/gen':  # the test messages are generated too
        shutil.copytree(os.path.join(ROOT, part), tmp_path / part)
    return tmp_path


def generate(tree, *arguments):
    done = subprocess.run([tree / 'tools/generate', *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_generated_files_are_what_proto_says(copy):
    assert generate(copy, '--check') == (0, '')


def test_same_bytes_twice_and_stale_files_go(copy):
    shutil.rmtree(copy / 'gen/skep')
    (copy / 'gen/google/old.c').write_text('int old;\n')
    status, output = generate(copy)
    assert status == 0 and 'gen/google/old.c removed' in output
    for at, _, names in os.walk(copy / 'gen'):
        for name in names:
            made = os.path.join(at, name)
            with open(made, 'rb') as a, open(os.path.join(ROOT, os.path.relpath(made, copy)), 'rb') as b:
                assert a.read() == b.read(), made


def test_check_notices_a_changed_proto_and_writes_nothing(copy):
    before = (copy / 'gen/skep/v1/messages.c').read_text()
    edit(copy / 'proto/skep/v1/common.proto', 'max: 500', 'max: 501')
    status, output = generate(copy, '--check')
    assert status == 1
    assert 'gen/skep/v1/messages.c is not what its source says' in output
    assert (copy / 'gen/skep/v1/messages.c').read_text() == before


def test_embedded_migrations_are_the_files_bytes(copy, tmp_path):
    text = 'select E\'a\\tb\\\\\', "ü??)" -- \t % \n\ncreate table x ();\n'
    (copy / 'migrations/9999_last.sql').write_text(text)
    assert generate(copy)[0] == 0
    program = tmp_path / 'print.c'
    program.write_text('#include <stdio.h>\n#include "db/migrate.h"\nint main(void)\n{\n'
                       'const struct migration *m = skep_migrations;\n'
                       'while (m[1].name) m++;\n'
                       'printf("%s:%.*s", m->name, (int)m->sql.len, m->sql.ptr);\n}\n')
    subprocess.run(['gcc', '-std=gnu17', '-I', os.path.join(ROOT, 'src'), '-o', tmp_path / 'print', program,
                    copy / 'gen/migrations.c'], check=True)
    printed = subprocess.run([tmp_path / 'print'], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert printed == '9999_last.sql:' + text


@pytest.mark.parametrize('file, old, new, words', [
    ('system', 'option (anonymous) = true;', '', '/skep.v1.System/Info: needs the option (role)'),
    ('auth', 'option (role) = ROLE_OWNER;', 'option (role) = ROLE_OWNER; option (anonymous) = true;',
     'needs the option (role)'),
    ('system', 'option (google.api.http) = {get: "/v1/system"};', '',
     '/skep.v1.System/Info: needs the option (google.api.http), such as {get: "/v1/things/{id}"}'),
    ('system', 'get: "/v1/system"', 'get: "/v1/jobs"', 'GET /v1/jobs is /skep.v1.Jobs/List already'),
    ('system', 'get: "/v1/system"', 'get: "/v1/system/{id}"', 'google.protobuf.Empty has no field id'),
    ('system', 'get: "/v1/system"', 'get: "/v1/{id=a/*}"', '"{id=a" is neither a literal nor one {field}'),
    ('jobs', '{post: "/v1/jobs/{id}:cancel", body: "*"}', '{get: "/v1/jobs/{id}:cancel"}',
     'a method with side effects is no GET'),
    ('projects', 'delete: "/v1/projects/{project}"', 'delete: "/v1/projects/{request_id}"',
     '/v1/projects/{project} is /v1/projects/{request_id} with other names'),
    ('jobs', 'at: "event.sequence"', 'at: "event.message"', 'resume needs a number or string of the request'),
    ('common', 'max_len: 512', 'max: 512', 'skep.v1.Page.page_token: min and max are for integers'),
    ('common', 'min: 0, max: 500', 'max_len: 5', 'Page.page_size: min_len and max_len are for strings'),
    ('common', 'min: 0, max: 500', 'min: 9, max: 5', 'min is above max'),
    ('common', 'pattern_help: "the next_page_token of the page before"', 'min_len: 1',
     'pattern and pattern_help come together'),
    ('jobs', 'max_items: 8', 'uuid: true', 'pattern and uuid are for strings'),
])
def test_bad_option_is_refused_in_words(copy, file, old, new, words):
    edit(copy / f'proto/skep/v1/{file}.proto', old, new)
    status, output = generate(copy)
    assert status != 0 and words in output


# -- setup ----------------------------------------------------------------------------------------

def test_setup_is_silent_when_all_is_there():
    done = subprocess.run([os.path.join(ROOT, 'tools/setup'), '--with', 'test'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, '')


def test_setup_refuses_what_it_does_not_know():
    done = subprocess.run([os.path.join(ROOT, 'tools/setup'), '--with', 'nonsense'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 2 and re.search('takes one of: .*conformance.* test', done.stdout)


# -- the runner of tools/test -----------------------------------------------------------------------

@pytest.fixture
def runner():
    spec = importlib.util.spec_from_file_location('testrunner', os.path.join(ROOT, 'tools/testrunner.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('cases, status, counted', [
    ('<testcase/><testcase/>', 0, (2, 0, 0)),
    ('<testcase/><testcase><failure/></testcase>', 1, (1, 1, 0)),
    ('<testcase/><testcase><error/></testcase><testcase><skipped/></testcase>', 1, (1, 1, 1)),
    ('<testcase/>', 3, (1, 1, 0)),                         # the runner itself broke
    ('<testcase><skipped/></testcase>', 0, (0, 1, 1)),     # nothing was tested
    ('', 0, (0, 1, 0)),
    (None, 0, (0, 1, 0)),                                  # no report was written
])
def test_failures_are_counted(runner, tmp_path, cases, status, counted):
    path = tmp_path / 'report.xml'
    if cases is not None:
        path.write_text(f'<testsuites><testsuite>{cases}</testsuite></testsuites>')
    count = runner.junit(str(path), status)
    assert (count.passed, count.failed, count.skipped) == counted


def test_each_failure_is_named_at_the_end(runner, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, 'VAR', str(tmp_path))
    path = tmp_path / 'report.xml'
    path.write_text('<testsuites><testcase classname="e2e.test_a" name="test_one"><failure message="not so&#10;more"/></testcase></testsuites>')
    (tmp_path / 'sim.log').write_text('seeds 1 to 9\nFAILED seed 7: two at once\n9 runs, 1 failed\n')
    (tmp_path / 'tidy.log').write_text('a.c:1: error: what\n')
    parts = {'junit': lambda: runner.junit(str(path), 1), 'sim': lambda: runner.check('sim', 'false'),
             'tidy': lambda: runner.Count(failed=1), 'fine': lambda: runner.Count(passed=1)}
    for name, part in parts.items():
        monkeypatch.setattr(runner, 'part_' + name, part, raising=False)
    assert runner.run_parts(parts).words == [
        'junit: e2e.test_a.test_one: not so', 'sim: FAILED seed 7: two at once', 'tidy: see its log above']


def test_a_failure_is_shown_without_what_went_well(runner, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, 'VAR', str(tmp_path))
    monkeypatch.setattr(runner, 'built', {'asan': True, 'clang': False})
    (tmp_path / 'unit.log').write_text(
        '      Start 42: unit/base/test_str\n41/99 Test #41: unit/base/test_map ....   Passed    0.10 sec\n'
        '41/99 Test #42: unit/base/test_str ....***Failed    0.73 sec\n[ RUN      ] parts\n[       OK ] parts\n'
        '[ RUN      ] joins\n[  FAILED  ] joins\n')
    (tmp_path / 'build-asan.log').write_text('[1/9] Building C object a.o\na warning\n')
    (tmp_path / 'build-clang.log').write_text('[1/9] Building C object a.o\na.c:1: error: what\n')
    runner.show_failure('unit')
    shown = capsys.readouterr().out
    assert '***Failed' in shown and '[  FAILED  ] joins' in shown and 'a.c:1: error: what' in shown
    assert 'Passed' not in shown and 'OK' not in shown and 'Start 42' not in shown
    assert 'a warning' not in shown and 'Building' not in shown


# Prints its own pid and that of its child, and sleeps on.
SLEEPER = ('import os, subprocess, sys; c = subprocess.Popen(["sleep", "600"]); '
           'print(f"pids {os.getpid()} {c.pid}", flush=True); c.wait()')


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_what_takes_too_long_is_ended_with_its_children(runner, tmp_path):
    with open(tmp_path / 'log', 'w+', encoding='utf-8') as log:
        assert runner.Children().run([sys.executable, '-c', SLEEPER], log, 1) == 124
        log.seek(0)
        text = log.read()
    pids = re.search(r'^pids (\d+) (\d+)$', text, re.M).groups()
    assert 'not done after 1 s' in text
    assert not any(alive(pid) for pid in pids)


def test_stop_ends_what_runs_and_starts_no_more(runner, tmp_path):
    children = runner.Children()
    with open(tmp_path / 'log', 'w', encoding='utf-8') as log:
        result = []
        thread = threading.Thread(target=lambda: result.append(
            children.run(['sleep', '600'], log, 60)))
        thread.start()
        while not children.running:
            thread.join(0.01)
        children.stop()
        thread.join(10)
        assert result == [-signal.SIGINT]
        assert children.run(['true'], log, 60) == 130


def test_halves_of_the_end_to_end_tests_are_about_equal(runner):
    files = [f'e2e/{name}' for name in [*runner.E2E_SECONDS, *(f'test_new_{i}.py' for i in range(6))]]
    sides = runner.halves(files)
    assert sorted(sides[0] + sides[1]) == sorted(files)
    seconds = [sum(runner.E2E_SECONDS.get(os.path.basename(f), runner.E2E_USUAL) for f in side) for side in sides]
    assert abs(seconds[0] - seconds[1]) <= 2 * runner.E2E_USUAL
    assert not runner.halves([])[0]


BUF = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'skep/peers/node_modules/.bin/buf')


@pytest.mark.skipif(not os.path.exists(BUF), reason='no buf: tools/setup --with clients')
@pytest.mark.parametrize('old, new, words', [
    (None, None, None),
    ('string error = 13;', '', 'field "13" with name "error" on message "Job" was deleted'),
    ('string error = 13;', 'bytes error = 13;', 'Field "13" with name "error" on message "Job" changed type'),
    ('string error = 13;', 'string cause = 13;', 'changed name from "error" to "cause"'),
    ('JOB_STATE_PENDING = 1', 'JOB_STATE_WAITING = 1', 'changed name from "JOB_STATE_PENDING" to "JOB_STATE_WAITING"'),
    ('rpc Retry(', 'rpc Again(', 'RPC "Retry" on service "Jobs" was deleted'),
    ('string error = 13;', 'string error = 13; string badName = 99;', 'Field name "badName" should be lower_snake_case'),
    ('JOB_KIND_ADOPT = 11;', 'JOB_KIND_ADOPT = 11; ADOPTED = 99;', 'should be prefixed with "JOB_KIND_"'),
])
def test_proto_is_clean_and_breaks_nothing_released(tmp_path, old, new, words):
    for name in 'proto', 'buf.yaml':
        (shutil.copytree if name == 'proto' else shutil.copy)(os.path.join(ROOT, name), tmp_path / name)
    file = tmp_path / 'proto/skep/v1/jobs.proto'
    if old:
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    done = subprocess.run([os.path.join(ROOT, 'tools/check-proto'), str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert done.returncode == (1 if words else 0), done.stdout
    assert (words or '') in done.stdout
