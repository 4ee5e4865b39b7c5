"""Who takes part, in which environment, and who need not start where."""

from __future__ import annotations

from typing import NamedTuple

from core import processor
from tests.benchmarks import cases


class Contender(NamedTuple):
  """A way to train.

  Attributes:
    title: What a reader calls it.
    module: The module of `tests.benchmarks.contenders`.
    variant: What is passed as `--variant`.
    environment: The environment that it runs in.
    variables: Environment variables that it needs.
  """

  title: str
  module: str
  variant: str
  environment: str
  variables: dict[str, str] = {}  # noqa: RUF012 It is not changed.

  @property
  def is_ours(self) -> bool:
    """Whether it is Quatrain."""
    return self.module.startswith('quatrain')

  @property
  def is_peer(self) -> bool:
    """Whether it trains, and is not Quatrain."""
    return not self.is_ours and self.module != 'products'


# Off by default on CPUs with AVX2 alone, where it is the faster one.
_ONEDNN = {'TF_ENABLE_ONEDNN_OPTS': '1'}
_TF = {'KERAS_BACKEND': 'tensorflow', **_ONEDNN}
_JAX = {'KERAS_BACKEND': 'jax'}
# Threads that wait by spinning halt PyTorch as soon as a core is shared.
_TORCH = {'OMP_WAIT_POLICY': 'passive'}

BASELINE = 'notebook'
CONTENDERS = {
    BASELINE: Contender(
        'Notebook: Keras model, tape, a tf.function a step',
        'notebook',
        'default',
        'tensorflow',
        {'KERAS_BACKEND': 'tensorflow'},
    ),
    'keras_tf': Contender(
        'Keras fit on TensorFlow, defaults',
        'keras_fit',
        'default',
        'tensorflow',
        _TF,
    ),
    'keras_tf_epoch': Contender(
        'Keras fit on TensorFlow, one call an epoch, no XLA',
        'keras_fit',
        'epoch',
        'tensorflow',
        _TF,
    ),
    'keras_tf_epoch_uint8': Contender(
        'Keras fit on TensorFlow, one call an epoch, no XLA, bytes',
        'keras_fit',
        'epoch_uint8',
        'tensorflow',
        _TF,
    ),
    'keras_tf_epoch_jit': Contender(
        'Keras fit on TensorFlow, one call an epoch, XLA',
        'keras_fit',
        'epoch_jit',
        'tensorflow',
        _TF,
    ),
    'keras_jax': Contender(
        'Keras fit on JAX, defaults', 'keras_fit', 'default', 'jax', _JAX
    ),
    'keras_jax_epoch': Contender(
        'Keras fit on JAX, one call an epoch',
        'keras_fit',
        'epoch_jit',
        'jax',
        _JAX,
    ),
    'sonnet_step': Contender(
        'Sonnet, a tf.function a step',
        'sonnet_loop',
        'step',
        'tensorflow',
        _ONEDNN,
    ),
    'sonnet_epoch': Contender(
        'Sonnet, a tf.function an epoch',
        'sonnet_loop',
        'epoch',
        'tensorflow',
        _ONEDNN,
    ),
    'sonnet_epoch_jit': Contender(
        'Sonnet, a tf.function an epoch, its step in XLA',
        'sonnet_loop',
        'epoch_jit',
        'tensorflow',
        _ONEDNN,
    ),
    'flax_step': Contender(
        'Flax and Optax, jit a step', 'flax_scan', 'step', 'jax'
    ),
    'flax_scan': Contender(
        'Flax and Optax, scan over the epoch', 'flax_scan', 'scan', 'jax'
    ),
    'flax_scan_tuned': Contender(
        "Flax and Optax, scan over the epoch, with Quatrain's flags for XLA",
        'flax_scan',
        'scan_tuned',
        'jax',
    ),
    'pytorch': Contender(
        'PyTorch eager, fused optimizer', 'pytorch', 'eager', 'torch', _TORCH
    ),
    'pytorch_channels_last': Contender(
        'PyTorch eager, fused optimizer, channels last',
        'pytorch',
        'channels_last',
        'torch',
        _TORCH,
    ),
    'pytorch_compiled': Contender(
        'PyTorch compiled, fused optimizer',
        'pytorch',
        'compiled',
        'torch',
        _TORCH,
    ),
    'quatrain_streaming': Contender(
        'Quatrain, data streamed', 'quatrain_core', 'streaming', 'tensorflow'
    ),
    'quatrain': Contender(
        'Quatrain', 'quatrain_core', 'resident', 'tensorflow'
    ),
    'quatrain_program': Contender(
        'Quatrain, `launch.train`', 'quatrain_launch', 'program', 'tensorflow'
    ),
    'quatrain_recipe': Contender(
        'Quatrain, `launch.train` with the recipe fashion_mnist_cpu',
        'quatrain_launch',
        'recipe',
        'tensorflow',
    ),
    'products': Contender(
        'No training: the products and convolutions alone',
        'products',
        'default',
        'tensorflow',
    ),
}


def refusal(
    name: str, case: cases.Case, precision: str, has_gpu: bool
) -> str | None:
  """Says why a contender is not started unless it is asked for by name.

  Args:
    name: The contender.
    case: The case.
    precision: The precision of the campaign.
    has_gpu: Whether there is a GPU.

  Returns:
    The reason, for the report; None if it starts.
  """
  contender = CONTENDERS[name]
  if contender.module == 'sonnet_loop' and precision == 'bfloat16':
    return 'Sonnet has no mixed precision with batch norm'
  is_half = has_gpu or processor.multiplies_in('bfloat16')  # As `auto` is.
  if contender.variant == 'recipe' and (
      not case.is_race or is_half != (precision == 'bfloat16')
  ):
    return 'the recipe is of another network, or another precision here'
  if contender.module == 'products' and case.is_race:
    return 'it comes to no score'
  if contender.variant == 'program' and case.has_convolutions:
    return 'it is timed on the MLP; its other models are other networks'
  if contender.variant == 'channels_last' and not case.has_convolutions:
    return 'there are no channels'
  if contender.variant == 'scan_tuned' and has_gpu:
    return 'the flags are about CPUs'
  is_scan = contender.variant.startswith('scan')
  if is_scan and case.has_convolutions and not has_gpu:
    return (
        'on a CPU, XLA computes convolutions in a loop on one thread and '
        'without a library: `flax_step` is the faster one by far'
    )
  return None
