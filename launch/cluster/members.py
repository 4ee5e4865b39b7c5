"""The workers of a run, read from TF_CONFIG and checked."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from typing import Any

from .. import programs

VARIABLE = 'TF_CONFIG'
# The jobs whose tasks train, in the order in which TensorFlow numbers them.
_JOBS = ('chief', 'worker')
_HOST = r'[^\s:/]+|\[[0-9A-Fa-f:.]+\]'  # IPv6 addresses are in brackets.
_EXPECTED = (
    '{"cluster": {"worker": ["HOST:PORT", ...]}, '
    '"task": {"type": "worker", "index": 0}}'
)


@dataclasses.dataclass(frozen=True)
class Members:
  """The workers of a run, and which of them this process is.

  Attributes:
    addresses: HOST:PORT of each worker; the first one writes the run's files.
    index: The place of this process among them.
    has_chief: Whether the first one is the chief, with workers numbered from 0
      after it.
  """

  addresses: tuple[str, ...]
  index: int
  has_chief: bool = False

  @property
  def size(self) -> int:
    """The number of workers."""
    return len(self.addresses)

  @property
  def others(self) -> list[int]:
    """The places of all workers but this one."""
    return [place for place in range(self.size) if place != self.index]

  def name(self, place: int) -> str:
    """Returns the name of a worker, with its address."""
    job, index = self._task(place)
    title = job if job == 'chief' else f'{job} {index}'
    return f'{title} ({self.addresses[place]})'

  def names(self, places: list[int]) -> str:
    """Returns the names of several workers."""
    return ', '.join(map(self.name, places))

  def to_tf_config(self) -> str:
    """Returns the value of TF_CONFIG for this worker."""
    first = self.has_chief
    cluster = {'worker': list(self.addresses[first:])}
    if first:
      cluster = {'chief': list(self.addresses[:1]), **cluster}
    cluster = {job: each for job, each in cluster.items() if each}
    job, index = self._task(self.index)
    return json.dumps(
        {'cluster': cluster, 'task': {'type': job, 'index': index}}
    )

  def _task(self, place: int) -> tuple[str, int]:
    if not self.has_chief:
      return 'worker', place
    return ('worker', place - 1) if place else ('chief', 0)


def on_this_machine(ports: Sequence[int]) -> list[Members]:
  """Returns the members, as seen by each worker, at ports of this machine."""
  addresses = tuple(f'localhost:{port}' for port in ports)
  return [Members(addresses, index) for index in range(len(addresses))]


def of_tf_config(text: str) -> Members:
  """Parses TF_CONFIG; rejects values that TensorFlow fails or hangs on.

  Args:
    text: The value of the environment variable.

  Returns:
    The workers.

  Raises:
    UserError: If it does not describe the workers and the task of this process.
  """
  try:
    value = json.loads(text)
  except ValueError as error:
    raise programs.UserError(f'{VARIABLE} is not JSON: {error}.') from None
  if not isinstance(value, dict):
    raise _error(f'is {value!r}')
  jobs = _jobs(value.get('cluster'))
  addresses = [address for job in _JOBS for address in jobs.get(job, ())]
  for address in addresses:
    _check_address(address)
  for address in addresses:
    if addresses.count(address) > 1:
      raise programs.UserError(f'{VARIABLE} names {address!r} twice.')
  index = _index(value.get('task'), jobs)
  return Members(tuple(addresses), index, 'chief' in jobs)


def _jobs(cluster: Any) -> dict[str, list[Any]]:
  """Returns the addresses of each job that trains."""
  if not isinstance(cluster, dict):
    raise _error(f'names no cluster, but {cluster!r}')
  for job, addresses in cluster.items():
    if job not in _JOBS:
      raise programs.UserError(
          f'{VARIABLE} names the job {job!r}: there are only chief and worker.'
      )
    if not isinstance(addresses, list):
      raise programs.UserError(
          f'{VARIABLE} has {addresses!r} for {job}: expected a list of '
          'HOST:PORT.'
      )
  jobs = {job: each for job, each in cluster.items() if each}
  if not jobs:
    raise _error('names no workers')
  if len(jobs.get('chief', ())) > 1:
    raise programs.UserError(
        f'{VARIABLE} names {len(jobs["chief"])} chiefs: expected at most one.'
    )
  return jobs


def _check_address(address: Any) -> None:
  match = re.fullmatch(rf'({_HOST}):(\d+)', str(address), re.ASCII)
  if match is None or not 0 < int(match.group(2)) < 2**16:
    raise programs.UserError(
        f'{VARIABLE} has the worker {address!r}: expected HOST:PORT.'
    )


def _index(task: Any, jobs: dict[str, list[Any]]) -> int:
  """Returns the place of this process."""
  if not isinstance(task, dict) or not task.keys() >= {'type', 'index'}:
    raise _error(f'does not say which task this is, but {task!r}')
  job, index = task['type'], task['index']
  if job not in _JOBS:
    raise programs.UserError(
        f'{VARIABLE} has a task of type {job!r}: this program is a chief or a '
        'worker.'
    )
  if isinstance(index, str) and index.isdecimal():
    index = int(index)  # As set from a shell variable.
  if not isinstance(index, int) or isinstance(index, bool):
    raise programs.UserError(
        f'{VARIABLE} has the index {index!r}: expected an integer.'
    )
  size = len(jobs.get(job, ()))
  if not 0 <= index < size:
    raise programs.UserError(
        f'{VARIABLE} has the index {index} of {job}, of which there '
        f'{"is" if size == 1 else "are"} {size}: expected '
        f'{f"0 to {size - 1}" if size else "another type"}.'
    )
  return index + (job == 'worker' and len(jobs.get('chief', ())))


def _error(what: str) -> programs.UserError:
  return programs.UserError(f'{VARIABLE} {what}: expected {_EXPECTED}.')
