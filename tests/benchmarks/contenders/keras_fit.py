"""Keras' own loop, `Model.fit`, on TensorFlow or on JAX (KERAS_BACKEND).

Variants:

- `default`: what `compile` and `fit` do by themselves.
- `epoch`: an epoch in one call (`steps_per_execution`), without XLA.
- `epoch_uint8`: the same of bytes, which the network rescales: less memory.
- `epoch_jit`: as `epoch`, with XLA.
"""

from __future__ import annotations

import importlib
from typing import Any

import keras

from tests.benchmarks import protocol
from tests.benchmarks.contenders import keras_network

_BACKENDS = {
    'tensorflow': 'tests.benchmarks.contenders.tensorflow_device',
    'jax': 'tests.benchmarks.contenders.jax_device',
}


class _Clock(keras.callbacks.Callback):
  """Reports steps and epochs to the run."""

  def __init__(self, run: protocol.Run, has_steps: bool):
    super().__init__()
    self._run = run
    self._has_steps = has_steps

  def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
    self._run.start_epoch()

  def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
    if self._has_steps and self._run.is_first_step:
      float(logs['loss'])  # Waits for the device.
      self._run.end_step()

  def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
    self._run.end_epoch(float(logs['loss']), float(logs['accuracy']))


def _options(run: protocol.Run) -> dict[str, Any]:
  if run.variant == 'default':
    return {}
  return {
      'jit_compile': run.variant == 'epoch_jit',
      'steps_per_execution': run.num_steps,
  }


def main() -> None:
  """Trains, scores, prints."""
  run = protocol.start()
  case = run.case
  backend = keras.backend.backend()
  device = importlib.import_module(_BACKENDS[backend])
  device.setup(run)
  keras_network.setup(run)
  is_uint8 = run.variant == 'epoch_uint8'
  model = keras_network.network(case, rescale=is_uint8)
  model.compile(
      optimizer=keras_network.optimizer(run),
      loss=keras_network.loss(case),
      metrics=[keras_network.accuracy(case)],
      **_options(run),
  )
  model.fit(
      run.train.images if is_uint8 else run.train.scaled(),
      keras_network.targets(case, run.train.labels),
      batch_size=case.batch_size,
      epochs=case.num_epochs,
      verbose=0,
      callbacks=[_Clock(run, run.variant == 'default')],
  )
  if run.variant != 'default':
    # `evaluate` must not be made to wait for as many steps as an epoch has.
    model.steps_per_execution = 1
  scores = model.evaluate(
      run.test.images if is_uint8 else run.test.scaled(),
      keras_network.targets(case, run.test.labels),
      batch_size=protocol.EVAL_BATCH_SIZE,
      verbose=0,
      return_dict=True,
  )
  module = importlib.import_module(backend)
  run.finish(
      accuracy=scores['accuracy'],
      num_parameters=keras_network.num_parameters(model),
      device=device.name(),
      versions={'keras': keras.__version__, backend: module.__version__},
  )


if __name__ == '__main__':
  main()
