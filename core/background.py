"""Runs jobs, such as writing files, in a background thread during training."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable


class Background:
  """Runs jobs one after another in a single thread.

  If a job fails, the jobs queued behind it are skipped, and the next `poll` or
  `wait` raises its error, once. The interpreter waits for all jobs at exit.

  Example:
    >>> from core import background
    >>> written = []
    >>> jobs = background.Background()
    >>> for number in range(3):
    ...   _ = jobs.run(lambda number=number: written.append(number))
    >>> jobs.wait()
    >>> written
    [0, 1, 2]
  """

  def __init__(self) -> None:
    """Creates an empty queue; the thread starts with the first job."""
    self._executor: concurrent.futures.ThreadPoolExecutor | None = None
    self._last: concurrent.futures.Future[None] | None = None
    self._error: BaseException | None = None

  def run(self, job: Callable[[], object]) -> concurrent.futures.Future[None]:
    """Queues a job, a function without arguments.

    Returns:
      A future that is done once the job has ended or was skipped. It holds
      neither a result nor an error.
    """
    if self._executor is None:
      self._executor = concurrent.futures.ThreadPoolExecutor(
          1, thread_name_prefix='background'
      )
    self._last = self._executor.submit(self._run, job)
    return self._last

  def poll(self) -> None:
    """Raises the error of a failed job, if any."""
    if self._error is not None:
      # Jobs behind it must be skipped before the error is cleared.
      self._drain()
      error, self._error = self._error, None
      raise error

  def wait(self) -> None:
    """Waits until all jobs have ended, and raises the error of a failed job."""
    self._drain()
    self.poll()

  def close(self) -> None:
    """Waits until all jobs have ended, and stops the thread."""
    if self._executor is not None:
      self._executor.shutdown()
      self._executor = None

  def _drain(self) -> None:
    if self._last is not None:
      concurrent.futures.wait([self._last])

  def _run(self, job: Callable[[], object]) -> None:
    if self._error is not None:
      return
    try:
      job()
    except BaseException as error:
      self._error = error
