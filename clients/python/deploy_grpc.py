#!/usr/bin/python3
"""Deploys a stack and watches the job to its end, by gRPC.

    PYTHONPATH=FOLDER deploy_grpc.py ADDRESS PROJECT STACK COMPOSE_FILE       FOLDER: what ./generate has made; the token: SKEP_TOKEN

ADDRESS is gRPC's: 127.0.0.1:7700, or unix:/run/skep/skep.sock. With SKEP_CA, a file of authorities, it goes inside TLS, with
SKEP_CERTIFICATE, a client certificate and its key in one file, as whom that names."""

import os
import sys

import google
import grpc

# google.rpc and google.api are among the generated modules, google.protobuf is the system's: one package in two places.
google.__path__ = [*google.__path__, *(f'{p}/google' for p in sys.path if os.path.isdir(f'{p}/google/rpc'))]
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from skep.v1 import jobs_pb2, jobs_pb2_grpc, stacks_pb2, stacks_pb2_grpc  # noqa: E402


def connect(address):
    if not os.environ.get('SKEP_CA'):
        return grpc.insecure_channel(address)
    with open(os.environ['SKEP_CA'], 'rb') as f:
        ca, own = f.read(), None
    if os.environ.get('SKEP_CERTIFICATE'):
        with open(os.environ['SKEP_CERTIFICATE'], 'rb') as f:
            own = f.read()
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca, private_key=own, certificate_chain=own))


def violations(error):
    """Which fields are wrong, and why: the details of a failure."""
    for name, value in error.trailing_metadata() or ():
        if name == 'grpc-status-details-bin':
            for detail in status_pb2.Status.FromString(value).details:
                bad = error_details_pb2.BadRequest()
                if detail.Unpack(bad):
                    yield from (f'{v.field}: {v.description}' for v in bad.field_violations)


def main():
    address, project, stack, file = sys.argv[1:]
    with open(file, 'rb') as f:
        text = f.read()
    token = os.environ.get('SKEP_TOKEN')
    metadata = [('authorization', f'Bearer {token}')] if token else []
    with connect(address) as channel:
        try:
            request = stacks_pb2.DeployStackRequest(project=project, name=stack, compose=[{'name': file, 'text': text}])
            job = stacks_pb2_grpc.StacksStub(channel).Deploy(request, metadata=metadata, timeout=60).job
            for message in jobs_pb2_grpc.JobsStub(channel).Watch(jobs_pb2.WatchJobRequest(id=job.id), metadata=metadata):
                if message.HasField('event'):
                    e = message.event
                    print(e.kind, e.step or e.service, e.message)
                if message.HasField('job'):
                    job = message.job
        except grpc.RpcError as e:
            sys.exit(f'{e.code().name}: {e.details()}\n' + '\n'.join(violations(e)))
    succeeded = job.state == jobs_pb2.JOB_STATE_SUCCEEDED
    print('SUCCEEDED' if succeeded else 'FAILED', job.error)
    return 0 if succeeded else 1


if __name__ == '__main__':
    sys.exit(main())
