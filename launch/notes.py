"""What libraries print on stderr, withheld unless something fails."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def withheld(but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
  """Withholds what is printed on stderr meanwhile, by whatever language.

  Args:
    but: Errors that say enough themselves; after any other one, what was
      withheld is printed.
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
