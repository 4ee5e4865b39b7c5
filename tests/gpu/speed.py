"""How long the recipes train; the peers of `tests.benchmarks`."""

from __future__ import annotations

from collections.abc import Iterator

from tests.gpu import answers, making, trace

_RECIPES = {
    'mlp': {},
    'convnet': {},
    'convnet, auto': {'precision': 'auto'},
}
_MODELS = ('resnet', 'vit')
_PROFILED = ('speedrun', {'profile_steps': '60:80'}, 20)


def ask(workshop: making.Workshop) -> Iterator[answers.Answer]:
  """Trains the recipes on Fashion-MNIST, one at a time.

  Args:
    workshop: What makes runs.

  Yields:
    Seconds of training, examples per second and the test accuracy.
  """
  for seed in range(workshop.num_seeds):
    yield _answer(workshop, 'speedrun', f'seed {seed}', {'seed': str(seed)})
  yield _answer(
      workshop, 'speedrun', 'not deterministic', {'deterministic': 'false'}
  )
  name, flags, num_steps = _PROFILED
  job = _recipe(name, 'traced', flags)
  (made,) = workshop.make([job], alone=True)
  yield answers.Answer(
      job.name,
      trace.summary(made.run, num_steps) if made.code == 0 else made.failure(),
      made.code == 0,
  )
  for name, flags in _RECIPES.items():
    recipe = name.partition(',')[0]
    yield _answer(workshop, recipe, name, flags)
  for model in _MODELS:
    job = making.Job(
        f'speed/{model}',
        'launch.train',
        tuple(
            {
                'dataset': 'fashion_mnist',
                'model': model,
                'num_epochs': '2',
                'global_batch_size': '512',
                'precision': 'auto',
            }.items()
        ),
        (),
    )
    yield _timed(job, *workshop.make([job], alone=True))


def ask_peers(workshop: making.Workshop) -> Iterator[answers.Answer]:
  """Runs the race of `tests.benchmarks` in bfloat16.

  Args:
    workshop: What makes runs.

  Yields:
    What its report says.
  """
  results = workshop.folder / 'peers.json'
  flags = {
      'out': str(results),
      'rounds': '1',
      'precisions': 'bfloat16',
      'pythons': ','.join(workshop.pythons),
  }
  if workshop.data_dir:
    flags['data_dir'] = workshop.data_dir
  job = making.Job(
      'peers', 'tests.benchmarks', making.arguments(flags), (), timeout_s=540
  )
  (made,) = workshop.make([job], alone=True)
  yield answers.Answer(job.name, made.failure(), made.code == 0)


def _recipe(recipe: str, name: str, flags: dict[str, str]) -> making.Job:
  path = f'launch/recipes/fashion_mnist_{recipe}.flags'
  return making.Job(
      f'speed/{recipe}, {name}',
      'launch.train',
      (f'--flagfile={path}', *making.arguments(flags)),
      (),
  )


def _answer(
    workshop: making.Workshop, recipe: str, name: str, flags: dict[str, str]
) -> answers.Answer:
  job = _recipe(recipe, name, flags)
  return _timed(job, *workshop.make([job], alone=True))


def _timed(job: making.Job, made: making.Made) -> answers.Answer:
  if made.code != 0:
    return answers.Answer(job.name, made.failure(), False)
  result = made.result()
  return answers.Answer(
      job.name,
      f'{result["train_seconds"]} s of training, {made.seconds:.1f} s in all, '
      f'{result["examples_per_second"]:.0f} examples/s, {made.score()}',
      True,
  )
