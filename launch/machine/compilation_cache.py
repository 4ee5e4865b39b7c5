"""Caches programs that XLA compiled, and counts compilations.

XLA reads and writes compiled programs in one folder, and does not report hits
or misses. So each process gets its own folder, with links to the cached
programs. Any other file in it was compiled by this process, and is then cached.
"""

from __future__ import annotations

import atexit
import contextlib
import glob
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import stat

from core import processor, scratch, xla_flags

from .. import programs

_PREFIX = 'quatrain-xla-'
_MAX_BYTES = 2**30  # A few thousand programs.
_SPACING = 2**18  # More tensors than usually exist between two traced loops.


def default_folder() -> str:
  """Returns the default folder, in the user's cache folder."""
  caches = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  return os.path.join(caches, 'quatrain', 'xla')


def _machine() -> str:
  """Returns a hash of everything that compiled programs depend on."""
  parts = [
      importlib.metadata.version('tensorflow'),
      platform.machine(),
      os.environ.get('XLA_FLAGS', ''),
  ]
  parts += sorted(processor.features())
  return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


class CompilationCache:
  """The compiled programs of this machine, and those of this process."""

  def __init__(self, folder: str, *, is_read_only: bool = False):
    """Sets XLA's folder for programs; TensorFlow must not be imported yet.

    If the folder is not writable, nothing is cached. If others can write into
    it, it is not used, with a warning.

    Args:
      folder: The folder of the cache. If empty, nothing is cached.
      is_read_only: Whether to use cached programs without adding any.
    """
    self._is_read_only = is_read_only
    stack = contextlib.ExitStack()
    atexit.register(stack.close)  # It stays to the end of the process.
    self._mine = stack.enter_context(scratch.folder(_PREFIX))
    open_kept = _find_kept if is_read_only else _make_kept
    self._kept = open_kept(folder) if folder else None
    for path in self._kept.glob('*.pb') if self._kept else ():
      if _is_whole(path):
        (self._mine / path.name).symlink_to(path)
    xla_flags.add(
        'tf_xla_persistent_cache_directory', self._mine, 'TF_XLA_FLAGS'
    )
    if self._kept and not is_read_only and glob.glob('/dev/nvidia*'):
      # Searching for the fastest kernels takes longer than compiling.
      tuned = self._kept / 'autotuned'
      with contextlib.suppress(OSError):
        tuned.mkdir(exist_ok=True)
      xla_flags.add('xla_gpu_per_fusion_autotune_cache_dir', tuned)

  def count(self) -> int:
    """Caches the programs compiled here; returns their number."""
    new = [path for path in self._mine.glob('*.pb') if not path.is_symlink()]
    if self._kept and not self._is_read_only:
      for path in new:
        _keep(path, self._kept / path.name)
    return len(new)


def prepare(
    batch_size: int, folder: str | None = None, *, is_read_only: bool = False
) -> CompilationCache:
  """Sets XLA up for a program; TensorFlow must not be imported yet.

  Args:
    batch_size: The number of examples per step.
    folder: The folder of the cache. If empty, nothing is cached. Default:
      `default_folder`.
    is_read_only: Whether to use cached programs without adding any.
  """
  # Before the cache, which depends on XLA's flags.
  xla_flags.tune_for_cpu(batch_size)
  return CompilationCache(
      default_folder() if folder is None else folder, is_read_only=is_read_only
  )


def align_names() -> None:
  """Makes the names of the functions that are traced next reproducible.

  XLA looks up a program by the names of its functions, which end in the number
  of tensors that this process has created. This number varies between starts,
  with what they restore and with the number of calls of the graph. So it is
  advanced to the next multiple of `_SPACING`.
  """
  try:
    from tensorflow.python import pywrap_tfe  # Not available publicly.

    count = pywrap_tfe.TFE_Py_UID
  except (ImportError, AttributeError):
    return  # Programs are then recompiled more often.
  while count() % _SPACING:
    pass


def _find_kept(folder: str) -> pathlib.Path | None:
  """Returns the folder of this machine, or None if it cannot be trusted."""
  try:
    kept = pathlib.Path(folder).expanduser().absolute() / _machine()
    return kept if all(map(_is_own, (kept.parent, kept))) else None
  except (OSError, RuntimeError):
    return None


def _make_kept(folder: str) -> pathlib.Path | None:
  """Creates the folder of this machine, or returns None if it is unusable."""
  try:
    kept = pathlib.Path(folder).expanduser().absolute() / _machine()
    kept.parent.mkdir(parents=True, exist_ok=True)
    for each in (kept.parent, kept):
      each.mkdir(mode=0o700, exist_ok=True)
      if not _is_own(each):
        programs.warn(
            f'{each} is not used for compiled programs: others may write '
            'there. Restrict its owner and permissions (chmod 700), or set '
            'another --compilation_cache_dir.'
        )
        return None
  except (OSError, RuntimeError):
    return None
  if not os.access(kept, os.W_OK):
    return None
  _prune(kept.parent)
  return kept


def _is_own(folder: pathlib.Path) -> bool:
  """Returns whether only this user can write into a folder.

  Compiled programs run without further checks, so others must not write them.
  """
  status = folder.stat()
  is_shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
  return status.st_uid == os.geteuid() and not is_shared


def _keep(path: pathlib.Path, target: pathlib.Path) -> None:
  """Copies a program atomically, as other processes may do the same."""
  if _is_whole(target):
    return
  unfinished = target.with_suffix(f'.{os.getpid()}')
  try:
    with open(unfinished, 'wb') as file:
      file.write(path.read_bytes())
      file.flush()
      # XLA fails on a truncated program, which a crash of the machine could
      # leave behind.
      os.fsync(file.fileno())
    unfinished.replace(target)
  except OSError:  # A full disk must not end a run.
    unfinished.unlink(missing_ok=True)


def _prune(folder: pathlib.Path) -> None:
  """Deletes the least recently read programs beyond `_MAX_BYTES`."""
  found = []
  for path in folder.glob('*/*.pb'):
    with contextlib.suppress(OSError):  # Other processes may delete as well.
      status = path.stat()
      found.append((status.st_atime, status.st_size, path))
  total = 0
  for _, size, path in sorted(found, reverse=True):
    total += size
    if total > _MAX_BYTES:
      with contextlib.suppress(OSError):
        path.unlink()


def _is_whole(path: pathlib.Path) -> bool:
  return path.exists() and path.stat().st_size > 0
