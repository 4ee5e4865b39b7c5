"""Programs, such as `python -m launch.train`, and runs from one's own.

In a program of one's own `run(task, dataset, config)` trains, and `load(run)`
gives a trained run; `Config` has the options. TensorFlow is imported when one
of them is first used, and no flag is defined.
"""

import glob
import os
import sys
from typing import Any

from core import processor

from . import aliases, interruption

# While Python looks for a program of ours, and imports what it needs, the first
# argument is this. Whoever imports the package keeps their signals.
_is_module = sys.argv[:1] == ['-m'] and any(
    argument.startswith(f'{__name__}.') for argument in sys.orig_argv
)
if _is_module or os.path.basename(sys.argv[0]).startswith('quatrain-'):
  interruption.leave_at_once()

if __name__ == 'launch':
  aliases.install()

# Set before TensorFlow is imported. Without a GPU it reports each missing CUDA
# library as an error; with one, its errors are the user's business.
os.environ.setdefault(
    'TF_CPP_MIN_LOG_LEVEL', '2' if glob.glob('/dev/nvidia*') else '3'
)
# A JAX operation (chex knows JAX) would claim most of the GPU's memory.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
processor.use_onednn()


def __getattr__(name: str) -> Any:
  """Returns what of `library` is a name of this package."""
  if name not in ('Config', 'Loaded', 'Result', 'load', 'run'):
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  try:
    from . import library
  except ModuleNotFoundError as error:
    from . import about

    error.msg += about.how_to_get(error.name)
    raise
  return getattr(library, name)
