"""Workers for tests: processes of a program on this machine."""

from __future__ import annotations

import subprocess
import unittest
from collections.abc import Sequence
from typing import Any

import numpy as np

from launch import config as config_lib
from launch.cluster import members, ports
from tests.launch import runs


def start(
    workdir: Any,
    config: config_lib.Config,
    program: str = 'train',
    *,
    own: Sequence[Sequence[str]] = ((), ()),
) -> list[subprocess.Popen]:
  """Starts two workers, a process each.

  Args:
    workdir: The work directory.
    config: The config of `launch.train`; other programs take none.
    program: The program.
    own: Further flags of each worker.

  Returns:
    Their processes, the chief's first.
  """
  arguments = runs.arguments(config) if program == 'train' else []
  return [
      runs.start(
          program,
          *arguments,
          f'--workdir={workdir}',
          *flags,
          environment=environment,
      )
      for flags, environment in zip(own, environments(2), strict=True)
  ]


def environments(number: int) -> list[dict[str, str]]:
  """Returns the environment variables of each of several workers."""
  return [
      {members.VARIABLE: each.to_tf_config()}
      for each in members.on_this_machine(ports.free(number))
  ]


def assert_equal(test: unittest.TestCase, workdir: Any, one: Any) -> None:
  """Checks that workers gave what one process gives, to rounding.

  Args:
    test: The test.
    workdir: The work directory of the workers' run.
    one: That of the run of one process.
  """
  for row, same in zip(runs.rows(workdir), runs.rows(one), strict=True):
    test.assertEqual(row.keys(), same.keys())
    for name, value in same.items():
      if isinstance(value, float):
        np.testing.assert_allclose(row[name], value, rtol=1e-5, atol=1e-7)
      else:
        test.assertEqual(row[name], value, name)
  test.assertEqual(*(
      runs.result(each)['test']['confusion_matrix'] for each in (workdir, one)
  ))
