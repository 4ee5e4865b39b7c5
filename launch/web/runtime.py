"""The browser build of onnxruntime, cached from its npm package."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import tarfile
from collections.abc import Mapping

from core import scratch

from .. import programs
from ..files import whole_files
from ..machine import compilation_cache

PACKAGE = 'onnxruntime-web'
VERSION = '1.30.0'
# The files used by the page, and their SHA-256.
FILES = {
    'ort.wasm.bundle.min.mjs': (
        '11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90'
    ),
    'ort-wasm-simd-threaded.wasm': (
        '3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2'
    ),
}
_TIMEOUT_S = 300


def default_folder() -> pathlib.Path:
  """Returns the folder of the files in the user's cache folder."""
  caches = pathlib.Path(compilation_cache.default_folder()).parent
  return caches / f'{PACKAGE}-{VERSION}'


def files(directory: str | None = None) -> Mapping[str, bytes]:
  """Reads the files; npm downloads them if they are not cached.

  Args:
    directory: A folder with the files, in any version that the user trusts.
      Default: the cache, whose files must match the hashes in `FILES`.

  Returns:
    The contents by name.

  Raises:
    UserError: If a file is missing and cannot be downloaded.
  """
  folder = pathlib.Path(directory) if directory else default_folder()
  found = _read(folder)
  if directory:
    if missing := sorted(set(FILES) - set(found)):
      raise programs.UserError(
          f'--web_runtime_dir={directory}: there is no {missing[0]}; name '
          f'the folder `dist` of the npm package {PACKAGE}.'
      )
    return found
  if not _are_right(found):
    found = _downloaded()
    with contextlib.suppress(OSError):  # A read-only cache is skipped.
      os.makedirs(folder, exist_ok=True)
      for name, contents in found.items():
        with whole_files.replacing(folder / name) as temporary:
          temporary.write_bytes(contents)
  return found


def _read(folder: pathlib.Path) -> dict[str, bytes]:
  paths = [folder / name for name in FILES]
  return {path.name: path.read_bytes() for path in paths if path.is_file()}


def _are_right(found: Mapping[str, bytes]) -> bool:
  hashed = {n: hashlib.sha256(each).hexdigest() for n, each in found.items()}
  return hashed == FILES


def _downloaded() -> dict[str, bytes]:
  """Downloads the package and returns its files.

  Raises:
    UserError: If npm is missing or cannot download the package.
  """
  remedy = (
      f'download {PACKAGE} {VERSION} yourself and name its folder `dist` with '
      '--web_runtime_dir.'
  )
  if (npm := shutil.which('npm')) is None:
    raise programs.UserError(
        f'--formats=web: npm is needed for {PACKAGE} and is not installed; '
        f'{remedy}'
    )
  with scratch.folder('quatrain-web-') as made:
    try:
      subprocess.run(
          [npm, 'pack', '--silent', f'{PACKAGE}@{VERSION}'],
          cwd=made,
          check=True,
          capture_output=True,
          timeout=_TIMEOUT_S,
          text=True,
      )
      [archive] = made.glob('*.tgz')
      found = _unpacked(archive)
    except (
        subprocess.SubprocessError,
        OSError,
        ValueError,
        KeyError,
        tarfile.TarError,
    ) as error:
      said = (getattr(error, 'stderr', None) or str(error)).strip()
      raise programs.UserError(
          f'--formats=web: npm cannot download {PACKAGE} '
          f'({said.splitlines()[0] if said else type(error).__name__}); '
          f'{remedy}'
      ) from None
  if not _are_right(found):
    raise programs.UserError(
        f'--formats=web: the {PACKAGE} {VERSION} from npm does not have the '
        f'expected hashes; {remedy}'
    )
  return found


def _unpacked(archive: pathlib.Path) -> dict[str, bytes]:
  with tarfile.open(archive) as packed:
    found = {}
    for name in FILES:
      file = packed.extractfile(f'package/dist/{name}')
      assert file is not None
      found[name] = file.read()
    return found
