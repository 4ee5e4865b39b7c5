"""Starts programs without the seconds that their imports take.

A process that has imported TensorFlow, and done nothing with it, becomes each
program by a fork. What a start saves is what this takes:

  time python -c 'from tests.faults import forking; forking.import_programs()'

The driver sends lines of JSON that say what to start, and reads the number of
the new process; the exit code is a file next to the log.
"""

from __future__ import annotations

import json
import os
import pathlib
import runpy
import select
import sys
import tempfile
from typing import Any

_WAIT_SECS = 0.003


def import_programs() -> None:
  """Imports what each program would; none of it begins anything."""
  from launch import programs

  programs.import_tensorflow()
  import tensorflow_datasets  # noqa: F401

  from launch import training_program  # noqa: F401
  from launch.reporting import writing  # noqa: F401


def main() -> None:
  """Starts the programs that standard input names, until it ends."""
  import_programs()
  logs: dict[int, pathlib.Path] = {}
  print('ready', flush=True)
  lines = os.fdopen(os.dup(0), 'rb', buffering=0)
  while True:
    ready, _, _ = select.select([lines], [], [], _WAIT_SECS)
    if ready:
      line = lines.readline()
      if not line:
        return
      values = json.loads(line)
      number = os.fork()
      if not number:
        _become(values)
      logs[number] = pathlib.Path(values['log'])
      print(number, flush=True)
    _reap(logs)


def _reap(logs: dict[int, pathlib.Path]) -> None:
  """Writes the exit codes of those that have ended."""
  while logs:
    number, status = os.waitpid(-1, os.WNOHANG)
    if not number:
      return
    log = logs.pop(number)
    unfinished = log.with_suffix('.unfinished')
    unfinished.write_text(str(os.waitstatus_to_exitcode(status)))
    unfinished.replace(log.with_suffix('.code'))


def _become(values: dict[str, Any]) -> None:
  """Turns this process into a program, which ends it."""
  from launch import interruption

  os.setsid()
  log = pathlib.Path(values['log'])
  flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
  for number, suffix in ((1, '.out'), (2, '.err')):
    os.dup2(os.open(log.with_suffix(suffix), flags, 0o644), number)
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  interruption.leave_at_once()
  os.environ.update(values['environment'])
  tempfile.tempdir = None  # It is another one's.
  module, *arguments = values['arguments']
  sys.argv = [module, *arguments]
  sys.orig_argv = [sys.executable, '-m', module, *arguments]
  try:
    runpy.run_module(module, run_name='__main__', alter_sys=True)
  except SystemExit as end:
    code = end.code if isinstance(end.code, int) else int(bool(end.code))
  except BaseException:
    sys.excepthook(*sys.exc_info())
    code = 1
  else:
    code = 0
  _leave(code)


def _leave(code: int) -> None:
  """Ends this process as Python does, without what the parent had to do."""
  import atexit

  atexit._run_exitfuncs()
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)


if __name__ == '__main__':
  main()
