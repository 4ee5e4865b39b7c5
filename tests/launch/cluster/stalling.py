"""One of two workers, the other of which hangs: for stalls_test.

  python -m tests.launch.cluster.stalling WHO WHERE

WHO, 0 or 1, comes late to two sums, and to the last one never.
"""

from __future__ import annotations

import os
import sys
import time

TIMEOUT_S = 5.0
FOR_EVER_S = 900.0


def main() -> int:
  """Runs the worker; returns its exit code."""
  from launch import programs

  programs.import_tensorflow()
  import tensorflow as tf

  from core import waits, workers
  from launch.cluster import members as members_lib
  from launch.machine import together

  who, place = int(sys.argv[1]), sys.argv[2]
  members = members_lib.of_tf_config(os.environ[members_lib.VARIABLE])
  strategy = together.begin(members, {}, 200.0)
  workers.gather(strategy, [0])  # Traced once.

  def hangs(is_to_hang: bool = True) -> bool:
    time.sleep(FOR_EVER_S if is_to_hang else 0.0)
    return is_to_hang

  def reads(is_to_hang: bool) -> None:
    data = tf.data.Dataset.range(1).map(
        lambda _: tf.numpy_function(lambda: hangs(is_to_hang), [], tf.bool)
    )
    with waits.waiting():
      tf.function(lambda: next(iter(data)))()

  with together.lost_workers(strategy, TIMEOUT_S):
    for _ in range(2):
      time.sleep(0.3 * TIMEOUT_S * (members.index == who))
      workers.gather(strategy, [1])
    time.sleep(1.2 * TIMEOUT_S)  # What is slow on all of them.
    workers.gather(strategy, [1])
    print('so far', flush=True)
    if place == 'data':
      reads(members.index == who)
    elif members.index == who:
      hangs()
    workers.gather(strategy, [1])
  return 0


if __name__ == '__main__':
  from launch import programs

  sys.exit(programs.call(main))
