"""Programs of other makers: what tests/peers/setup has made outside the tree. Without it their tests are skipped, with words."""

import os

import pytest

FOLDER = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'skep/peers')


def peer(program):
    path = f'{FOLDER}/bin/{program}'
    if not os.access(path, os.X_OK):
        pytest.skip(f'there is no {program}: tools/setup --with clients, which needs Go and Node.js')
    return path
