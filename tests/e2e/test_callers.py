"""Who may do what, what others can see, what is written down, and what is not."""

import base64
import os

import pytest
from daemon import Project, compose, hello, number_of
from native_client import RpcError, method
from servers import eventually

NOBODY = '01900000-0000-7000-8000-000000000000'


@pytest.fixture(scope='module')
def other(skepd, engine):
    """A project that the callers of these tests have no right to, with a stack and a job."""
    made = Project(skepd, engine, 'other')
    made.job = made.deploy({'app': hello()}).job
    made.stack_id = made.stack().id
    yield made
    made.finish()


def token(skepd, project, role, **more):
    """(secret, its row)"""
    made = skepd.call('Auth', 'CreateToken', project=project.name if project else '', name=f'test-{role.lower()}',
                      role=number_of(f'ROLE_{role}', 'options'), **more)
    return made.secret, made.token


def code_of(skepd, secret, service, verb, /, **fields):
    """OK, or the code of the refusal."""
    try:
        skepd.call(service, verb, token=secret, **fields)
    except RpcError as e:
        return e.code
    return 'OK'


def test_who_am_i(skepd, project):
    assert skepd.call('Auth', 'WhoAmI').name == 'unix:root'
    secret, made = token(skepd, project, 'VIEWER')
    caller = skepd.call('Auth', 'WhoAmI', token=secret)
    assert (caller.name, caller.role, caller.project) == ('token:test-viewer', made.role, project.name)
    assert secret.startswith(made.prefix) and len(secret) >= 43, '256 bits'


def test_request_ids_are_a_tokens_own(skepd, project):
    """Names of tokens repeat."""
    secrets = [token(skepd, project, 'OWNER')[0] for _ in range(2)]
    made = [skepd.call('Registries', 'Set', token=secret, project=project.name, host='r.example', username='u', password='p', no_verify=True,
                       request_id='once').id for secret in [*secrets, secrets[1]]]
    assert made[0] != made[1] == made[2]


def test_no_token_no_call(skepd):
    with pytest.raises(RpcError, match='UNAUTHENTICATED'):
        skepd.call('Projects', 'List', token='wrong')
    for bad in ['', ' ', 'x' * 43, 'skep_' + 'A' * 43]:
        with skepd.client(token='unused') as client:
            path, request, reply = method('Projects', 'List')
            with pytest.raises(RpcError, match='UNAUTHENTICATED'):
                list(client.open(path, request(), reply, metadata={'authorization': f'Bearer {bad}'}))
    with skepd.client(token='unused') as client:
        client.token = None
        with pytest.raises(RpcError, match='UNAUTHENTICATED'):
            client.unary('Projects', 'List')
        assert client.unary('System', 'Info').version, 'anonymous methods need none'


def test_a_bad_token_counts_on_the_unix_socket_too(skepd):
    with skepd.client() as client:
        client.token = 'wrong'
        with pytest.raises(RpcError, match='UNAUTHENTICATED'):
            client.unary('Projects', 'List')


def test_roles(skepd, project):
    project.deploy({'app': hello()})
    ref = project.ref()
    text = [{'name': 'c.yml', 'text': b'services: {}'}]
    calls = {
        'VIEWER': [('Stacks', 'Get', {'stack': ref}), ('Stacks', 'List', {'project': project.name}),
                   ('Stacks', 'Releases', {'stack': ref}), ('Jobs', 'List', {}), ('Projects', 'Get', {'project': project.name})],
        'DEPLOYER': [('Stacks', 'Deploy', {'project': project.name, 'name': 'x', 'compose': text}),
                     ('Stacks', 'Scale', {'stack': ref, 'replicas': {'app': 1}}), ('Stacks', 'Restart', {'stack': ref})],
        'OWNER': [('Auth', 'ListTokens', {'project': project.name}),
                  ('Auth', 'CreateToken', {'project': project.name, 'name': 'n', 'role': number_of('ROLE_VIEWER', 'options')})],
        'ADMIN': [('Projects', 'Create', {'name': 'by-token'}), ('Projects', 'Delete', {'project': 'by-token'})],
    }
    ranks = list(calls)
    for rank, role in enumerate(ranks):
        secret, _ = token(skepd, None if role == 'ADMIN' else project, role)
        for needed, methods in calls.items():
            for service, verb, fields in methods:
                code = code_of(skepd, secret, service, verb, **fields)
                if ranks.index(needed) > rank:
                    assert code == 'PERMISSION_DENIED', f'{role} {service}.{verb}'
                else:
                    assert code in ('OK', 'INVALID_ARGUMENT'), f'{role} {service}.{verb}: {code}'
    for job in skepd.call('Jobs', 'List', project=project.name, states=[1, 2]).jobs:
        skepd.wait(job.id)


def test_another_projects_ids_do_not_exist(skepd, project, other):
    """Exactly as an id that nobody has: same code, same words but for the id."""
    secret, _ = token(skepd, project, 'OWNER')

    def verbs(stack_id, job_id):
        ref = {'id': stack_id}
        return [('Stacks', 'Get', {'stack': ref}), ('Stacks', 'Scale', {'stack': ref, 'replicas': {'app': 1}}),
                ('Stacks', 'Restart', {'stack': ref}), ('Stacks', 'Remove', {'stack': ref}), ('Stacks', 'Releases', {'stack': ref}),
                ('Jobs', 'Get', {'id': job_id}), ('Jobs', 'Cancel', {'id': job_id}), ('Jobs', 'Retry', {'id': job_id})]
    for theirs, nobodys in zip(verbs(other.stack_id, other.job.id), verbs(NOBODY, NOBODY)):
        refusals = []
        for service, verb, fields in (theirs, nobodys):
            with pytest.raises(RpcError, match='NOT_FOUND') as e:
                skepd.call(service, verb, token=secret, **fields)
            refusals.append(e.value.message.replace(other.stack_id, NOBODY).replace(other.job.id, NOBODY))
        assert refusals[0] == refusals[1]
    for service, field in (('Stacks', {'stack': {'id': other.stack_id}}), ('Jobs', {'id': other.job.id})):
        with skepd.client(secret) as client, pytest.raises(RpcError, match='NOT_FOUND'):
            list(client.stream(service, 'Watch', **field))
    named = {'project': other.name, 'name': 'web'}
    text = [{'name': 'c.yml', 'text': b'services: {a: {image: b}}'}]
    for service, verb, fields in [
            ('Projects', 'Get', {'project': other.name}), ('Projects', 'Get', {'project': other.id}),
            ('Stacks', 'Get', {'stack': named}), ('Stacks', 'Remove', {'stack': named}),
            ('Stacks', 'Deploy', {'project': other.name, 'name': 'x', 'compose': text}),
            ('Stacks', 'List', {'project': other.name}), ('Jobs', 'List', {'project': other.id}),
            ('Auth', 'ListTokens', {'project': other.name}),
            ('Auth', 'CreateToken', {'project': other.name, 'name': 'n', 'role': number_of('ROLE_VIEWER', 'options')})]:
        assert code_of(skepd, secret, service, verb, **fields) == 'NOT_FOUND', f'{service}.{verb}'
    assert other.status() == 'RUNNING'


def test_lists_show_only_the_callers_own(skepd, project, other):
    project.deploy({'app': hello()})
    secret, _ = token(skepd, project, 'OWNER')
    assert [p.name for p in skepd.call('Projects', 'List', token=secret).projects] == [project.name]
    assert {s.project for s in skepd.call('Stacks', 'List', token=secret).stacks} == {project.name}
    assert {j.project for j in skepd.call('Jobs', 'List', token=secret).jobs} == {project.name}
    assert {t.project for t in skepd.call('Auth', 'ListTokens', token=secret).tokens} == {project.name}


def test_no_token_reaches_further_than_its_maker(skepd, project):
    secret, _ = token(skepd, project, 'OWNER')
    admin = number_of('ROLE_ADMIN', 'options')
    assert code_of(skepd, secret, 'Auth', 'CreateToken', project=project.name, name='n', role=admin) in (
        'PERMISSION_DENIED', 'INVALID_ARGUMENT')
    viewer = number_of('ROLE_VIEWER', 'options')
    made = skepd.call('Auth', 'CreateToken', token=secret, name='n', role=viewer).token
    assert made.project == project.name, 'without a project: its own, never all'
    assert code_of(skepd, None, 'Auth', 'CreateToken', project=project.name, name='n', role=admin) == 'INVALID_ARGUMENT'


def test_revoked_token_ends(skepd, project):
    secret, made = token(skepd, project, 'VIEWER')
    assert code_of(skepd, secret, 'Projects', 'List') == 'OK'
    skepd.call('Auth', 'RevokeToken', id=made.id)
    eventually('refused, when the cache ends at the latest',
               lambda: code_of(skepd, secret, 'Projects', 'List') == 'UNAUTHENTICATED', 11, 0.2)
    _, another = token(skepd, project, 'VIEWER')
    stranger, _ = token(skepd, None, 'ADMIN')
    assert code_of(skepd, stranger, 'Auth', 'RevokeToken', id=another.id) == 'OK'


def test_streams_end_with_their_token(skepd, project):
    """Those that are open already, too: when it is revoked or expires."""
    job = project.deploy({'app': hello()}).job
    for how in ('revoked', 'expired'):
        secret, made = token(skepd, project, 'VIEWER', **({'ttl_seconds': 2} if how == 'expired' else {}))
        with skepd.client(secret, timeout=12) as client:
            stream = client.stream('Stacks', 'Watch', stack={'id': job.stack_id})
            next(stream)
            if how == 'revoked':
                skepd.call('Auth', 'RevokeToken', id=made.id)
            with pytest.raises(RpcError, match='UNAUTHENTICATED'):
                list(stream)


def test_expired_token_ends(skepd, project):
    secret, _ = token(skepd, project, 'VIEWER', ttl_seconds=1)
    assert code_of(skepd, secret, 'Projects', 'List') == 'OK'
    eventually('refused', lambda: code_of(skepd, secret, 'Projects', 'List') == 'UNAUTHENTICATED', 5, 0.1)


def test_every_mutation_is_audited(skepd, project, postgres):
    secret, made = token(skepd, project, 'OWNER')
    with skepd.client(secret) as client:
        job = client.unary('Stacks', 'Deploy', project=project.name, name='web', request_id='audited',
                           compose=[{'name': '-', 'text': compose({'app': hello()})}]).job
    project.expect(job, 'SUCCEEDED')
    project.scale({'app': 2})
    project.restart()
    cancelled = project.submit({'app': hello(image='localhost/nowhere:1')}).job
    skepd.call('Jobs', 'Cancel', id=cancelled.id)
    skepd.wait(cancelled.id)
    skepd.call('Jobs', 'Retry', id=cancelled.id)
    skepd.wait(cancelled.id)
    skepd.call('Auth', 'RevokeToken', id=made.id)
    project.remove()
    rows = postgres.query(f"select actor || ' ' || method || ' ' || request_id from audit_log where project_id = '{project.id}' "
                          'order by created_at, id', skepd.database).split('\n')
    methods = [row.split(' ')[1].rsplit('/', 1)[-1].rsplit('.', 1)[-1] for row in rows]
    for method in ('Create', 'CreateToken', 'Deploy', 'Scale', 'Restart', 'Cancel', 'Retry', 'RevokeToken', 'Remove'):
        assert method in methods, f'{method} of {methods}'
    assert any(row.startswith('token:test-owner ') and row.endswith(' audited') for row in rows)
    assert any(row.startswith('unix:root ') for row in rows)


def test_nothing_refused_is_stored(skepd, project, postgres):
    def counts():
        tables = ('orchestration_stacks', 'deployments', 'deployment_jobs', 'audit_log')
        return [postgres.query(f'select count(*) from {table}', skepd.database) for table in tables]
    before = counts()
    for text in (b'services: {a: {image: x, no_such_key: 1}}', b'services: {a: {}}', b'[', b''):
        with pytest.raises(RpcError, match='INVALID_ARGUMENT'):
            project.submit(text)
    with pytest.raises(RpcError, match='INVALID_ARGUMENT'):
        project.submit({'app': hello()}, namespace='n' * 64)
    assert counts() == before


def test_namespaces_do_not_collide(skepd, project, engine):
    """Services of a and of a_b would have the same names in the Engine."""
    project.deploy({'app': hello()})
    second = Project(skepd, engine, project.name + 'x')
    for taken in (project.namespace(), project.namespace() + '_b'):
        with pytest.raises(RpcError, match='ALREADY_EXISTS'):
            second.submit({'app': hello()}, namespace=taken)
    with pytest.raises(RpcError, match='FAILED_PRECONDITION'):
        project.submit({'app': hello()}, namespace='another')
    second.finish()


def test_project_with_stacks_is_not_deleted(skepd, project):
    project.deploy({'app': hello()})
    with pytest.raises(RpcError, match='FAILED_PRECONDITION') as e:
        skepd.call('Projects', 'Delete', project=project.name)
    assert 'web' in e.value.message


# -- what must never be plain -----------------------------------------------------------------------------------

PASSWORDS = {where: f'pass-in-{where}-5ecre7' for where in ('environment', 'variable', 'secret', 'env_file', 'command', 'label',
                                                           'config', 'failing')}


def test_nothing_plain_anywhere(skepd, project, postgres, redis, engine):
    """A recognisable password wherever a user may put one: not in PostgreSQL, not in Redis, not in a log, not in an event."""
    port = engine.free_port()
    services = {'app': hello(port, environment={'A': PASSWORDS['environment'], 'B': '${FROM_OUTSIDE}'}, env_file=['app.env'],
                             arguments=[f'IGNORED={PASSWORDS["command"]}'], labels={'l': PASSWORDS['label']}, secrets=['s'],
                             configs=['c'])}
    top = {'secrets': {'s': {'file': 's.txt'}}, 'configs': {'c': {'content': PASSWORDS['config']}}}
    files = [{'path': 's.txt', 'content': PASSWORDS['secret'].encode()},
             {'path': 'app.env', 'content': f'C={PASSWORDS["env_file"]}\n'.encode()}]
    more = {'top': top, 'files': files, 'variables': {'FROM_OUTSIDE': PASSWORDS['variable']}}
    project.deploy(services, **more)
    for path, where in (('A', 'environment'), ('B', 'variable'), ('C', 'env_file')):
        assert engine.http(port, f'/env/{path}') == (200, PASSWORDS[where])
    assert engine.http(port, '/file/run/secrets/s') == (200, PASSWORDS['secret'])
    services['app']['environment']['D'] = PASSWORDS['failing']
    services['app']['image'] = 'localhost/nowhere:1'
    project.deploy(services, expect='FAILED', **more)
    with pytest.raises(RpcError):
        services['app']['no_such_key'] = PASSWORDS['failing']
        project.submit(services, **more)
    secret, _ = token(skepd, project, 'VIEWER')
    assert code_of(skepd, secret, 'Projects', 'List') == 'OK'

    places = {'PostgreSQL': postgres.dump(skepd.database), 'Redis': redis.dump(), 'the log': skepd.log().encode()}
    found = [(place, word) for place, held in places.items() for word in [*PASSWORDS.values(), secret]
             for form in (word.encode(), base64.b64encode(word.encode())[:-4], word.encode().hex().encode()) if form in held]
    assert not found
    with open(skepd.options['key_file'], 'rb') as f:
        key = f.read()
    assert key and (os.stat(skepd.options['key_file']).st_mode & 0o777) == 0o600
