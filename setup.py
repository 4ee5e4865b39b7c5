"""Builds the wheel; pyproject.toml says of what.

In a checkout modules import `core`, `pipelines` and `launch`. The wheel has
them in `quatrain`, so that no such name lands among a user's own packages.
"""

import pathlib
import re

import setuptools
from setuptools.command import build_py

# Examples in docstrings too.
_IMPORT = re.compile(
    r'^(\s*(?:(?:>>>|\.\.\.) )?from )(?=(?:core|pipelines|launch)\b)'
    r'|^(\s*(?:(?:>>>|\.\.\.) )?)import launch$',
    re.MULTILINE,
)


_INIT = """\
\"\"\"Quatrain: a pure functional training core for TensorFlow.\"\"\"

__version__ = '{version}'
"""


class BuildPy(build_py.build_py):
  """Copies modules, with imports of each other below `quatrain`."""

  def run(self) -> None:
    """Adds the package that holds the others, with the version."""
    super().run()
    path = pathlib.Path(self.build_lib, 'quatrain', '__init__.py')
    version = self.distribution.get_version()
    path.write_text(_INIT.format(version=version))

  def build_module(
      self, module: str, module_file: str, package: str
  ) -> tuple[str, bool]:
    """Copies one module."""
    copy, copied = super().build_module(module, module_file, package)
    path = pathlib.Path(copy)
    path.write_text(_IMPORT.sub(_below_quatrain, path.read_text()))
    return copy, copied


def _below_quatrain(found: re.Match) -> str:
  """Returns the beginning of an import, below `quatrain`."""
  if found[1] is None:
    return f'{found[2]}from quatrain import launch'
  return f'{found[1]}quatrain.'


setuptools.setup(cmdclass={'build_py': BuildPy})
