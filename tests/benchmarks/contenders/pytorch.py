"""PyTorch: batches gathered by index from memory, the fused optimizer.

Variants:

- `eager`: no compilation.
- `channels_last`: the same with images and filters in that layout.
- `compiled`: network and loss under `torch.compile`, forward and backward; on a
  GPU channels_last and with CUDA graphs.

bfloat16 is autocast. On a CPU, start it with OMP_WAIT_POLICY=passive, as the
driver does: OpenMP's threads wait for each other by spinning otherwise, and any
other process that takes a core costs a factor of 20.
"""

from __future__ import annotations

import os

import torch
from torch import nn

from tests.benchmarks import cases, protocol


def _init(module: nn.Module) -> None:
  """Draws the weights as the cases say."""
  if isinstance(module, (nn.Conv2d, nn.Linear)):
    fan_in = module.weight[0].numel()
    scale = 2.0 if isinstance(module, nn.Conv2d) else 1.0
    # What the truncation at two deviations takes from the variance.
    std = (scale / fan_in) ** 0.5 / 0.87962566103423978
    nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
    if module.bias is not None:
      nn.init.zeros_(module.bias)


def _norm(filters: int) -> nn.BatchNorm2d:
  return nn.BatchNorm2d(
      filters, cases.NORM_EPSILON, momentum=1 - cases.NORM_MOMENTUM
  )


def _bare(inputs: int, filters: int, size: int, stride: int = 1) -> nn.Conv2d:
  return nn.Conv2d(inputs, filters, size, stride, padding=size // 2, bias=False)


class _Block(nn.Module):
  """A pre-activation block."""

  def __init__(self, inputs: int, filters: int, stride: int):
    super().__init__()
    self.norms = nn.ModuleList([_norm(inputs), _norm(filters)])
    self.convolutions = nn.ModuleList(
        [_bare(inputs, filters, 3, stride), _bare(filters, filters, 3)]
    )
    changes = stride != 1 or inputs != filters
    self.shortcut = _bare(inputs, filters, 1, stride) if changes else None

  def forward(self, inputs: torch.Tensor) -> torch.Tensor:
    x = nn.functional.relu(self.norms[0](inputs))
    skip = inputs if self.shortcut is None else self.shortcut(x)
    x = self.convolutions[0](x)
    return skip + self.convolutions[1](nn.functional.relu(self.norms[1](x)))


class _Average(nn.Module):
  """The mean over height and width."""

  def forward(self, inputs: torch.Tensor) -> torch.Tensor:
    return inputs.mean((2, 3))


def _network(case: cases.Case) -> nn.Sequential:
  """Builds the network; convolutions come before the dense layers."""
  modules: list[nn.Module] = []
  side, _, channels = cases.IMAGE_SHAPE
  for kind, *sizes in case.layers:
    if kind == 'conv':
      padding = 1 if sizes[1] == 'SAME' else 0
      modules.append(nn.Conv2d(channels, sizes[0], 3, padding=padding))
      channels, side = sizes[0], side - 2 + 2 * padding
    elif kind == 'stem':
      modules.append(_bare(channels, sizes[0], 3))
      channels = sizes[0]
    elif kind == 'block':
      modules.append(_Block(channels, *sizes))
      channels, side = sizes[0], -(-side // sizes[1])
    elif kind == 'norm':
      modules.append(_norm(channels))
    elif kind == 'relu':
      modules.append(nn.ReLU())
    elif kind == 'pool':
      modules.append(nn.MaxPool2d(2))
      side //= 2
    elif kind == 'average':
      modules.append(_Average())
    elif kind == 'flatten':
      modules.append(nn.Flatten())
      channels *= side * side
    elif kind == 'dense':
      modules.append(nn.Linear(channels, sizes[0]))
      channels = sizes[0]
  model = nn.Sequential(*modules)
  model.apply(_init)
  return model


def _optimizer(run: protocol.Run, model: nn.Module) -> torch.optim.Optimizer:
  rate = run.case.learning_rate
  if run.case.optimizer == 'nesterov':
    return torch.optim.SGD(
        model.parameters(), rate, momentum=0.9, nesterov=True, fused=True
    )
  return torch.optim.Adam(model.parameters(), rate, fused=True)


def _device(run: protocol.Run) -> torch.device:
  """Chooses the device and how products are computed on it."""
  torch.manual_seed(run.seed)
  exact = run.precision == 'float32'
  torch.set_float32_matmul_precision('highest' if exact else 'high')
  torch.backends.cudnn.allow_tf32 = not exact
  torch.backends.cudnn.benchmark = True
  torch.set_flush_denormal(True)  # As TensorFlow and XLA do.
  if torch.cuda.is_available():
    return torch.device('cuda')
  # Every core that the process may use: PyTorch would count physical ones.
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  return torch.device('cpu')


def main() -> None:
  """Trains, scores, prints."""
  run = protocol.start()
  case = run.case
  device = _device(run)
  on_gpu = device.type == 'cuda'
  last = run.variant == 'channels_last' or (
      run.variant == 'compiled' and on_gpu and case.has_convolutions
  )
  layout = torch.channels_last if last else torch.contiguous_format
  model = _network(case).to(device, memory_format=layout)
  optimizer = _optimizer(run, model)

  def tensors(split: protocol.Split) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.from_numpy(split.scaled()).permute(0, 3, 1, 2)
    labels = torch.from_numpy(split.labels).long()
    return images.to(device, memory_format=layout), labels.to(device)

  def forward(
      images: torch.Tensor, labels: torch.Tensor
  ) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.autocast(
        device.type, torch.bfloat16, enabled=run.precision == 'bfloat16'
    ):
      logits = model(images)
    loss = nn.functional.cross_entropy(
        logits.float(), labels, label_smoothing=case.label_smoothing
    )
    return loss, (logits.detach().argmax(1) == labels).sum()

  train_forward = forward
  if run.variant == 'compiled':
    train_forward = torch.compile(
        forward, mode='reduce-overhead' if on_gpu else 'default'
    )
  images, labels = tensors(run.train)
  rates = iter(run.learning_rates)
  for _ in run.epochs():
    model.train()
    loss_sum = torch.zeros([], device=device)
    hits_sum = torch.zeros([], dtype=torch.long, device=device)
    order = torch.randperm(len(labels), device=device)
    for rows in order.view(run.num_steps, case.batch_size):
      if case.schedule != 'constant':
        optimizer.param_groups[0]['lr'] = next(rates)
      loss, hits = train_forward(
          images.index_select(0, rows), labels.index_select(0, rows)
      )
      optimizer.zero_grad(set_to_none=True)
      loss.backward()
      optimizer.step()
      loss_sum += loss.detach()
      hits_sum += hits
      if run.is_first_step:
        float(loss_sum)
        run.end_step()
    if on_gpu:
      torch.cuda.synchronize()
    run.end_epoch(float(loss_sum) / run.num_steps, int(hits_sum) / len(labels))

  model.eval()
  images, labels = tensors(run.test)
  with torch.inference_mode():
    hits = sum(
        forward(*batch)[1]
        for batch in zip(
            images.split(protocol.EVAL_BATCH_SIZE),
            labels.split(protocol.EVAL_BATCH_SIZE),
        )
    )
  run.finish(
      accuracy=int(hits) / len(labels),
      num_parameters=sum(p.numel() for p in model.parameters()),
      device=torch.cuda.get_device_name() if on_gpu else 'cpu',
      versions={'torch': torch.__version__},
  )


if __name__ == '__main__':
  main()
