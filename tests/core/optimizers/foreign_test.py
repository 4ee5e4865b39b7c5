"""Optimizers of other libraries are refused, with what to write instead."""

from __future__ import annotations

from typing import NamedTuple

import keras
import optax
import sonnet as snt
from absl.testing import absltest, parameterized

from core import optimizers
from core.optimizers import foreign


class _Own(NamedTuple):
  """A transformation that somebody made without this package."""

  init: object
  update: object


_PLACES = {
    'apply_if_finite': lambda value: optimizers.apply_if_finite(value, 1),
    'chain': lambda value: optimizers.chain(optimizers.sgd(0.1), value),
    'inject_hyperparams': lambda value: optimizers.inject_hyperparams(
        lambda: value
    )(),
    'lookahead': lambda value: optimizers.lookahead(value, 2, 0.5),
    'masked': lambda value: optimizers.masked(value, '.*'),
    'multi_steps': lambda value: optimizers.multi_steps(value, 2),
    'partition': lambda value: optimizers.partition({'.*': value}),
}


class ForeignTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ('keras', lambda: keras.optimizers.SGD(0.1), r'Keras; use .*\.sgd\('),
      ('keras_class', lambda: keras.optimizers.Nadam, r'Nadam.*\.nadam\('),
      ('keras_other', lambda: keras.optimizers.Ftrl(0.1), r'Keras.*\.adam\('),
      ('optax', lambda: optax.adam(0.1), r'from Optax; use optimizers\.'),
      ('optax_object', lambda: optax.MultiSteps(optax.sgd(0.1), 2), 'Optax'),
      ('sonnet', lambda: snt.optimizers.RMSProp(0.1), r'Sonnet.*\.rmsprop\('),
      ('factory', lambda: optimizers.lion, r'lion, not called.*\.lion\('),
      ('name', lambda: 'adamw', r"'adamw'; use optimizers\.adamw\("),
      ('none', lambda: None, r'NoneType; use optimizers\.adam\('),
      ('list', lambda: [optimizers.adam(0.1)], 'list; use'),
      ('type', lambda: optimizers.GradientTransformation, 'GradientTrans'),
  )
  def test_is_refused_wherever_one_is_taken(self, make, message):
    value = make()
    for name, place in _PLACES.items():
      with self.subTest(name), self.assertRaisesRegex(TypeError, message):
        place(value)
    with self.assertRaisesRegex(TypeError, f'^optimizer: .*{message}'):
      foreign.check_transformation('optimizer', value)

  def test_what_is_alike_will_do(self):
    sgd = optimizers.sgd(0.1)
    for value in (sgd, optimizers.chain(sgd), _Own(sgd.init, sgd.update)):
      foreign.check_transformation('optimizer', value)

  def test_names_are_public(self):
    self.assertContainsSubset(foreign.NAMES, optimizers.__all__)


if __name__ == '__main__':
  absltest.main()
