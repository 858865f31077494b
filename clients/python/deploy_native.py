#!/usr/bin/python3
"""Deploys a stack and watches the job to its end, by the native protocol (native_client.py: a socket and protobuf).

    deploy_native.py ADDRESS PROJECT STACK COMPOSE_FILE       the token: SKEP_TOKEN"""

import os
import sys
import tempfile

import native_client


def main():
    address, project, stack, file = sys.argv[1:]
    with open(file, 'rb') as f:
        text = f.read()
    with tempfile.TemporaryDirectory() as made:
        native_client.load(made)  # once; a program of yours would have the modules beside it
        with native_client.Client(address, os.environ.get('SKEP_TOKEN')) as client:
            try:
                job = client.unary('Stacks', 'Deploy', project=project, name=stack, compose=[{'name': file, 'text': text}]).job
                for message in client.stream('Jobs', 'Watch', id=job.id):
                    if message.HasField('event'):
                        e = message.event
                        print(e.kind, e.step or e.service, e.message)
                    if message.HasField('job'):
                        job = message.job
            except native_client.RpcError as e:
                sys.exit(f'{e}\n' + '\n'.join(f'{field}: {words}' for field, words in e.violations().items()))
    succeeded = job.state == 3  # JOB_STATE_SUCCEEDED
    print('SUCCEEDED' if succeeded else 'FAILED', job.error)
    return 0 if succeeded else 1


if __name__ == '__main__':
    sys.exit(main())
