"""/openapi.json before programs of other makers: a validator, and schemathesis, which asks the daemon what the document says it answers."""

import os
import shutil
import subprocess

import pytest
from servers import ROOT

TOOLS = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'skep/openapi/bin')
SECONDS = 40
pytestmark = pytest.mark.skipif(not os.path.exists(f'{TOOLS}/schemathesis'), reason='tools/setup --with openapi')


def run(folder, *command, **environment):
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
    return done.stdout


def test_document_is_valid(tmp_path):
    assert 'OK' in run(tmp_path, f'{TOOLS}/openapi-spec-validator', f'{ROOT}/gen/openapi.json')


def test_answers_are_what_the_document_says(skepd, tmp_path):
    """Good and bad requests to every path but the streams, for SECONDS; the same ones each time."""
    skepd.call('Projects', 'Create', name='shop')
    token = skepd.call('Auth', 'CreateToken', name='schemathesis', role=4).secret
    shutil.copy(f'{ROOT}/tests/openapi/schemathesis.toml', tmp_path)  # it keeps a cache beside it
    said = run(tmp_path, f'{TOOLS}/schemathesis', 'run', f'http://127.0.0.1:{skepd.port()}/openapi.json', '--phases', 'examples,coverage',
               '--max-time', str(SECONDS), '--exclude-path-regex', ':watch$', '--exclude-operation-id', 'Auth_RevokeToken',
               '--generation-database', 'none', '--seed', '1', '--no-color', '--warnings', 'off', SKEP_TOKEN=token)
    assert 'No issues found' in said or 'passed' in said, said[-3000:]
