r"""Writes Kubernetes manifests of workers, or a Dockerfile for them.

  python -m launch.cluster.render --kind=jobset --num_workers=4 \
    --image=registry.example/quatrain -- --workdir=/runs/first > first.json

The flags after -- are those of launch.train. The work directory must be on the
volume of --claim, which all workers share, below --mount_path. After a loss,
all workers are restarted and resume from the last checkpoint, except after exit
code 2, a usage error.
"""

from __future__ import annotations

import json
import os
import pathlib
import re

from absl import flags

from .. import about, programs
from . import manifests, passed_on

_KIND = flags.DEFINE_enum(
    'kind',
    None,
    [*manifests.KINDS, 'dockerfile'],
    'What to write. A jobset needs the JobSet controller, a trainjob Kubeflow '
    'Trainer 2, an indexed_job nothing but Kubernetes. A dockerfile takes no '
    'flags after --.',
)
_NAME = flags.DEFINE_string('name', 'quatrain', 'The name of the job.')
_IMAGE = flags.DEFINE_string('image', None, 'The image of the containers.')
_NUM_WORKERS = flags.DEFINE_integer(
    'num_workers',
    None,
    'The number of workers, one per pod.',
    lower_bound=1,
    upper_bound=1000,
)
_GPUS = flags.DEFINE_integer(
    'gpus_per_worker',
    0,
    'The number of GPUs per worker.',
    lower_bound=0,
    upper_bound=64,
)
_MAX_RESTARTS = flags.DEFINE_integer(
    'max_restarts',
    3,
    'How often all workers are restarted after a loss.',
    lower_bound=0,
    upper_bound=10**4,
)
_CLAIM = flags.DEFINE_string(
    'claim',
    'quatrain-runs',
    'The claim of a volume that all workers can write (ReadWriteMany).',
)
_MOUNT_PATH = flags.DEFINE_string(
    'mount_path', '/runs', 'The mount path of that volume in the workers.'
)

# A pod's name ends with -worker-0-999 and is limited to 63 characters.
_MAX_NAME = 50
_CUDA = (
    "RUN sed -i 's/^tensorflow\\([<>=]\\)/tensorflow[and-cuda]\\1/' "
    'requirements.txt\n'
)
_DOCKERFILE = """\
# The image of the workers: build it in the folder of the repository.
FROM python:3.12-slim
WORKDIR /quatrain
COPY requirements.txt pyproject.toml .
{cuda}RUN pip install --no-cache-dir -r requirements.txt
COPY core core
COPY pipelines pipelines
COPY launch launch
ENV PYTHONUNBUFFERED=1
"""
_DOCKERFILE_OF_WHEEL = """\
# The image of the workers: build it in the folder of the wheel.
FROM python:3.12-slim
COPY {wheel} /tmp/
RUN pip install --no-cache-dir {cuda}'/tmp/{wheel}[launch]'
ENV PYTHONUNBUFFERED=1
"""


def main() -> int:
  """Runs the program; returns its exit code."""
  if _KIND.value is None:
    raise programs.UserError(
        f'--kind is missing: one of {", ".join(manifests.KINDS)}, dockerfile.'
    )
  if _KIND.value == 'dockerfile':
    print(_dockerfile(), end='')
    return 0
  number, image = _NUM_WORKERS.value, _IMAGE.value
  if number is None or image is None:
    missing = 'num_workers' if number is None else 'image'
    raise programs.UserError(f'--{missing} is missing.')
  for flag in (_NAME, _CLAIM):
    if not re.fullmatch(r'[a-z]([a-z0-9-]*[a-z0-9])?', flag.value) or (
        len(flag.value) > _MAX_NAME
    ):
      raise programs.UserError(
          f'--{flag.name}={flag.value}: expected a-z, 0-9 and -, beginning '
          f'with a letter, {_MAX_NAME} characters at most.'
      )
  if re.search(r'\s', image) or not image:
    raise programs.UserError(
        f'--image={image}: expected the name of an image, without spaces.'
    )
  if not os.path.isabs(_MOUNT_PATH.value):
    raise programs.UserError(
        f'--mount_path={_MOUNT_PATH.value}: expected a path from / on.'
    )
  job = manifests.Job(
      name=_NAME.value,
      image=image,
      module=passed_on.module_of('train'),
      arguments=passed_on.parse('train'),
      num_workers=number,
      gpus_per_worker=_GPUS.value,
      max_restarts=_MAX_RESTARTS.value,
      claim=_CLAIM.value,
      mount_path=_MOUNT_PATH.value,
  )
  workdir = pathlib.PurePosixPath(os.path.normpath(passed_on.workdir()))
  if not workdir.is_relative_to(job.mount_path):
    raise programs.UserError(
        f'--workdir={passed_on.workdir()}: expected a directory below '
        f'--mount_path={job.mount_path}, where the shared volume is.'
    )
  print(json.dumps(manifests.KINDS[_KIND.value](job), indent=2))
  return 0


def _dockerfile() -> str:
  """Returns a Dockerfile that installs this checkout or this wheel."""
  has_gpus = _GPUS.value > 0
  if passed_on.module_of('train') == 'launch.train':
    return _DOCKERFILE.format(cuda=_CUDA if has_gpus else '')
  return _DOCKERFILE_OF_WHEEL.format(
      wheel=f'quatrain-{about.version()}-py3-none-any.whl',
      cuda="'tensorflow[and-cuda]' " if has_gpus else '',
  )


def program() -> None:
  """Runs the program as a command, which exits the process."""
  passed_on.run(main)


if __name__ == '__main__':
  program()
