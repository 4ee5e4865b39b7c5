"""Makes `core` importable as `quatrain.core` in a checkout, as in the wheel.

A user's file that imports `quatrain.core` then works with both. Both names
refer to the same module, which is loaded once.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence

from . import about

_WHEEL = 'quatrain'
_OURS = ('core', 'launch', 'pipelines')


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
  """Finds `quatrain.NAME` as NAME."""

  def find_spec(
      self,
      fullname: str,
      path: Sequence[str] | None = None,
      target: types.ModuleType | None = None,
  ) -> importlib.machinery.ModuleSpec | None:
    """Returns the spec of a name of the wheel, or None for other names."""
    del path, target
    if fullname == _WHEEL:
      return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
    wheel, _, name = fullname.partition('.')
    if wheel != _WHEEL or name.partition('.')[0] not in _OURS:
      return None
    if importlib.util.find_spec(name) is None:
      return None
    return importlib.machinery.ModuleSpec(fullname, self)

  def create_module(
      self, spec: importlib.machinery.ModuleSpec
  ) -> types.ModuleType | None:
    """Returns the module of the checkout, or None for `quatrain` itself."""
    if spec.name == _WHEEL:
      return None
    module = importlib.import_module(spec.name.partition('.')[2])
    spec.loader_state = module.__spec__
    return module

  def exec_module(self, module: types.ModuleType) -> None:
    """Restores the module's own spec, which the import has replaced."""
    if module.__name__ == _WHEEL:
      vars(module)['__version__'] = about.version()
    spec = module.__spec__
    if spec is not None and spec.loader_state is not None:
      module.__spec__ = spec.loader_state


def install() -> None:
  """Installs the finder of the wheel's names, before all others."""
  if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
    sys.meta_path.insert(0, _Finder())
