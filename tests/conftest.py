"""Configures the devices before any test module is imported."""

import gc
import os

import pytest

# A JAX operation on a machine with a GPU would take most of its memory.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

from core import processor, xla_flags

# Once and for all: XLA reads them once a process, and a program that a test
# starts must compute what the test's own process does.
processor.use_onednn()
xla_flags.tune_for_cpu(batch_size=64)

from tests import virtual_devices  # noqa: E402, F401


@pytest.fixture(autouse=True, scope='module')
def _collected():
  """Collects the graphs of a module's tests, once they are not needed.

  The rest stays out of later collections, which would go through all that a
  process has traced.
  """
  yield
  gc.collect()
  gc.freeze()
