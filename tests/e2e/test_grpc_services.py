"""The daemon by gRPC's own means: its API by the generated stubs' way, health, reflection, JSON by curl."""

import json
import os
import subprocess

import grpc
import pytest


@pytest.fixture(scope='module')
def stubs(protocol):
    """Lets grpc.health and grpc.reflection, which are ours, be found beside grpcio's package."""
    import google
    directory = os.path.dirname(google.__path__[-1])
    grpc.__path__.append(f'{directory}/grpc')


@pytest.fixture
def channel(skepd, stubs):
    with grpc.insecure_channel(f'unix:{skepd.socket}') as made:
        yield made


def call(channel, path, request, reply, kind='unary_unary', timeout=30):
    return getattr(channel, kind)(path, lambda m: m.SerializeToString(), reply.FromString)(request, timeout=timeout)


def test_the_api(channel):
    from google.protobuf import empty_pb2
    from skep.v1 import projects_pb2, system_pb2
    assert call(channel, '/skep.v1.System/Info', empty_pb2.Empty(), system_pb2.SystemInfo).version
    made = call(channel, '/skep.v1.Projects/Create', projects_pb2.CreateProjectRequest(name='by-grpc'), projects_pb2.Project)
    assert made.name == 'by-grpc' and made.id
    with pytest.raises(grpc.RpcError) as e:
        call(channel, '/skep.v1.Projects/Create', projects_pb2.CreateProjectRequest(name='UPPER'), projects_pb2.Project)
    assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT and 'name' in e.value.details()
    call(channel, '/skep.v1.Projects/Delete', projects_pb2.DeleteProjectRequest(project='by-grpc'), empty_pb2.Empty)


def test_json_by_curl(skepd):
    def curl(path, data):
        done = subprocess.run(['curl', '-sS', '--unix-socket', skepd.socket, '--max-time', '30', f'http://skep{path}',
                               '-H', 'content-type: application/json', '-d', data], stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)
    assert curl('/skep.v1.Auth/WhoAmI', '{}')['role'] == 'ROLE_ADMIN'
    assert curl('/skep.v1.Projects/Create', '{"nmae": "x"}') == {'code': 'invalid_argument', 'message': 'nmae: there is no such field'}


def test_health(channel):
    from grpc.health.v1 import health_pb2 as health
    path = '/grpc.health.v1.Health/'

    def check(service):
        return call(channel, path + 'Check', health.HealthCheckRequest(service=service), health.HealthCheckResponse).status
    assert check('') == check('skep.v1.Stacks') == health.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as e:
        check('nix')
    assert e.value.code() == grpc.StatusCode.NOT_FOUND
    statuses = call(channel, path + 'List', health.HealthListRequest(), health.HealthListResponse).statuses
    assert {'', 'skep.v1.Stacks', 'grpc.health.v1.Health'} <= set(statuses)
    for service, status in (('', 'SERVING'), ('nix', 'SERVICE_UNKNOWN')):
        watch = call(channel, path + 'Watch', health.HealthCheckRequest(service=service), health.HealthCheckResponse, 'unary_stream')
        assert health.HealthCheckResponse.ServingStatus.Name(next(watch).status) == status
        watch.cancel()


def test_health_follows_readiness(new_daemon, stubs, postgres):
    from grpc.health.v1 import health_pb2 as health
    skepd = new_daemon(docker='unix:///nix/docker.sock')
    skepd.start(ready=False)
    try:
        with grpc.insecure_channel(f'unix:{skepd.socket}') as channel:
            status = call(channel, '/grpc.health.v1.Health/Check', health.HealthCheckRequest(), health.HealthCheckResponse).status
            assert status == health.HealthCheckResponse.NOT_SERVING
    finally:
        skepd.stop()


@pytest.mark.parametrize('version', ['v1', 'v1alpha'])
def test_reflection(channel, version):
    """All of the API can be rebuilt from what reflection tells."""
    import importlib

    from google.protobuf import descriptor_pb2, descriptor_pool
    module = importlib.import_module(f'grpc.reflection.{version}.reflection_pb2')

    def ask(**question):
        path = f'/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo'
        stream = channel.stream_stream(path, lambda m: m.SerializeToString(), module.ServerReflectionResponse.FromString)
        return next(stream(iter([module.ServerReflectionRequest(**question)]), timeout=30))
    services = [s.name for s in ask(list_services='').list_services_response.service]
    assert {'skep.v1.Stacks', 'grpc.health.v1.Health', f'grpc.reflection.{version}.ServerReflection'} <= set(services)
    for service in services:
        pool, files = descriptor_pool.DescriptorPool(), {}
        for f in ask(file_containing_symbol=service).file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(f)
            files[file.name] = file

        def add(name):
            file = files.pop(name, None)
            if file:
                for dependency in file.dependency:
                    add(dependency)
                pool.Add(file)
        while files:
            add(next(iter(files)))
        assert pool.FindServiceByName(service).methods
    assert ask(file_by_filename='skep/v1/jobs.proto').file_descriptor_response.file_descriptor_proto
    assert ask(file_containing_symbol='skep.v1.Nix').error_response.error_code == 5
    extension = {'containing_type': 'google.protobuf.MethodOptions', 'extension_number': 50700}
    assert ask(file_containing_extension=extension).file_descriptor_response.file_descriptor_proto
    numbers = ask(all_extension_numbers_of_type='google.protobuf.FieldOptions').all_extension_numbers_response
    assert set(numbers.extension_number) >= {50700, 50701}
    assert ask().error_response.error_code == 3
