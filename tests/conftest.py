"""Configures the devices before any test module is imported."""

import os

# A JAX operation on a machine with a GPU would take most of its memory.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

from tests import virtual_devices  # noqa: F401
