"""Kubernetes manifests of workers: a JobSet, a TrainJob, or a Job.

All three run an Indexed Job, whose pods find each other by a headless service.
If a worker is lost, the others exit and all must start again: a JobSet, which a
TrainJob becomes, recreates all of them; a Job replaces its pods one by one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from .. import programs

Manifest = dict[str, Any]

PORT = 2222
# How long a worker may take to finish and save its step.
_GRACE_SECS = 120
# Kubernetes sets only the index of the pod.
_SCRIPT = """\
export TF_CONFIG="{\\"cluster\\": {\\"worker\\": [$WORKERS]},
  \\"task\\": {\\"type\\": \\"worker\\", \\"index\\": $JOB_COMPLETION_INDEX}}"
exec python -m "$0" "$@"
"""


@dataclasses.dataclass(frozen=True)
class Job:
  """A job to run.

  Attributes:
    name: The name of the job.
    image: The image of the containers.
    module: The module of the program.
    arguments: Its flags.
    num_workers: The number of workers, one per pod.
    gpus_per_worker: The number of GPUs per worker.
    max_restarts: How often all workers are restarted after a loss.
    claim: The claim of the volume that all workers share.
    mount_path: Its mount path.
  """

  name: str
  image: str
  module: str
  arguments: Sequence[str]
  num_workers: int
  gpus_per_worker: int
  max_restarts: int
  claim: str
  mount_path: str


def jobset(job: Job) -> Manifest:
  """Returns a JobSet, which recreates all workers after a loss."""
  return {
      'apiVersion': 'jobset.x-k8s.io/v1alpha2',
      'kind': 'JobSet',
      'metadata': {'name': job.name},
      'spec': _set(
          job, 'worker', _container(job, 'worker', f'{job.name}-worker-0')
      ),
  }


def trainjob(job: Job) -> Manifest:
  """Returns a TrainJob of Kubeflow Trainer 2, and its training runtime."""
  host = f'{job.name}-node'
  full = _container(job, 'node', f'{host}-0')
  own = ('image', 'command', 'args', 'env')
  trainer = {name: full[name] for name in own}
  if 'resources' in full:
    trainer['resourcesPerNode'] = full['resources']
  container = {'name': 'node', 'image': job.image} | {
      name: full[name] for name in ('ports', 'volumeMounts')
  }
  runtime = {
      'apiVersion': 'trainer.kubeflow.org/v1alpha1',
      'kind': 'TrainingRuntime',
      'metadata': {
          'name': host,
          'labels': {'trainer.kubeflow.org/framework': 'quatrain'},
      },
      'spec': {
          'mlPolicy': {'numNodes': job.num_workers},
          'template': {'spec': _set(job, 'node', container)},
      },
  }
  return _list(
      runtime,
      {
          'apiVersion': 'trainer.kubeflow.org/v1alpha1',
          'kind': 'TrainJob',
          'metadata': {'name': job.name},
          'spec': {
              'runtimeRef': {
                  'apiGroup': 'trainer.kubeflow.org',
                  'kind': 'TrainingRuntime',
                  'name': host,
              },
              'trainer': {'numNodes': job.num_workers, **trainer},
          },
      },
  )


def indexed_job(job: Job) -> Manifest:
  """Returns a plain Kubernetes Job, and the service of its pods."""
  labels = {'job-name': job.name}
  # After a loss all workers fail, and each failure counts.
  spec = _job(
      job,
      'worker',
      _container(job, 'worker', job.name),
      backoff_limit=job.max_restarts * job.num_workers,
  )
  spec['podFailurePolicy']['rules'].append({
      'action': 'Ignore',  # Evictions and preemptions are not failures.
      'onPodConditions': [{'type': 'DisruptionTarget', 'status': 'True'}],
  })
  spec['template']['spec']['subdomain'] = job.name
  return _list(
      {
          'apiVersion': 'v1',
          'kind': 'Service',
          'metadata': {'name': job.name},
          'spec': {
              'clusterIP': 'None',
              'publishNotReadyAddresses': True,
              'selector': labels,
              'ports': [{'name': 'workers', 'port': PORT}],
          },
      },
      {
          'apiVersion': 'batch/v1',
          'kind': 'Job',
          'metadata': {'name': job.name},
          'spec': spec,
      },
  )


KINDS = {'jobset': jobset, 'trainjob': trainjob, 'indexed_job': indexed_job}


def _list(*manifests: Manifest) -> Manifest:
  """Combines manifests into one list."""
  return {'apiVersion': 'v1', 'kind': 'List', 'items': list(manifests)}


def _set(job: Job, name: str, container: Manifest) -> Manifest:
  """Returns the spec of a JobSet."""
  template: Manifest = {
      'spec': _job(job, name, container, backoff_limit=0),
  }
  if name == 'node':  # Trainer's label of the pods that are workers.
    step = {'trainer.kubeflow.org/trainjob-ancestor-step': 'trainer'}
    template = {'metadata': {'labels': step}, **template}
  return {
      'failurePolicy': {
          'maxRestarts': job.max_restarts,
          # The last worker to exit releases the lock of the work directory.
          'restartStrategy': 'BlockingRecreate',
          'rules': [{
              'name': 'mistakes',
              'action': 'FailJobSet',
              'onJobFailureReasons': ['PodFailurePolicy'],
          }],
      },
      'network': {
          'enableDNSHostnames': True,
          'publishNotReadyAddresses': True,
      },
      'replicatedJobs': [{'name': name, 'replicas': 1, 'template': template}],
  }


def _job(
    job: Job, name: str, container: Manifest, *, backoff_limit: int
) -> Manifest:
  """Returns the spec of an Indexed Job."""
  volumes: list[Manifest] = [{
      'name': 'runs',
      'persistentVolumeClaim': {'claimName': job.claim},
  }]
  if job.gpus_per_worker:  # For NCCL; the default of 64 MB is too small.
    volumes.append({'name': 'memory', 'emptyDir': {'medium': 'Memory'}})
  return {
      'completionMode': 'Indexed',
      'completions': job.num_workers,
      'parallelism': job.num_workers,
      'backoffLimit': backoff_limit,
      'podFailurePolicy': {
          'rules': [{
              'action': 'FailJob',
              'onExitCodes': {
                  'containerName': name,
                  'operator': 'In',
                  'values': [programs.UserError.exit_code],
              },
          }],
      },
      'template': {
          'spec': {
              'restartPolicy': 'Never',
              'terminationGracePeriodSeconds': _GRACE_SECS,
              'containers': [container],
              'volumes': volumes,
          },
      },
  }


def _container(job: Job, name: str, host: str) -> Manifest:
  """Returns the container of a worker, with the addresses of all workers.

  Args:
    job: The job.
    name: The name of the container.
    host: The common prefix of the pods' host names.
  """
  workers = ', '.join(
      json.dumps(f'{host}-{index}.{job.name}:{PORT}')
      for index in range(job.num_workers)
  )
  mounts = [{'name': 'runs', 'mountPath': job.mount_path}]
  container: Manifest = {
      'name': name,
      'image': job.image,
      'command': ['/bin/sh', '-euc', _SCRIPT, job.module],
      # Kubernetes expands $(NAME), and reads $$ as a dollar sign.
      'args': [each.replace('$', '$$') for each in job.arguments],
      'env': [{'name': 'WORKERS', 'value': workers}],
      'ports': [{'name': 'workers', 'containerPort': PORT}],
  }
  if job.gpus_per_worker:
    mounts.append({'name': 'memory', 'mountPath': '/dev/shm'})
    container['resources'] = {'limits': {'nvidia.com/gpu': job.gpus_per_worker}}
  return container | {'volumeMounts': mounts}
