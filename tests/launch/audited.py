"""Runs programs one after another, and writes down what Python does meanwhile.

  python -m tests.launch.audited FOLDER DATA_DIR train resume evaluate

Runs these programs on the run in FOLDER/run, which `train` makes;
FOLDER/events.json then has, for each of them, its exit code and the events of
Python's audit hook that matter for trust.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
from typing import Any

_CONNECTING = (
    'socket.connect',
    'socket.bind',
    'socket.sendto',
    'socket.getaddrinfo',
    'socket.gethostbyname',
    'urllib.Request',
    'http.client.connect',
    'ftplib.connect',
    'smtplib.connect',
)
_STARTING = (
    'subprocess.Popen',
    'os.system',
    'os.exec',
    'os.posix_spawn',
    'os.spawn',
    'os.fork',
    'os.forkpty',
    'pty.spawn',
    'os.startfile',
)
_LOADING = ('exec', 'import', 'pickle.find_class', 'ctypes.dlopen')
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_events: list[tuple[str, str, str]] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
  """The audit hook: event, what it is about, and whose code made it."""
  if event == 'exec':
    what = getattr(arguments[0], 'co_filename', repr(arguments[0]))
  elif event == 'open':
    path, mode, flags = arguments
    if not (flags or 0) & _WRITING and not set(mode or '') & set('wax+'):
      return
    what = f'{path}'
  elif event in _CONNECTING or event in _STARTING or event in _LOADING:
    what = ' '.join(map(str, arguments[:2]))
  else:
    return
  caller = sys._getframe(1)
  _events.append((event, what, caller.f_code.co_filename))


def _programs(folder: pathlib.Path, data: str) -> dict[str, tuple[str, ...]]:
  """Returns the programs with their arguments, by what is done."""
  run = folder / 'run'
  flags = (f'--workdir={run}', f'--data_dir={data}')
  train = (
      *flags,
      '--dataset=tiny_shapes',
      '--validation_examples=25',
      '--model=mlp',
      '--model_arg=hidden_sizes=4,',
      '--global_batch_size=12',
      '--jit_compile=off',
      '--checkpoint_every_steps=4',
      '--hash_every_steps=4',
  )
  return {
      'train': ('train', *train, '--num_steps=8'),
      'resume': ('train', *train, '--num_steps=12'),
      'evaluate': ('evaluate', *flags, '--verify'),
      'predict': ('predict', *flags, f'--output={folder}/predictions.csv'),
      'export': ('export', *flags, '--formats=saved_model,onnx'),
      'verify': ('export', *flags, '--verify'),
      'diff': ('diff', str(run), str(run)),
  }


def main(folder: pathlib.Path, data: str, *names: str) -> None:
  """Runs programs, and writes down what they do."""
  sys.addaudithook(_watch)
  os.umask(0)  # Whatever the user's is.
  from tests.launch import runs

  told = []
  for name in names:
    program, *arguments = _programs(folder, data)[name]
    _events.clear()
    ended = runs.call(program, *arguments)
    told.append({
        'program': name,
        'code': ended.code,
        'err': ended.err,
        'events': sorted(set(_events)),
        'modules': sorted({
            module.__file__
            for module in list(sys.modules.values())
            if getattr(module, '__file__', None)
        }),
        'sockets': _sockets(),
    })
  (folder / 'events.json').write_text(json.dumps(told))


def _sockets() -> list[str]:
  """Returns the sockets that this process has open, of the internet alone."""
  mine = {
      os.readlink(f'/proc/self/fd/{name}')
      for name in os.listdir('/proc/self/fd')
      if os.path.lexists(f'/proc/self/fd/{name}')
  }
  found = []
  for table in ('tcp', 'tcp6', 'udp', 'udp6'):
    path = pathlib.Path(f'/proc/self/net/{table}')
    for line in path.read_text().splitlines()[1:] if path.exists() else ():
      if f'socket:[{line.split()[9]}]' in mine:
        found.append(f'{table} {line}')
  return found


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
