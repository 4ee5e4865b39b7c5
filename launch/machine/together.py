"""What several workers do together: start, agree, and end.

A process that runs alone is not affected.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from core import distribution, workers
from pipelines import errors

from .. import interruption, programs
from ..cluster import agreement, meeting, peers, stalls
from ..cluster import members as members_lib

_begun: dict[members_lib.Members, tf.distribute.Strategy] = {}
# Errors of a worker's operations if another worker is lost. They also have
# other causes, so it is checked whether the others answer.
_LOST_WORKER = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)
# How long a worker that has met the others may take to join them.
_JOIN_SECS = 60.0
# Wait before exiting, or others would take this worker for a lost one.
_LINGER_SECS = 1.0


def begin(
    members: members_lib.Members, told: meeting.Told, timeout_s: float
) -> tf.distribute.Strategy:
  """Waits for all workers, checks that they are alike, and joins them.

  Args:
    members: The workers.
    told: The values that must be the same on all workers.
    timeout_s: How long to wait for the others.

  Returns:
    The strategy; a process that has joined before gets the same one.

  Raises:
    UserError: If the workers differ, or the port is in use.
    Failure: If workers are missing when time is up.
  """
  told = {
      **agreement.of_program(),
      'number of GPUs': len(tf.config.list_physical_devices('GPU')),
      **told,
  }
  if members in _begun:
    with agreeing(_begun[members]) as again:
      again.update(told)
    return _begun[members]
  if members.size > 1:
    everything = meeting.meet(members, told, timeout_s=timeout_s)
    agreement.check(members, everything)
  try:
    # Signals are withheld during this one call, in which no other code runs.
    with interruption.withheld():
      _begun[members] = distribution.multi_worker(min(timeout_s, _JOIN_SECS))
  except tf.errors.OpError as error:
    own, gone = members.name(members.index), peers.gone(members)
    if not gone:
      raise
    raise programs.Failure(
        f'{own} lost {members.names(gone)} at the start '
        f'({type(error).__name__}); start all of them again.'
    ) from error
  return _begun[members]


def members_of(
    strategy: tf.distribute.Strategy,
) -> members_lib.Members | None:
  """Returns the workers of a strategy, or None if there is only one."""
  if distribution.num_workers(strategy) == 1:
    return None
  resolver = strategy.cluster_resolver
  return members_lib.of_tf_config(
      json.dumps({
          'cluster': resolver.cluster_spec().as_dict(),
          'task': {'type': resolver.task_type, 'index': resolver.task_id},
      })
  )


@contextlib.contextmanager
def agreeing(strategy: tf.distribute.Strategy) -> Iterator[meeting.Told]:
  """Compares the workers' findings at the end of a block.

  If the block fails on one worker, all workers fail with that worker's message.
  The block itself must not depend on other workers.

  Args:
    strategy: The strategy.

  Yields:
    A dictionary for JSON values that must be the same on all workers, by name.

  Raises:
    UserError: If a value differs.
    Failure: If the block failed on another worker.
  """
  told: meeting.Told = {}
  members = members_of(strategy)
  try:
    yield told
  except BaseException as error:
    if members is not None:
      # If the others are lost as well, this error is still the one to show.
      with contextlib.suppress(tf.errors.OpError):
        workers.texts(strategy, json.dumps({'error': _told_of(error)}))
    raise
  if members is None:
    return
  texts = workers.texts(strategy, json.dumps({'told': told}))
  everything = [json.loads(text) for text in texts]
  for place, each in enumerate(everything):
    if 'error' in each:
      _raise(members.name(place), **each['error'])
  agreement.check(members, [each['told'] for each in everything])


def _told_of(error: BaseException) -> dict[str, Any]:
  """Describes an error for other workers."""
  number = getattr(error, 'number', 0)
  code = programs.Failure.exit_code
  if isinstance(error, programs.Failure):
    code = error.exit_code
  elif isinstance(error, errors.DataError):
    code = programs.UserError.exit_code
  return {'text': programs.reason(error), 'code': code, 'signal': number}


def _raise(name: str, text: str, code: int, signal: int) -> None:
  if signal:
    raise interruption.Interrupted(signal)
  is_mistake = code == programs.UserError.exit_code
  kind = programs.UserError if is_mistake else programs.Failure
  raise kind(f'{name}: {text}')


@contextlib.contextmanager
def lost_workers(
    strategy: tf.distribute.Strategy, collective_timeout: float = 0.0
) -> Iterator[None]:
  """Reports lost or stalled workers in one line, with the remedy.

  Args:
    strategy: The strategy. Errors pass unchanged if it has no other workers, or
      if all others still answer.
    collective_timeout: The seconds to wait for workers that answer; 0 waits
      forever.

  Raises:
    Failure: If a worker is lost or stalled.
  """
  members = members_of(strategy)
  if members is None or not collective_timeout:
    with _named(members):
      yield
    return
  watch = stalls.Watch(members, collective_timeout)
  try:
    with watch.watching(), _named(members):
      yield
  except Exception as error:
    if not watch.message:
      raise
    raise programs.Failure(watch.message) from error


@contextlib.contextmanager
def _named(members: members_lib.Members | None) -> Iterator[None]:
  """Names the lost workers if a block fails because of them.

  Raises:
    Failure: If there are lost workers.
  """
  try:
    yield
  except _LOST_WORKER as error:
    gone = peers.gone(members) if members else []
    if members is None or not gone:
      raise
    time.sleep(_LINGER_SECS)
    raise programs.Failure(
        f'{members.name(members.index)} lost {members.names(gone)} '
        f'({type(error).__name__}); end the others and start all of them again '
        'with the same command.'
    ) from error
