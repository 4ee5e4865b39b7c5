"""Races training loops against each other, one process after another.

    python -m tests.benchmarks --rounds=5 --out=results.json
    python -m tests.benchmarks --rounds=5 --out=results.json --resume
    python -m tests.benchmarks.report results.json

A round runs every case with every contender in turn, so that what else the
machine does hits all alike. The file of results is saved after every process;
`--resume` goes on where a campaign was broken off, and tries again what failed.
Environments and data are made in .benchmarks/ at the first start.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from absl import app, flags

from core import processor
from tests.benchmarks import cases, environments, lineup, protocol, results

_CASES = flags.DEFINE_list(
    'cases', list(cases.CASES), f'Of {", ".join(cases.CASES)}.'
)
_CONTENDERS = flags.DEFINE_list(
    'contenders',
    None,
    'Who takes part, of tests/benchmarks/lineup.py. The default is everybody '
    'who is not hopeless; who is named is run in any case.',
)
_PRECISIONS = flags.DEFINE_list(
    'precisions', ['float32'], f'Of {", ".join(protocol.PRECISIONS)}.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 5, 'How often to run.', lower_bound=1)
_OUT = flags.DEFINE_string('out', 'results.json', 'The file of results.')
_RESUME = flags.DEFINE_bool('resume', False, 'Whether to go on with the file.')
_TIMEOUT_S = flags.DEFINE_integer(
    'timeout_s', 900, 'The time limit of a process.', lower_bound=1
)
_NUM_EXAMPLES = flags.DEFINE_integer(
    'num_examples', None, "The training examples of an epoch, not the case's."
)
_NUM_EPOCHS = flags.DEFINE_integer(
    'num_epochs', None, "The epochs, those of warm-up included, not the case's."
)
_NUM_WARMUP_EPOCHS = flags.DEFINE_integer(
    'num_warmup_epochs', None, "The epochs that are not timed, not the case's."
)
_SYNTHETIC = flags.DEFINE_bool(
    'synthetic', False, 'Whether to take 2,048 drawn images: for a quick try.'
)
_DATA_DIR = flags.DEFINE_string(
    'data_dir', None, 'Where TFDS keeps prepared sets; its default if None.'
)
_FOLDER = flags.DEFINE_string(
    'folder',
    str(environments.FOLDER),
    'Where environments and data are made at the first start.',
)
_PYTHONS = flags.DEFINE_list(
    'pythons', [], 'NAME=PYTHON, to run an environment in an existing one.'
)
# Of vectors and half precision.
_INSTRUCTIONS = ('avx2', 'avx512f', 'avx512_bf16', 'amx_bf16')
# What a user may have set that changes speed; kept with the results.
_TELLING = ('OMP_', 'TF_', 'XLA_', 'JAX_', 'KMP_', 'MKL_', 'CUDA_', 'TORCH')


def _first(pattern: str, path: str) -> str:
  with contextlib.suppress(OSError):
    for line in pathlib.Path(path).read_text().splitlines():
      if line.startswith(pattern):
        return line.partition(':')[2].strip()
  return ''


def _output(*command: str) -> str:
  with contextlib.suppress(OSError):
    ended = subprocess.run(
        command, cwd=environments.ROOT, capture_output=True, text=True
    )
    return ended.stdout.strip()
  return ''


def machine() -> dict[str, Any]:
  """Describes the machine, for the report."""
  gpus = _output(
      'nvidia-smi', '--query-gpu=name,driver_version', '--format=csv,noheader'
  )
  memory = _first('MemTotal', '/proc/meminfo').split()
  return {
      'date': datetime.date.today().isoformat(),
      'system': f'{platform.system()} {platform.machine()}',
      'cpu': _cpu(),
      'cores': len(os.sched_getaffinity(0)),
      'memory_gb': round(int(memory[0]) * 1024 / 1e9, 1) if memory else None,
      'gpus': gpus.splitlines(),
      'environment': {
          name: value
          for name, value in sorted(os.environ.items())
          if name.startswith(_TELLING) and '/' not in value
      },
  }


def _cpu() -> str:
  """Names the processor, with the instructions that speed depends on."""
  name = _first('model name', '/proc/cpuinfo') or platform.processor()
  known = [each for each in _INSTRUCTIONS if each in processor.features()]
  return f'{name} ({", ".join(known)})' if known else name


def command(
    python: str,
    contender: lineup.Contender,
    case: str,
    precision: str,
    seed: int,
) -> list[str]:
  """Returns the command line of a process.

  Args:
    python: The Python of the contender's environment.
    contender: The contender.
    case: The name of the case.
    precision: What it computes in.
    seed: The seed of weights and order.

  Returns:
    The arguments.
  """
  return [
      python,
      '-m',
      f'tests.benchmarks.contenders.{contender.module}',
      f'--case={case}',
      f'--variant={contender.variant}',
      f'--precision={precision}',
      f'--seed={seed}',
      f'--data={_data_folder()}',
      *(f'--{name}={value}' for name, value in _sizes().items()),
  ]


def run_process(
    arguments: list[str], variables: dict[str, str], timeout_s: float
) -> results.Run:
  """Runs a contender to its end, or to the time limit.

  Args:
    arguments: The command line.
    variables: Environment variables to add.
    timeout_s: The time limit in seconds.

  Returns:
    What it printed, with its `status`; if it failed, the end of its `error`.
  """
  environment = {'TF_CPP_MIN_LOG_LEVEL': '2', **os.environ, **variables}
  environment[protocol.STARTED] = str(time.time())
  process = subprocess.Popen(
      arguments,
      cwd=environments.ROOT,
      env=environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      start_new_session=True,
  )
  try:
    out, error = process.communicate(timeout=timeout_s)
  except subprocess.TimeoutExpired:
    return {'status': results.TIMEOUT, 'error': f'longer than {timeout_s:g} s'}
  finally:
    # Its children too, such as PyTorch's compilers.
    with contextlib.suppress(ProcessLookupError):
      os.killpg(process.pid, signal.SIGKILL)
    process.wait()
  try:
    line = json.loads(out.strip().splitlines()[-1])
  except (IndexError, ValueError):
    line = None
  if process.returncode or not isinstance(line, dict):
    tail = error[-2000:].strip() or f'exit code {process.returncode}'
    return {'status': results.FAILED, 'error': tail}
  return {'status': results.OK, **line}


def _sizes() -> dict[str, int]:
  flags_of_sizes = (_NUM_EXAMPLES, _NUM_EPOCHS, _NUM_WARMUP_EPOCHS)
  return {
      flag.name: flag.value for flag in flags_of_sizes if flag.value is not None
  }


def _data_folder() -> pathlib.Path:
  name = 'synthetic' if _SYNTHETIC.value else 'fashion_mnist'
  return pathlib.Path(_FOLDER.value).resolve() / name


def _write_data() -> int:
  """Has the data written by another process; returns its exit code."""
  arguments = [f'--folder={_data_folder()}']
  arguments += ['--synthetic'] if _SYNTHETIC.value else []
  arguments += [f'--data_dir={_DATA_DIR.value}'] if _DATA_DIR.value else []
  return subprocess.run(
      [sys.executable, '-m', 'tests.benchmarks.data', *arguments],
      cwd=environments.ROOT,
      env={'TF_CPP_MIN_LOG_LEVEL': '3', **os.environ},
  ).returncode


def _keys() -> Iterator[dict[str, Any]]:
  """Yields what to run, in order: strictly interleaved."""
  for number in range(_ROUNDS.value):
    for case in _CASES.value:
      for precision in _PRECISIONS.value:
        for name in _CONTENDERS.value or lineup.CONTENDERS:
          yield {
              'round': number,
              'case': case,
              'contender': name,
              'precision': precision,
          }


def _pythons() -> tuple[dict[str, str], dict[str, str]]:
  """Finds or makes every environment; returns Pythons, and what went wrong."""
  given = dict(each.split('=', 1) for each in _PYTHONS.value)
  names = _CONTENDERS.value or lineup.CONTENDERS
  pythons, errors = {}, {}
  for name in dict.fromkeys(lineup.CONTENDERS[n].environment for n in names):
    try:
      pythons[name] = environments.python(name, given, _FOLDER.value)
    except subprocess.CalledProcessError as error:
      errors[name] = f'no environment {name}: exit code {error.returncode}'
  return pythons, errors


def _run(
    key: dict[str, Any], pythons: dict[str, str], errors: dict[str, str]
) -> results.Run:
  contender = lineup.CONTENDERS[key['contender']]
  if not _CONTENDERS.value:
    reason = lineup.refusal(
        key['contender'],
        cases.CASES[key['case']],
        key['precision'],
        environments.has_gpu(),
    )
    if reason:
      return {'status': results.SKIPPED, 'error': reason}
  if contender.environment in errors:
    return {'status': results.FAILED, 'error': errors[contender.environment]}
  python = pythons[contender.environment]
  load = os.getloadavg()[0]
  arguments = command(
      python, contender, key['case'], key['precision'], seed=key['round']
  )
  run = run_process(arguments, contender.variables, _TIMEOUT_S.value)
  revision = _output('git', 'describe', '--always', '--dirty')
  return {'load_before': load, 'revision': revision, **run}


def _line(run: results.Run) -> str:
  name = '{round} {case} {contender} {precision}'.format(**run)
  if run['status'] != results.OK:
    return f'{name}: {run["status"]}: {run["error"].splitlines()[-1]}'
  speed = max(run['images_per_second'], default=0)
  accuracy = run['accuracy']
  accuracy = '' if accuracy is None else f'accuracy {accuracy:.4f}, '
  return f'{name}: {speed:,.0f} images/s, {accuracy}{run["end_s"]:.1f} s'


def main(argv: list[str]) -> int:
  """Runs the campaign; returns 1 if a process failed."""
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}')
  settings = {
      flag.name: flag.value
      for flag in (_CASES, _CONTENDERS, _PRECISIONS, _ROUNDS)
  }
  settings['sizes'] = {'synthetic': _SYNTHETIC.value, **_sizes()}
  try:
    campaign = results.Results(_OUT.value, settings, machine(), _RESUME.value)
  except ValueError as error:
    print(error, file=sys.stderr)
    return 2
  if code := _write_data():
    return code
  pythons, errors = _pythons()
  for key in _keys():
    if not campaign.has(key):
      campaign.append({**key, **_run(key, pythons, errors)})
      print(_line(campaign.runs[-1]), flush=True)
  bad = (results.FAILED, results.TIMEOUT)
  return int(any(run['status'] in bad for run in campaign.runs))


def _is_known(names: list[str] | None, known: Any) -> bool:
  return all(name in known for name in names or ())


flags.register_validator(
    _CONTENDERS,
    lambda names: _is_known(names, lineup.CONTENDERS),
    f'Expected some of {", ".join(lineup.CONTENDERS)}.',
)
flags.register_validator(
    _CASES,
    lambda names: _is_known(names, cases.CASES),
    f'Expected some of {", ".join(cases.CASES)}.',
)
flags.register_validator(
    _PRECISIONS,
    lambda names: _is_known(names, protocol.PRECISIONS),
    f'Expected some of {", ".join(protocol.PRECISIONS)}.',
)

if __name__ == '__main__':
  app.run(main)
