"""Finds workers in Slurm's variables: one per task of `srun`.

TensorFlow's own resolver is not used: it sorts hosts as text, and counts GPUs
with a program that CPU nodes lack. Nor is `scontrol`, which containers lack.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .. import programs
from . import members as members_lib

# Below the ports that Linux assigns to outgoing connections.
_FIRST_PORT, _NUM_PORTS = 20000, 10000
# The distance between the ports of successive jobs.
_STRIDE = 128
_NEEDED = (
    'SLURM_PROCID',
    'SLURM_NODEID',
    'SLURM_STEP_NODELIST',
    'SLURM_JOB_ID',
    'SLURM_STEP_TASKS_PER_NODE',
)


def find(environment: Mapping[str, str]) -> members_lib.Members | None:
  """Finds the workers of this Slurm step.

  Args:
    environment: The environment variables.

  Returns:
    The workers, in the order of Slurm's ranks. None in a step of one task, and
    in processes not started by `srun`, such as a batch script.

  Raises:
    UserError: If a required variable is missing or malformed.
  """
  size = _number(environment, 'SLURM_STEP_NUM_TASKS', '1')
  if size < 2:
    return None
  for name in _NEEDED:
    if not environment.get(name):
      raise programs.UserError(
          f'this is a step of {size} Slurm tasks, but {name} is not set; set '
          f'{members_lib.VARIABLE}, or start it by srun.'
      )
  rank = _number(environment, 'SLURM_PROCID')
  hosts = expand(environment['SLURM_STEP_NODELIST'])
  counts = _counts(environment['SLURM_STEP_TASKS_PER_NODE'])
  if len(counts) != len(hosts) or sum(counts) != size or rank >= size:
    raise programs.UserError(
        f'Slurm says rank {rank} of {size}, nodes {len(hosts)}, tasks per node '
        f'{counts}, which do not fit together; set {members_lib.VARIABLE}.'
    )
  nodes = _layout(counts, rank, environment)
  first = first_port(
      _number(environment, 'SLURM_JOB_ID'),
      _number(environment, 'SLURM_STEP_ID', '0'),
      size,
  )
  return members_lib.Members(
      tuple(f'{hosts[node]}:{first + i}' for i, node in enumerate(nodes)), rank
  )


def first_port(job: int, step: int, size: int) -> int:
  """Returns the port of the first task; those of the others follow.

  Args:
    job: The number of the Slurm job.
    step: The number of the step.
    size: The number of tasks.
  """
  room = max(_NUM_PORTS - size, 1)
  return _FIRST_PORT + (_STRIDE * job + step * size) % room


def expand(text: str) -> list[str]:
  """Expands a host list in Slurm's notation, in its order.

  Args:
    text: The list, such as `n[9-10,12],login`.

  Raises:
    UserError: If it is malformed.
  """
  hosts = []
  # Split at commas outside brackets.
  for part in re.split(r',(?![^\[]*\])', text):
    hosts += _expand_one(part, text)
  return hosts


def _expand_one(part: str, text: str) -> list[str]:
  match = re.fullmatch(r'([^\[\]]*)\[([^\[\]]*)\](.*)', part)
  if match is None:
    if not part or '[' in part or ']' in part:
      raise programs.UserError(f'SLURM_STEP_NODELIST={text} is not understood.')
    return [part]
  before, ranges, after = match.groups()
  rest = _expand_one(after, text) if after else ['']
  return [
      f'{before}{number}{end}'
      for each in ranges.split(',')
      for number in _range(each, text)
      for end in rest
  ]


def _range(text: str, whole: str) -> list[str]:
  match = re.fullmatch(r'(\d+)(?:-(\d+))?', text, re.ASCII)
  if match is None:
    raise programs.UserError(f'SLURM_STEP_NODELIST={whole} is not understood.')
  first, last = match.group(1), match.group(2) or match.group(1)
  return [
      f'{number:0{len(first)}d}' for number in range(int(first), int(last) + 1)
  ]


def _counts(text: str) -> list[int]:
  """Reads the tasks of each node, such as `2(x3),1`."""
  counts: list[int] = []
  for part in text.split(','):
    match = re.fullmatch(r'(\d+)(?:\(x(\d+)\))?', part, re.ASCII)
    if match is None:
      raise programs.UserError(
          f'SLURM_STEP_TASKS_PER_NODE={text} is not understood.'
      )
    counts += [int(match.group(1))] * int(match.group(2) or 1)
  return counts


def _layout(
    counts: Sequence[int], rank: int, environment: Mapping[str, str]
) -> list[int]:
  """Returns the node of each rank, as far as this task can tell.

  Slurm either fills node after node or assigns ranks to nodes in turn. The node
  of this task shows which; if another task concludes otherwise, the workers
  notice when they meet, and stop.

  Args:
    counts: The number of tasks per node.
    rank: The rank of this task.
    environment: The environment variables.

  Raises:
    UserError: If Slurm did neither.
  """
  node = _number(environment, 'SLURM_NODEID')
  block = [node for node, count in enumerate(counts) for _ in range(count)]
  cyclic = [
      node
      for turn in range(max(counts))
      for node, count in enumerate(counts)
      if turn < count
  ]
  layouts = [block, cyclic]
  if environment.get('SLURM_DISTRIBUTION', '').startswith('cyclic'):
    layouts.reverse()
  own = environment.get('SLURM_GTIDS', '')  # The ranks on this node.
  ranks = [int(each) for each in own.split(',') if each.strip().isdecimal()]
  for layout in layouts:
    here = [place for place, each in enumerate(layout) if each == node]
    if rank in here and here == (sorted(ranks) or here):
      return layout
  raise programs.UserError(
      f'Slurm put rank {rank} on node {node}, neither node by node nor in '
      'turn; start the tasks by `srun --distribution=block`, or set '
      f'{members_lib.VARIABLE}.'
  )


def _number(
    environment: Mapping[str, str], name: str, default: str = ''
) -> int:
  text = environment.get(name) or default
  if not text.isdecimal():
    raise programs.UserError(f'{name}={text}: expected a number.')
  return int(text)
