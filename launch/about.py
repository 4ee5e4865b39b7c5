"""The name, the version and the help text of a program."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import re
import sys
from typing import Any

from absl import flags

_SCRIPT = 'quatrain-'
_CHECKOUT = pathlib.Path(__file__).parents[1] / 'pyproject.toml'
# The packages that each extra of the wheel installs.
EXTRAS = {
    'launch': ('matplotlib', 'tabulate', 'tensorboard'),
    'litert': ('ai_edge_litert',),
    'onnx': ('tf2onnx', 'onnxruntime'),
    'ray': ('ray',),
    'sweep': ('optuna', 'tomli'),
}


def how_to_get(package: str | None) -> str:
  """Explains how to install a missing package, given its import name.

  Returns:
    The end of a sentence, from a semicolon on; empty if no extra has it.
  """
  # A checkout need not be installed, and an index may have another package
  # called quatrain.
  ours = _CHECKOUT.parent if _CHECKOUT.is_file() else 'quatrain'
  for extra, packages in EXTRAS.items():
    if package in packages:
      return f"; pip install '{ours}[{extra}]' brings it"
  return ''


def version() -> str:
  """Returns the version of the checkout or the wheel."""
  if _CHECKOUT.is_file():
    found = re.search(r'^version = "(.*)"$', _CHECKOUT.read_text(), re.M)
    if found:
      return found[1]
  return importlib.metadata.version('quatrain')


def name() -> str:
  """Returns the name of this program, as the user started it.

  Returns:
    A name such as `launch.train` or `quatrain-train`; `quatrain` in a user's
    own program.
  """
  spec = sys.modules['__main__'].__spec__
  if spec:
    return spec.name
  script = os.path.basename(sys.argv[0])
  return script if script.startswith(_SCRIPT) else 'quatrain'


def help_text(module: str) -> str:
  """Returns the docstring and the flags of a program, given its module's name.

  Commands are spelled the way the program was started.
  """
  document = (sys.modules[module].__doc__ or '').strip()
  if name().startswith(_SCRIPT):
    document = re.sub(r'python -m launch\.', _SCRIPT, document)
  lines = [
      document,
      '',
      'Flags (and --flagfile=FILE, with one on each line; --version):',
  ]
  for flag in own_flags(module):
    lines += _describe(flag)
  return '\n'.join(lines)


def own_flags(module: str) -> list[flags.Flag[Any]]:
  """Returns the flags of a program, given the name of its module."""
  of = sys.argv[0] if module == '__main__' else module
  return flags.FLAGS.get_key_flags_for_module(of)


def _describe(flag: flags.Flag[Any]) -> list[str]:
  shown, text = f'--{flag.name}', flag.help
  if isinstance(flag, flags.EnumFlag):  # absl writes <a|b>: before the help.
    values, _, text = text.partition(': ')
    shown += f'={values.strip("<>")}'
  if isinstance(flag, flags.MultiFlag):
    text = f'{text.rpartition(";")[0]} May be repeated.'
  if flag.default not in (None, []):
    text += f' (default: {flag.default_as_str})'
  return [f'  {shown}', *flags.text_wrap(text, 78, '      ').splitlines()]
