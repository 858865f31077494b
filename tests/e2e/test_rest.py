"""REST as a script uses it: curl and JSON, from a project to the end of a deploy."""

import base64
import json
import subprocess

import pytest
from daemon import compose, hello


@pytest.fixture(params=['--http1.1', '--http2-prior-knowledge'])
def version(request):
    return request.param


@pytest.fixture
def curl(skepd):
    """curl(verb, path, body, header=…) → (status, {header}, body: JSON where it is)"""
    token = skepd.call('Auth', 'CreateToken', name='curl', role=4).secret

    def run(verb, path, body=None, *, token=token, version='--http1.1', **headers):
        command = ['curl', '-sS', '-i', version, '--max-time', '60', '-X', verb, f'http://127.0.0.1:{skepd.port()}{path}']
        headers = {name.replace('_', '-'): value for name, value in headers.items()}
        if token:
            headers['authorization'] = f'Bearer {token}'
        if body is not None:
            headers['content-type'] = 'application/json'
            command += ['--data-binary', '@-']
        for name, value in headers.items():
            command += ['-H', f'{name}: {value}']
        done = subprocess.run(command, input=json.dumps(body).encode() if body is not None else b'', stdout=subprocess.PIPE, check=True)
        head, answer = done.stdout.split(b'\r\n\r\n', 1)
        lines = head.decode().split('\r\n')
        found = dict(line.lower().split(': ', 1) for line in lines[1:] if ': ' in line)
        if 'json' in found.get('content-type', '') and 'ndjson' not in found['content-type'] and answer:
            answer = json.loads(answer)
        return int(lines[0].split()[1]), found, answer
    return run


def test_project_lives(curl, version):
    name = 'r' + version[6]
    status, _, made = curl('POST', '/v1/projects', {'name': name, 'description': 'by curl'}, version=version, idempotency_key=name)
    assert status == 200 and made['name'] == name
    assert curl('POST', '/v1/projects', {'name': name, 'description': 'by curl'}, version=version, idempotency_key=name)[2] == made
    status, headers, problem = curl('POST', '/v1/projects', {'name': name}, version=version)
    assert (status, headers['content-type'], problem['code']) == (409, 'application/problem+json', 'ALREADY_EXISTS')
    status, headers, got = curl('GET', f'/v1/projects/{name}', version=version)
    etag = headers['etag']
    assert got == made and etag == f'"{made["etag"]}"'
    assert curl('GET', f'/v1/projects/{name}', version=version, if_none_match=etag)[0] == 304
    status, _, changed = curl('PATCH', f'/v1/projects/{made["id"]}', {'description': 'again'}, version=version, if_match=etag)
    assert (status, changed['description']) == (200, 'again')
    assert curl('PATCH', f'/v1/projects/{name}', {'description': 'no'}, version=version, if_match=etag)[0] == 412
    assert curl('DELETE', f'/v1/projects/{name}', version=version, if_match=etag)[0] == 412
    assert curl('DELETE', f'/v1/projects/{name}', version=version)[0] == 204
    assert curl('GET', f'/v1/projects/{name}', version=version)[0] == 404


def test_lists_come_in_pages(curl):
    made = {curl('POST', '/v1/tokens', {'name': f'page {n}', 'role': 'ROLE_VIEWER'})[2]['token']['id'] for n in range(3)}
    seen, token = [], ''
    while True:
        page = curl('GET', f'/v1/tokens?page_size=2&page_token={token}')[2]
        assert len(page['tokens']) <= 2
        seen += [t['id'] for t in page['tokens']]
        token = page.get('nextPageToken')
        if not token:
            break
    assert made <= set(seen) and len(seen) == len(set(seen))
    assert {curl('DELETE', f'/v1/tokens/{i}')[0] for i in made} == {204}


def test_credentials_of_a_host_with_a_port(curl):
    curl('POST', '/v1/projects', {'name': 'reg'})
    path = '/v1/projects/reg/registries/registry.example.com:5000'
    status, headers, made = curl('PUT', path, {'username': 'ci', 'password': 'x', 'noVerify': True})
    assert status == 200 and made['host'] == 'registry.example.com:5000' and 'password' not in made
    assert curl('PUT', path, {'username': 'ci', 'password': 'y', 'noVerify': True}, if_match=headers['etag'])[0] == 200
    assert curl('PUT', path, {'username': 'ci', 'password': 'z', 'noVerify': True}, if_match=headers['etag'])[0] == 412
    assert len(curl('GET', '/v1/projects/reg/registries')[2]['registries']) == 1
    assert curl('DELETE', path)[0] == 204


def test_deploy_is_watched_to_its_end(curl, project):
    stack = f'/v1/projects/{project.name}/stacks/web'
    text = compose({'one': hello()})
    files = [{'name': 'compose.yml', 'text': base64.b64encode(text).decode()}]
    status, _, plan = curl('POST', f'{stack}:plan?show_values=true', {'compose': files})
    assert status == 200 and plan['toCreate'] >= 1
    status, _, made = curl('POST', f'{stack}:deploy', {'compose': files}, idempotency_key='once')
    job = made['job']['id']
    assert status == 200 and curl('POST', f'{stack}:deploy', {'compose': files}, idempotency_key='once')[2]['job']['id'] == job
    _, headers, body = curl('GET', f'/v1/jobs/{job}:watch', accept='text/event-stream')
    assert headers['content-type'] == 'text/event-stream'
    *events, end, rest = body.decode().split('\n\n')
    assert end == 'event: end\ndata: {}' and rest == ''
    assert json.loads(events[-1].removeprefix('data: '))['job']['state'] == 'JOB_STATE_SUCCEEDED'
    numbers = [int(e.split('\n')[0].removeprefix('id: ')) for e in events[:-1]]
    assert numbers == list(range(1, len(numbers) + 1))
    _, _, body = curl('GET', f'/v1/jobs/{job}:watch?after_sequence=1', accept='text/event-stream', last_event_id=str(numbers[-2]))
    assert body.decode().startswith(f'id: {numbers[-1]}\n')
    _, headers, body = curl('GET', f'/v1/jobs/{job}:watch')
    lines = [json.loads(line) for line in body.decode().splitlines()]
    assert headers['content-type'] == 'application/x-ndjson'
    assert [int(m['event']['sequence']) for m in lines[:-1]] == numbers and 'job' in lines[-1]
    got = curl('GET', stack)[2]
    assert got['status'] == 'STACK_STATUS_RUNNING' and curl('GET', f'/v1/stacks/{got["id"]}')[2] == got
    assert curl('GET', f'{stack}/releases')[2]['releases'][0]['jobId'] == job
    assert [j['id'] for j in curl('GET', f'{stack}/jobs?states=JOB_STATE_SUCCEEDED&states=JOB_STATE_FAILED')[2]['jobs']] == [job]
    status, _, problem = curl('POST', f'{stack}:scale', {'replicas': {'nix': 2}})
    assert status >= 400 and 'nix' in problem['detail']
    assert curl('POST', f'{stack}:deploy', {'compose': [{'name': 'c', 'text': base64.b64encode(b'services: 7').decode()}]})[0] == 400


def test_what_is_there_for_all(curl, skepd):
    assert curl('GET', '/healthz', token=None)[2] == b'ok\n'
    assert curl('GET', '/readyz', token=None)[0] == 200
    document = curl('GET', '/openapi.json', token=None)[2]
    assert document['openapi'] == '3.1.0' and '/v1/projects/{project}/stacks/{name}:deploy' in document['paths']
    status, headers, page = curl('GET', '/docs', token=None)
    assert status == 200 and b'<script' not in page and b'Stacks_Deploy' in page
    assert curl('GET', '/v1/me', token=None)[0] == 401
    assert curl('GET', '/v1/system', token=None)[2]['version']


def test_counters_are_for_administrators(curl):
    found = {c['name']: int(c.get('value', 0)) for c in curl('GET', '/v1/system:counters')[2]['counters']}
    assert found['accepted'] > 0 and found['bytes_in'] > 0 and found['limit_token_rate'] == 0
    viewer = curl('POST', '/v1/tokens', {'name': 'viewer', 'role': 'ROLE_VIEWER'})[2]['secret']
    assert curl('GET', '/v1/system:counters', token=viewer)[0] == 403


def test_every_path_is_served(curl):
    """The document's paths, filled in with what does not exist: each is found, and says so in JSON."""
    document = curl('GET', '/openapi.json')[2]
    for path, verbs in document['paths'].items():
        filled = path.replace('{id}', '018f4c2e-7d1a-7c3b-9f00-0a1b2c3d4e5f').replace('{', 'no-').replace('}', '')
        for verb, operation in verbs.items():
            if 'text/event-stream' in json.dumps(operation) and 'no-' not in filled and '018f' not in filled:
                continue
            body = {} if 'requestBody' in operation and verb.upper() != 'GET' else None
            status, headers, answer = curl(verb.upper(), filled, body)
            assert str(status) in operation['responses'], (verb, path, status, answer)
            assert status != 404 or not answer['detail'].startswith('there is nothing at'), (verb, path)
            assert answer == b'' or isinstance(answer, dict), (verb, path, answer)
