"""A page in a headless Chromium, controlled over two pipes.

No socket is opened, and the browser resolves no host names: it only shows local
files.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from core import scratch

from .. import programs

_NAMES = (
    'chromium',
    'chromium-browser',
    'google-chrome',
    'google-chrome-stable',
    'chrome',
)
_FLAGS = (
    '--headless',
    '--remote-debugging-pipe',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-default-apps',
    '--disable-extensions',
    '--disable-sync',
    '--host-resolver-rules=MAP * ~NOTFOUND',
)
# Chromium expects its pipes as file descriptors 3 and 4.
_START = 'in=$1 out=$2; shift 2; exec "$@" 3</dev/fd/$in 4>/dev/fd/$out'
_TIMEOUT_S = 120.0
Tensors = dict[str, dict[str, Any]]


def installed() -> str | None:
  """Returns the path of Chromium or Chrome, or None if there is none."""
  return next(filter(None, map(shutil.which, _NAMES)), None)


def encoded(arrays: Mapping[str, np.ndarray]) -> Tensors:
  """Encodes arrays for the page: type, shape, and bytes in base64."""
  return {
      name: {
          'type': array.dtype.name,
          'shape': list(array.shape),
          'data': base64.b64encode(array.tobytes()).decode(),
      }
      for name, array in arrays.items()
  }


def decoded(tensors: Tensors) -> dict[str, np.ndarray]:
  """Decodes what `encoded` returns."""
  return {
      name: (
          np.frombuffer(base64.b64decode(each['data']), each['type']).reshape(
              each['shape']
          )
      )
      for name, each in tensors.items()
  }


class Page:
  """A page of `page.write` in a browser.

  Attributes:
    version: The name and version of the browser.
    result: The line that the page shows about its examples.
  """

  def __init__(self, directory: str):
    """Opens the page and waits until it has compared its examples.

    Args:
      directory: The folder of the page.

    Raises:
      Failure: If there is no browser, it does not start, or the page fails.
    """
    executable = installed()
    if executable is None:
      raise programs.Failure('no Chromium is installed.')
    self._number = 0
    self._session: str | None = None
    self._scratch = scratch.folder('quatrain-browser-')
    home = self._scratch.__enter__()
    read, write = os.pipe(), os.pipe()
    arguments = [executable, *_FLAGS, f'--user-data-dir={home / "profile"}']
    if os.geteuid() == 0:  # Chromium's sandbox refuses to run as root.
      arguments.append('--no-sandbox')
    self._process = subprocess.Popen(
        ['sh', '-c', _START, 'sh', str(read[0]), str(write[1]), *arguments],
        pass_fds=(read[0], write[1]),
        env={**os.environ, 'HOME': str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(read[0])
    os.close(write[1])
    self._requests = os.fdopen(read[1], 'wb')
    self._answers = os.fdopen(write[0], 'rb')
    try:
      self.version = self._call('Browser.getVersion')['product']
      target = self._call('Target.createTarget', url='about:blank')
      self._session = self._call(
          'Target.attachToTarget', flatten=True, **target
      )['sessionId']
      url = (pathlib.Path(directory).absolute() / 'index.html').as_uri()
      self._call('Page.navigate', url=url)
      self._wait()
      self.result = self.evaluate('ready')
    except BaseException:
      self.close()
      raise

  def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs the model on named arrays ``[batch_size, ...]``."""
    return decoded(self.evaluate(f'compute({json.dumps(encoded(inputs))})'))

  def milliseconds(
      self, inputs: Mapping[str, np.ndarray], num_runs: int
  ) -> float:
    """Returns the median time of a run, measured by the page."""
    return self.evaluate(
        f'milliseconds({json.dumps(encoded(inputs))}, {num_runs})'
    )

  def evaluate(self, expression: str) -> Any:
    """Evaluates JavaScript in the page.

    Returns:
      Its value; that of a promise once it is resolved.

    Raises:
      Failure: If it throws.
    """
    found = self._call(
        'Runtime.evaluate',
        expression=expression,
        awaitPromise=True,
        returnByValue=True,
    )
    if 'exceptionDetails' in found:
      details = found['exceptionDetails']
      said = details.get('exception', {}).get('description') or details['text']
      raise programs.Failure(f'{self.version}: {said.splitlines()[0]}.')
    return found['result'].get('value')

  def close(self) -> None:
    """Closes the browser."""
    self._kill()
    self._process.wait()
    for file in (self._requests, self._answers):
      with contextlib.suppress(OSError):  # Closing flushes the buffer.
        file.close()
    self._scratch.__exit__(None, None, None)

  def _kill(self) -> None:
    """Kills the browser's process group."""
    with contextlib.suppress(ProcessLookupError):
      os.killpg(self._process.pid, signal.SIGKILL)

  def _wait(self) -> None:
    """Waits until the scripts of the page have run."""
    deadline = time.monotonic() + _TIMEOUT_S
    asked = 'document.readyState + (typeof ready) + location.protocol'
    while self.evaluate(asked) != 'completeobjectfile:':
      if time.monotonic() > deadline:
        raise programs.Failure(f'{self.version}: the page does not load.')
      time.sleep(0.05)

  def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
    """Sends a command of the DevTools protocol and returns its result."""
    self._number += 1
    message = {'id': self._number, 'method': method, 'params': parameters}
    if self._session:
      message['sessionId'] = self._session
    timer = threading.Timer(_TIMEOUT_S, self._kill)
    timer.start()
    try:
      self._requests.write(json.dumps(message).encode() + b'\0')
      self._requests.flush()
      answer: dict[str, Any] = {}
      while answer.get('id') != self._number:  # Events come in between.
        answer = json.loads(self._next())
    except (BrokenPipeError, EOFError):
      raise programs.Failure(
          f'the browser ended, or did not answer {method}.'
      ) from None
    finally:
      timer.cancel()
    if 'error' in answer:
      raise programs.Failure(f'{method}: {answer["error"]["message"]}.')
    return answer['result']

  def _next(self) -> bytes:
    """Reads up to the next zero byte."""
    parts: list[bytes] = []
    while True:
      waiting = self._answers.peek(1)
      if not waiting:
        raise EOFError
      before, found, _ = waiting.partition(b'\0')
      parts.append(before)
      self._answers.read(len(before) + len(found))
      if found:
        return b''.join(parts)
