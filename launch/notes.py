"""Withholds the stderr output of libraries unless something fails."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def withheld(but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
  """Withholds what Python or native code prints on stderr in the block.

  After an error, the withheld output is printed.

  Args:
    but: Errors that explain themselves: nothing is printed after them.
  """
  with contextlib.ExitStack() as stack:
    kept = os.dup(2)
    stack.callback(os.close, kept)
    notes = stack.enter_context(tempfile.TemporaryFile())
    os.dup2(notes.fileno(), 2)
    try:
      yield
    except but:
      raise
    except Exception:
      notes.seek(0)
      os.write(kept, notes.read())
      raise
    finally:
      os.dup2(kept, 2)
