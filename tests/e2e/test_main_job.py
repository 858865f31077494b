"""The main job: a Compose text becomes running services, and what goes wrong on the way is told and taken back."""

import json

import pytest
from daemon import compose, hello, number_of, one_shot, slow, wait_for_answer
from native_client import RpcError
from servers import eventually

DEPLOY_STEPS = ['turn', 'load_stack', 'load_release', 'load_good', 'check_names', 'look', 'images', 'check_plan', 'announce', 'store',
                'assign_networks', 'networks', 'objects', 'services',
                'converge', 'prune', 'activate']


def versions(engine, namespace):
    """What an update would change."""
    return {name: s['Version']['Index'] for name, s in engine.services(namespace).items()}


def test_deploy_answers(project, engine):
    port = engine.free_port()
    ended = project.deploy({'app': hello(port)})
    status, text = engine.http(port)
    assert (status, json.loads(text)['version']) == (200, '1')
    assert ended.steps() == DEPLOY_STEPS
    assert [e.sequence for e in ended.events] == list(range(1, ended.job.last_sequence + 1))
    assert ended.job.percent == 100
    stack = project.stack()
    assert (project.status(), stack.release, stack.services_running, stack.services_total) == ('RUNNING', 1, 1, 1)
    assert stack.services[0].ports == [f'{port}->8080/tcp (host)']
    assert project.releases() == [(1, 'ACTIVE')]


def test_update_of_environment_and_image(project, engine):
    port = engine.free_port()
    project.deploy({'app': hello(port, environment={'COLOUR': 'blue'})})
    assert engine.http(port, '/env/COLOUR') == (200, 'blue')
    ended = project.deploy({'app': hello(port, environment={'COLOUR': 'red'})})
    assert number_of('JOB_KIND_UPDATE', 'jobs') == ended.job.kind
    wait_for_answer(engine, port, '/env/COLOUR', 'red')
    project.deploy({'app': hello(port, version=2)})
    wait_for_answer(engine, port, '/', '"version":"2"')
    assert project.releases() == [(3, 'ACTIVE'), (2, 'SUPERSEDED'), (1, 'SUPERSEDED')]


def test_redeploy_of_the_same_changes_nothing(project, engine):
    services = {'app': hello(engine.free_port(), environment={'A': '1'}), 'other': hello(secrets=['s'], configs=['c'])}
    top = {'secrets': {'s': {'file': 's.txt'}}, 'configs': {'c': {'content': 'text'}}}
    files = [{'path': 's.txt', 'content': b'word'}]
    project.deploy(services, top=top, files=files)
    before, containers = versions(engine, project.namespace()), engine.running(project.namespace())
    project.deploy(services, top=top, files=files)
    assert versions(engine, project.namespace()) == before
    assert engine.running(project.namespace()) == containers
    assert project.stack().release == 2


def test_update_touches_only_what_differs(project, engine):
    project.deploy({'one': hello(), 'two': hello()})
    before = versions(engine, project.namespace())
    project.deploy({'one': hello(environment={'NEW': '1'}), 'two': hello()})
    after = versions(engine, project.namespace())
    assert after['two'] == before['two'] and after['one'] != before['one']


def test_service_that_is_left_out_goes(project, engine):
    project.deploy({'one': hello(), 'two': hello()})
    project.deploy({'one': hello()})
    assert list(engine.services(project.namespace())) == ['one']
    assert [s.name for s in project.stack().services] == ['one']


def test_scale_up_and_down(project, engine):
    project.deploy({'app': hello()})
    project.scale({'app': 3})
    assert len(engine.running(project.namespace())['app']) == 3
    eventually('the observer has seen it', lambda: project.stack().services[0].wanted == 3)
    project.scale({'app': 1})
    eventually('one task is left', lambda: len(engine.running(project.namespace())['app']) == 1)
    project.scale({'app': 0})
    eventually('none is left', lambda: not engine.running(project.namespace())['app'])
    assert project.status() == 'RUNNING'


def test_scale_of_what_is_not_there(project):
    project.deploy({'app': hello(), 'all': hello(deploy={'mode': 'global'})})
    with pytest.raises(RpcError, match='NOT_FOUND.*"nobody" is not in stack "web": it has all, app'):
        project.scale({'nobody': 2})
    with pytest.raises(RpcError, match='"nobody" is not in stack'):
        project.restart(['nobody'])
    with pytest.raises(RpcError, match='it cannot be scaled'):
        project.scale({'all': 2})
    deploy = project.submit({'app': hello(), 'soon': hello()}).job
    project.scale({'soon': 2})  # which the deploy before it brings
    project.expect(deploy, 'SUCCEEDED')
    with pytest.raises(RpcError, match='INVALID_ARGUMENT'):
        project.scale({'app': 10001})


def test_restart_gives_new_tasks(project, engine):
    project.deploy({'one': hello(), 'two': hello()})
    before = engine.running(project.namespace())
    project.restart(['one'])
    after = eventually('a task each', lambda: all(len(c) == 1 for c in engine.running(project.namespace()).values())
                       and engine.running(project.namespace()))
    assert after['one'] != before['one'] and after['two'] == before['two']
    project.restart()
    assert engine.running(project.namespace())['two'] != before['two']


def test_remove_and_deploy_again_at_once(project, engine):
    top = {'secrets': {'s': {'file': 's.txt'}}, 'configs': {'c': {'content': 'text'}}, 'networks': {'back': {}}}
    services = {'app': hello(secrets=['s'], configs=['c'], networks=['back'])}
    files = [{'path': 's.txt', 'content': b'word'}]
    for _ in range(2):
        project.deploy(services, top=top, files=files)
        assert engine.counts(project.namespace()) == {'services': 1, 'networks': 1, 'secrets': 1, 'configs': 1}
        project.remove()
        assert engine.objects(project.namespace()) == {}
        with pytest.raises(RpcError, match='NOT_FOUND'):
            project.stack()


def test_deploy_submitted_while_removing_follows(project, engine):
    project.deploy({'app': hello()})
    removal = project.skepd.call('Stacks', 'Remove', stack=project.ref())
    again = project.submit({'app': hello(environment={'AGAIN': '1'})}).job
    project.expect(removal, 'SUCCEEDED')
    project.expect(again, 'SUCCEEDED')
    assert project.status() == 'RUNNING' and len(engine.running(project.namespace())['app']) == 1


def test_jobs_of_a_stack_run_one_after_the_other(project, engine):
    project.deploy({'app': hello()})
    jobs = [project.skepd.call('Stacks', 'Scale', stack=project.ref(), replicas={'app': n}) for n in (2, 3, 1)]
    ended = [project.expect(job, 'SUCCEEDED') for job in jobs]
    times = [(e.job.started_at.ToMicroseconds(), e.job.finished_at.ToMicroseconds()) for e in ended]
    assert all(a[1] <= b[0] for a, b in zip(times, times[1:]))
    eventually('as the last one said', lambda: len(engine.running(project.namespace())['app']) == 1)


# -- what fails, and where it leaves the stack ------------------------------------------------------------

def hopeless_image():
    return hello(image='localhost/nowhere:1')


def test_no_such_image_on_first_deploy(project, engine):
    ended = project.deploy({'app': hopeless_image()}, expect='FAILED')
    assert 'No such image: localhost/nowhere:1' in ended.job.error
    assert ended.job.error_code == 'FAILED_PRECONDITION'
    assert 'service app' in ended.job.error and 'on node' in ended.job.error
    assert engine.objects(project.namespace()) == {}
    assert project.status() == 'FAILED' and project.releases() == [(1, 'FAILED')]


def test_no_such_image_goes_back(project, engine):
    port = engine.free_port()
    project.deploy({'app': hello(port)})
    ended = project.deploy({'app': dict(hopeless_image(), ports=hello(port)['ports']), 'new': hello()}, expect='FAILED')
    assert 'No such image' in ended.job.error
    assert 'back at the release before' in [e.message for e in ended.events]
    wait_for_answer(engine, port, '/', '"version":"1"')
    assert list(engine.services(project.namespace())) == ['app']
    assert project.status() == 'RUNNING' and project.releases() == [(2, 'FAILED'), (1, 'ACTIVE')]
    assert project.stack().release == 1


def test_crash_loop_tells_code_and_log(project, engine):
    ended = project.deploy({'app': hello(arguments=['FAIL_CODE=7'])}, expect='FAILED')
    assert 'non-zero exit (7)' in ended.job.error and 'hello: the database is not there' in ended.job.error
    assert 'service app: crash loop: task' in ended.job.error
    assert engine.objects(project.namespace()) == {}


def test_failing_health_check(project, engine):
    check = {'test': ['CMD', '/hello', '--health'], 'interval': '200ms', 'timeout': '2s', 'retries': 1}
    project.deploy({'app': hello(healthcheck=check)})
    ended = project.deploy({'app': hello(healthcheck=check, arguments=['UNHEALTHY_AFTER=0'])}, expect='FAILED')
    assert 'service app' in ended.job.error and 'on node' in ended.job.error
    assert 'hello: stopping' in ended.job.error, 'the log tells more'
    assert project.status() == 'RUNNING' and project.releases()[0] == (2, 'FAILED')


def test_failing_health_check_on_first_deploy(project, engine):
    """It takes SIGTERM well and exits with 0: the Engine itself never calls that a failure."""
    check = {'test': ['CMD', '/hello', '--health'], 'interval': '200ms', 'timeout': '2s', 'retries': 1}
    ended = project.deploy({'app': hello(healthcheck=check, arguments=['UNHEALTHY_AFTER=0'])}, expect='FAILED')
    assert 'it may fail its health check' in ended.job.error and 'exit code 0' in ended.job.error
    assert engine.objects(project.namespace()) == {}


def test_unschedulable(project, engine):
    there_is_none = {'deploy': {'placement': {'constraints': ['node.labels.colour == blue']}}}
    ended = project.deploy({'app': hello(**there_is_none)}, expect='FAILED', stall_seconds=5)
    assert 'cannot be scheduled' in ended.job.error and 'no suitable node' in ended.job.error
    assert engine.objects(project.namespace()) == {}


def test_ends_without_restart_policy(project):
    ended = project.deploy({'app': one_shot('EXIT_AFTER=0', 'EXIT_CODE=3')}, expect='FAILED')
    assert 'non-zero exit (3)' in ended.job.error


def test_converged_but_does_not_stay(project):
    """It runs, and ends before the hold is over."""
    service = hello(arguments=['EXIT_AFTER=1', 'EXIT_CODE=9'],
                    deploy={'update_config': {'monitor': '3s'}, 'restart_policy': {'condition': 'none'}})
    ended = project.deploy({'app': service}, expect='FAILED')
    assert 'non-zero exit (9)' in ended.job.error


def test_one_shot_service_completes(project):
    project.deploy({'migrate': dict(hello(arguments=['EXIT_AFTER=0']), deploy={'mode': 'replicated-job'})})
    stack = project.stack()
    assert stack.services[0].state == number_of('SERVICE_STATE_COMPLETED') and project.status() == 'RUNNING'


def test_pause_leaves_it_as_it_is(project, engine):
    project.deploy({'app': hello()})
    ended = project.deploy({'app': hopeless_image()}, expect='FAILED', on_failure=number_of('ON_FAILURE_PAUSE'))
    assert 'No such image' in ended.job.error
    image = engine.services(project.namespace())['app']['Spec']['TaskTemplate']['ContainerSpec']['Image']
    assert image == 'localhost/nowhere:1' and project.status() == 'DEGRADED'
    project.deploy({'app': hello(version=2)})
    assert project.status() == 'RUNNING'


def test_failed_job_runs_once_more(project, engine):
    job = project.deploy({'app': hello(image='localhost/late:1')}, expect='FAILED').job
    engine.load_image('hello', 'localhost/late:1', ENTRYPOINT='["/hello"]')
    again = project.skepd.call('Jobs', 'Retry', id=job.id)
    assert again.id == job.id
    ended = project.expect(again, 'SUCCEEDED')
    assert ended.job.error == '' and project.releases() == [(1, 'ACTIVE')]
    engine.call('DELETE', '/images/localhost/late:1?force=1')


# -- cancel ---------------------------------------------------------------------------------------------------

def test_cancel_of_first_deploy_removes_all(project, engine):
    top = {'secrets': {'s': {'file': 's.txt'}}}
    reply = project.submit({'app': slow(secrets=['s'])}, top=top, files=[{'path': 's.txt', 'content': b'word'}])
    project.skepd.wait_step(reply.job.id, 'converge')
    assert project.status() == 'DEPLOYING'
    project.skepd.call('Jobs', 'Cancel', id=reply.job.id)
    ended = project.expect(reply.job, 'CANCELLED')
    assert ended.job.error_code == 'CANCELLED'
    assert engine.objects(project.namespace()) == {} and project.releases() == [(1, 'FAILED')]


def test_cancel_of_update_goes_back(project, engine):
    port = engine.free_port()
    project.deploy({'app': hello(port)})
    reply = project.submit({'app': slow(ports=hello(port)['ports']), 'new': hello()})
    project.skepd.wait_step(reply.job.id, 'converge')
    project.skepd.call('Jobs', 'Cancel', id=reply.job.id)
    project.expect(reply.job, 'CANCELLED')
    wait_for_answer(engine, port, '/', '"version":"1"')
    assert list(engine.services(project.namespace())) == ['app']
    assert project.status() == 'RUNNING' and project.stack().release == 1


def test_cancel_of_a_job_that_waits(project):
    first = project.submit({'app': slow()}).job
    project.skepd.wait_step(first.id, 'converge')
    second = project.submit({'app': hello()}).job
    assert project.skepd.call('Jobs', 'Cancel', id=second.id).state == number_of('JOB_STATE_CANCELLED', 'jobs')
    project.skepd.call('Jobs', 'Cancel', id=first.id)
    project.expect(first, 'CANCELLED')
    with pytest.raises(RpcError, match='FAILED_PRECONDITION'):
        project.skepd.call('Jobs', 'Cancel', id=first.id)


def test_newer_deploy_supersedes_one_that_waits(project, engine):
    first = project.submit({'app': slow()}).job
    project.skepd.wait_step(first.id, 'converge')
    second, third = project.submit({'app': hello()}).job, project.submit({'app': hello(version=2)}).job
    assert f'superseded by job {third.id}' in project.expect(second, 'CANCELLED').job.error
    project.skepd.call('Jobs', 'Cancel', id=first.id)
    project.expect(third, 'SUCCEEDED')
    assert project.releases() == [(3, 'ACTIVE'), (2, 'FAILED'), (1, 'FAILED')]


# -- secrets, configs, networks, order --------------------------------------------------------------------------

def test_secrets_and_configs_rotate_by_content(project, engine):
    port = engine.free_port()
    service = hello(port, secrets=['s'], configs=[{'source': 'c', 'target': '/tmp/c'}])
    top = {'secrets': {'s': {'file': 's.txt'}}, 'configs': {'c': {'file': 'c.txt'}}}

    def deploy(secret, config):
        project.deploy({'app': service}, top=top,
                       files=[{'path': 's.txt', 'content': secret}, {'path': 'c.txt', 'content': config}])
        return engine.objects(project.namespace())
    first = deploy(b'one', b'blue')
    assert engine.http(port, '/file/run/secrets/s')[1] == 'one' and engine.http(port, '/file/tmp/c')[1] == 'blue'
    second = deploy(b'two', b'red')
    wait_for_answer(engine, port, '/file/run/secrets/s', 'two')
    assert engine.http(port, '/file/tmp/c')[1] == 'red'
    for kind in 'secrets', 'configs':
        assert len(second[kind]) == 2 and set(first[kind]) < set(second[kind]), 'a roll-back could want the old ones'


def test_services_reach_each_other_by_name(project, engine):
    project.deploy({'a': hello(networks=['one']), 'b': hello(networks=['one', 'two'])},
                   top={'networks': {'one': {}, 'two': {}}})
    assert engine.objects(project.namespace())['networks'] == [f'{project.namespace()}_{n}' for n in ('one', 'two')]


def test_depends_on_is_honoured(project, engine):
    check = {'test': ['CMD', '/hello', '--health'], 'interval': '300ms', 'retries': 30}
    services = {
        'web': hello(depends_on={'db': {'condition': 'service_healthy'},
                                 'migrate': {'condition': 'service_completed_successfully'}}),
        'db': hello(healthcheck=check, arguments=['START_DELAY=1']),
        'migrate': one_shot('EXIT_AFTER=1', depends_on=['db']),
    }
    project.deploy(services)
    made = {name: s['CreatedAt'] for name, s in engine.services(project.namespace()).items()}
    assert made['db'] < made['migrate'] < made['web']
    names = {s['ID']: name for name, s in engine.services(project.namespace()).items()}
    at = {names[t['ServiceID']]: t['Status']['Timestamp'] for t in engine.tasks(project.namespace())}
    assert at['db'] < made['web'] and at['migrate'] < made['web']
    assert project.status() == 'RUNNING'


def test_dependency_that_fails_stops_the_rest(project, engine):
    services = {'web': hello(depends_on={'migrate': {'condition': 'service_completed_successfully'}}),
                'migrate': one_shot('EXIT_AFTER=0', 'EXIT_CODE=4')}
    ended = project.deploy(services, expect='FAILED')
    assert 'service migrate' in ended.job.error and 'non-zero exit (4)' in ended.job.error
    assert not [e for e in ended.events if e.service == 'web']
    assert engine.objects(project.namespace()) == {}


def test_what_others_made_is_left_alone(project, engine):
    """A network, a secret, a service of somebody else by the name that the stack would take."""
    name = f'{project.namespace()}_default'
    made = engine.call('POST', '/networks/create', {'Name': name, 'Driver': 'overlay', 'Labels': {}})['Id']
    try:
        ended = project.deploy({'app': hello(networks=['default'])}, expect='FAILED')
        assert f'network "{name}" exists and is not this stack\'s' in ended.job.error
        assert engine.call('GET', f'/networks/{made}')['Name'] == name
    finally:
        engine.gone('networks', made)


# -- sent twice -----------------------------------------------------------------------------------------------

def test_request_id_makes_each_mutation_safe_to_send_twice(project, skepd):
    services = {'app': hello()}
    jobs = [project.submit(services, request_id='r1', directory=where).job for where in ('/here', '/there')]
    assert jobs[0].id == jobs[1].id
    project.expect(jobs[0], 'SUCCEEDED')
    assert project.submit(services, request_id='r1').job.id == jobs[0].id, 'also when it has ended'
    with pytest.raises(RpcError, match='"r1" was used for another request'):
        project.submit({'app': hello(version=2)}, request_id='r1')
    for method, fields in [('Scale', {'replicas': {'app': 2}}), ('Restart', {}), ('Remove', {})]:
        ids = {skepd.call('Stacks', method, stack=project.ref(), request_id=f'r-{method}', **fields).id for _ in range(2)}
        assert len(ids) == 1
        project.expect(skepd.job(ids.pop()), 'SUCCEEDED')
    assert project.submit(services, request_id='r1').job.id == jobs[0].id, 'the stack is gone, the answer is the same'
    ids = {skepd.call('Projects', 'Create', name=project.name + '-2', request_id='p').id for _ in range(2)}
    assert len(ids) == 1
    skepd.call('Projects', 'Delete', project=ids.pop())


def test_where_a_request_comes_from_counts_when_a_bind_source_is_relative(project):
    """Without a folder it is refused, with the name of the field; with one, it is part of what makes the request the same."""
    binds = {'app': hello(volumes=['./data:/data', '~/x:/x'], deploy={'replicas': 0})}
    with pytest.raises(RpcError, match='nothing was stored') as e:
        project.submit(binds)
    said = [v.description for v in e.value.detail('BadRequest').field_violations]
    assert len(said) == 2 and 'as `directory` of the request' in said[0] and 'as `home` of the request' in said[1]
    for wrong in {'directory': 'shop'}, {'home': '~'}, {'directory': './'}:
        with pytest.raises(RpcError, match='an absolute path') as e:
            project.submit(binds, **{'directory': '/here', 'home': '/me', **wrong})
    job = project.submit(binds, request_id='r', directory='/here', home='/me').job
    assert project.submit(binds, request_id='r', directory='/here', home='/me').job.id == job.id
    for other in {'directory': '/there'}, {'home': '/you'}:
        with pytest.raises(RpcError, match='"r" was used for another request'):
            project.submit(binds, request_id='r', **{'directory': '/here', 'home': '/me', **other})
    project.expect(job, 'SUCCEEDED')


def test_watch_replays_from_any_number(project, skepd):
    ended = project.deploy({'app': hello()})
    for after in (0, 1, 5, ended.job.last_sequence):
        with skepd.client() as client:
            messages = list(client.stream('Jobs', 'Watch', id=ended.job.id, after_sequence=after))
        assert [m.event.sequence for m in messages[:-1]] == list(range(after + 1, ended.job.last_sequence + 1))
        assert messages[-1].job.id == ended.job.id


def test_scale_survives_a_deploy_that_names_no_replicas(project, engine):
    project.deploy({'app': hello()})
    project.scale({'app': 2})
    project.deploy({'app': hello(environment={'A': '1'})})
    assert len(engine.running(project.namespace())['app']) == 2
    project.deploy({'app': hello(deploy={'replicas': 1})})
    eventually('one is left', lambda: len(engine.running(project.namespace())['app']) == 1)


def test_one_shots_run_again_only_when_changed(project, engine):
    job = hello(arguments=['EXIT_AFTER=0'], depends_on={'init': {'condition': 'service_completed_successfully'}})
    job['deploy'] = {'mode': 'replicated-job'}
    text = json.loads(compose({'init': one_shot('EXIT_AFTER=0'), 'job': job}))
    project.deploy(json.dumps(text).encode())
    before = {t['ID'] for t in engine.tasks(project.namespace())}
    project.deploy(json.dumps(text).encode())
    assert {t['ID'] for t in engine.tasks(project.namespace())} == before
    text['services']['job']['environment'] = {'A': '1'}
    project.deploy(json.dumps(text).encode())
    new = [t for t in engine.tasks(project.namespace()) if t['ID'] not in before]
    assert len(new) == 1


def test_a_networks_options_change(project, engine):
    def text(name, **network):
        return {'app': hello(networks=[name])}, {'networks': {name: network}}
    services, top = text('back')
    project.deploy(services, top=top)
    before = versions(engine, project.namespace())
    services, top = text('back', internal=True)
    error = project.deploy(services, top=top, expect='FAILED').job.error
    assert 'cannot be changed (Internal differs) while service' in error and 'another name' in error
    assert versions(engine, project.namespace()) == before
    services, top = text('back2', internal=True)
    project.deploy(services, top=top)
    assert engine.objects(project.namespace())['networks'] == [f'{project.namespace()}_back2']
    engine.call('DELETE', f'/services/{project.namespace()}_app')
    eventually('its tasks are gone', lambda: not engine.tasks(project.namespace()))
    services, top = text('back2')
    project.deploy(services, top=top)
    assert not engine.call('GET', f'/networks/{project.namespace()}_back2')['Internal']


def test_earlier_configs_stay_for_roll_backs(project, engine):
    def deploy(content):
        project.deploy({'app': hello(configs=['c'])}, top={'configs': {'c': {'content': content}}})
        return set(engine.objects(project.namespace())['configs'])
    first, found = deploy('0'), set()
    for i in range(1, 6):
        found = deploy(str(i))
    assert len(found) == 5 and not first & found
