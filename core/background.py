"""Work in a thread of its own while training goes on, as writing files is."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Callable


class Background:
  """Runs jobs one after another in one thread.

  If a job fails, those behind it are left out, and the next `poll` or `wait`
  raises its error, once. The interpreter ends no sooner than the jobs do.

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
    """Starts with no job; the thread begins with the first one."""
    self._executor: concurrent.futures.ThreadPoolExecutor | None = None
    self._jobs: collections.deque[concurrent.futures.Future[None]] = (
        collections.deque()
    )
    self._error: BaseException | None = None

  def run(
      self, job: Callable[[], object]
  ) -> concurrent.futures.Future[None]:
    """Runs a job after those before it.

    Args:
      job: A function without arguments.

    Returns:
      A future, which is done once the job has ended or was left out. It holds
      no result and no error.
    """
    if self._executor is None:
      self._executor = concurrent.futures.ThreadPoolExecutor(
          1, thread_name_prefix='background'
      )
    future = self._executor.submit(self._run, job)
    self._jobs.append(future)
    return future

  def poll(self) -> None:
    """Raises the error of a job that has failed, if there is one."""
    while self._jobs and self._jobs[0].done():
      self._jobs.popleft()
    if self._error is not None:
      # What stands behind it is to be left out before the error is forgotten.
      concurrent.futures.wait(self._jobs)
      self._jobs.clear()
      error, self._error = self._error, None
      raise error

  def wait(self) -> None:
    """Waits until all jobs have ended, and raises the error of one, if any."""
    concurrent.futures.wait(self._jobs)
    self.poll()

  def close(self) -> None:
    """Waits until all jobs have ended, and ends the thread."""
    if self._executor is not None:
      self._executor.shutdown()
      self._executor = None

  def _run(self, job: Callable[[], object]) -> None:
    if self._error is not None:
      return
    try:
      job()
    except BaseException as error:
      self._error = error
