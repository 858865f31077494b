"""What an enemy sends: a clear answer, nothing is lost, others are unaffected."""

import os
import resource
import socket

import pytest

from daemon import hello
from native_client import RpcError
from servers import eventually


def test_watch_by_an_id_in_capitals_hears_the_end(project, skepd):
    project.deploy({'app': hello()})
    job = skepd.call('Stacks', 'Scale', stack=project.ref(), replicas={'app': 2})
    with skepd.client(timeout=30) as client:
        messages = list(client.stream('Jobs', 'Watch', id=job.id.upper()))
    assert messages[-1].job.id == job.id


def refused(skepd, service, method, field, /, **fields):
    with pytest.raises(RpcError, match='INVALID_ARGUMENT') as e:
        skepd.call(service, method, **fields)
    assert list(e.value.violations()) == [field]


def test_names_have_limits_wherever_they_stand(project, skepd):
    project.deploy({'app': hello()})
    long = 's' * 1_000_000
    refused(skepd, 'Stacks', 'Scale', 'replicas', stack=project.ref(), replicas={long: 1})
    refused(skepd, 'Stacks', 'Restart', 'services[0]', stack=project.ref(), services=[long])
    for name in 'é', 'a\n', 'a\x1b]0;b\x07', 'ci' * 51:
        refused(skepd, 'Auth', 'CreateToken', 'name', project=project.name, name=name, role=1)
    for token in 'x', "' or 1=1", project.id + '0':
        refused(skepd, 'Jobs', 'List', 'page.page_token', page={'page_token': token})


def test_a_short_text_cannot_stand_for_a_long_one(project, skepd):
    before = skepd.rss()
    many = b''.join(b' s%d: {image: x, env_file: [e]}\n' % i for i in range(400))
    labels = b', '.join(b'k%d: *a' % i for i in range(1000))
    texts = [b'services:\n' + many, b'x-a: &a "' + b'v' * 100_000 + b'"\nservices: {s: {image: x, labels: {' + labels + b'}}}']
    for text in texts:
        with pytest.raises(RpcError, match='INVALID_ARGUMENT') as e:
            project.submit(text, files=[{'path': 'e', 'content': b''.join(b'K%d=v\n' % i for i in range(90_000))}])
        assert 'longer than 16 MiB' in str(e.value.violations())
    assert skepd.rss() < before + 400 * 1024 * 1024
    with pytest.raises(RpcError, match='INVALID_ARGUMENT') as e:
        project.submit(b'services:\n' + b''.join(b' s%d: {image: x}\n' % i for i in range(2001)))
    assert '2000 are allowed' in str(e.value.violations())


def test_a_thousand_connections_that_say_nothing(new_daemon):
    """Under the usual soft limit of descriptors."""
    skepd, limits = new_daemon(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, limits[1]))
    try:
        skepd.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    silent = []
    try:
        for _ in range(1500):
            s = socket.socket(socket.AF_UNIX)
            s.connect(skepd.socket)
            silent.append(s)
        assert skepd.call('System', 'Ready').ready
        assert skepd.call('Projects', 'Create', name='others').name == 'others'
    finally:
        for s in silent:
            s.close()
    eventually('they are gone', lambda: len(open_files(skepd)) < 100)
    skepd.stop()
    assert 'accept failed' not in skepd.log()


def open_files(skepd):
    return os.listdir(f'/proc/{skepd.process.pid}/fd')
