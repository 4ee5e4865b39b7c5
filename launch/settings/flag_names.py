"""Suggestions for unknown flags."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from absl import flags

from . import command_line

# absl's own flags, which are never suggested.
_OF_ABSL = frozenset(flags.FLAGS)
# Our flags, and their names in other libraries. Names without a counterpart
# are explained in `_MEANINGS`.
_ALSO_CALLED = {
    'checkpoint': 'checkpoint_path ckpt ckpt_path load weights',
    'checkpoint_every_steps': (
        'checkpoint_every checkpoint_freq checkpoint_interval save_every '
        'save_every_steps save_freq save_interval save_steps'
    ),
    'class_weights': 'class_weight label_weights pos_weight weights_per_class',
    'clip_global_norm': (
        'clip clip_grad clip_grad_norm clip_gradients clip_norm clipnorm '
        'global_clipnorm grad_clip gradient_clip gradient_clip_val '
        'grad_clip_norm max_grad_norm max_norm'
    ),
    'compilation_cache_dir': 'cache cache_dir jax_compilation_cache_dir',
    'data_dir': (
        'data data_path data_root datadir dataset_dir dataset_path root '
        'tfds_data_dir train_dir'
    ),
    'dataset': 'data_set dataset_name ds task_name',
    'ema_decay': 'ema ema_rate model_ema polyak weight_averaging',
    'eval_every_epochs': (
        'eval_every eval_freq eval_interval eval_steps evaluate_every '
        'val_every val_freq validate_every validation_freq'
    ),
    'flagfile': 'cfg conf config config_file recipe',
    'formats': 'format',
    'global_batch_size': (
        'batch batch_size batchsize bs bsz per_device_train_batch_size '
        'total_batch_size train_batch_size'
    ),
    'image_size': (
        'crop_size im_size img_size imgsz input_size resize resolution size'
    ),
    'init_from': (
        'checkpoint_path ckpt ckpt_path finetune_from from_pretrained '
        'init_checkpoint initial_checkpoint load load_from load_weights '
        'pretrained pretrained_model pretrained_path pretrained_weights '
        'restore restore_from warm_start weights'
    ),
    'jit_compile': 'compile torch_compile use_xla xla',
    'keep_checkpoints': (
        'checkpoints_total_limit keep keep_checkpoint_max max_to_keep '
        'save_total_limit'
    ),
    'l1_penalty': 'l1 l1_reg lasso',
    'l2_penalty': 'l2 l2_reg l2_regularization regularization',
    'label_smoothing': 'smoothing',
    'learning_rate': 'alpha base_lr initial_lr lr max_lr peak_lr step_size',
    'log_every_steps': (
        'log_every log_every_n_steps log_freq log_interval log_steps '
        'logging_steps print_freq'
    ),
    'loss': 'criterion loss_fn loss_function objective',
    'max_shift': 'crop pad random_crop shift translate translation',
    'model': 'arch architecture backbone model_name net network',
    'normalize': 'normalise normalization standardize',
    'num_epochs': 'epoch epochs max_epochs n_epochs nepochs num_train_epochs',
    'num_steps': (
        'iterations iters max_iter max_iters max_steps max_train_steps niter '
        'num_iterations num_train_steps steps total_steps train_steps '
        'training_steps'
    ),
    'num_virtual_devices': 'host_device_count num_cpu_devices virtual_devices',
    'optimizer': 'opt optim optimiser',
    'output_dir': 'out outdir output out_dir',
    'precision': (
        'amp bf16 dtype fp16 half half_precision mixed_precision use_amp'
    ),
    'random_erasing': 'cutout erasing re_prob reprob',
    'random_flip': 'hflip horizontal_flip mirror',
    'resident_gb': 'cache_dataset cache_gb in_memory memory_budget',
    'schedule': (
        'decay_schedule lr_decay lr_policy lr_schedule lr_scheduler '
        'lr_scheduler_type sched scheduler'
    ),
    'seed': 'manual_seed random_seed rng rng_seed',
    'split': 'subset',
    'steps_per_loop': 'iterations_per_loop steps_per_execution',
    'strategy': (
        'dist distribute distributed distribution distribution_strategy '
        'strategy_name'
    ),
    'test_time_augmentation': 'tta',
    'validation_examples': (
        'num_validation num_validation_examples val_examples val_size '
        'val_split validation_size'
    ),
    'workdir': (
        'checkpoint_dir ckpt_dir exp_dir experiment_dir job_dir log_dir logdir '
        'logs model_dir out outdir out_dir output output_dir project resume '
        'resume_from results_dir run_dir save_dir save_path work_dir '
        'working_dir'
    ),
}
_MEANINGS = (
    (
        (
            'gpu gpus n_gpu ngpus num_gpus device devices accelerator cuda '
            'visible_devices'
        ),
        (
            'all GPUs are used; the environment variable CUDA_VISIBLE_DEVICES '
            'chooses, --strategy=one_device takes the first'
        ),
    ),
    (
        'nodes num_nodes num_workers workers world_size rank local_rank',
        'each worker is started with its TF_CONFIG, or all of them by `srun`',
    ),
    (
        (
            'momentum b1 b2 beta beta1 beta2 eps epsilon nesterov weight_decay'
            ' wd adam_beta1 adam_beta2'
        ),
        'it is an argument of the optimizer: --optimizer_arg=NAME=VALUE',
    ),
    (
        (
            'warmup warmup_epochs warmup_ratio warmup_steps warmup_fraction'
            ' gamma lr_gamma milestones decay_steps min_lr'
        ),
        (
            'it is an argument of the schedule, such as '
            '--schedule_arg=warmup_fraction=0.1'
        ),
    ),
    (
        (
            'dropout dropout_rate hidden hidden_size hidden_sizes depth width '
            'num_layers layers channels drop_rate'
        ),
        'it is an argument of the model: --model_arg=NAME=VALUE',
    ),
)
_MEANING_OF = {
    name: text for names, text in _MEANINGS for name in names.split()
}


def hint(name: str, known: Collection[str]) -> str:
  """Suggests what to use instead of an unknown flag.

  Args:
    name: The name of the flag.
    known: The names of the program's own flags.

  Returns:
    A sentence that begins with a space, or an empty string.
  """
  name = name.lower().replace('-', '_').partition(' ')[0]
  near = [
      ours
      for ours, others in _ALSO_CALLED.items()
      if ours in known and name in (ours, *others.split())
  ]
  # Only programs with --optimizer have the flags that these sentences name.
  if not near and name in _MEANING_OF and 'optimizer' in known:
    return f' Did you mean this: {_MEANING_OF[name]}?'
  near = near or difflib.get_close_matches(name, known, n=3, cutoff=0.7)
  near = near or sorted(each for each in known if name in each.split('_'))[:3]
  return f' Did you mean {" or ".join(f"--{n}" for n in near)}?' if near else ''


def is_of_others(name: str) -> bool:
  """Returns whether other libraries use this name for one of our flags."""
  return any(name in others.split() for others in _ALSO_CALLED.values())


def check_known(given: Sequence[command_line.Token]) -> None:
  """Checks that all given flags exist.

  Raises:
    flags.Error: If one does not. The message suggests similar flags.
  """
  ours = {'flagfile', 'help', 'version', *(set(flags.FLAGS) - _OF_ABSL)}
  for token in given:
    name = token.name
    if not name or name == 'undefok' or name in ours:
      continue
    # For example, absl's --log_dir would have no effect here.
    if name in flags.FLAGS and not is_of_others(name):
      continue
    if name.startswith('no') and name[2:] in flags.FLAGS:
      continue
    where = f'{token.source}: ' if token.source else ''
    raise flags.Error(
        f"{where}Unknown command line flag '{name}'.{hint(name, ours)}"
    )
