"""Baselines of the benchmark: torch, Captum, pytorch-grad-cam and foolbox.

All use the weights and images of vizlab. Weights require no gradients, as in
vizlab: pytorch-grad-cam calls ``backward``, which would compute all of them.
"""

import copy
import functools
import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from vizlab import nets

__all__ = [
  'Work',
  'calls',
  'cam_library',
  'imported',
  'of_model',
  'relevance_library',
  'torch_vgg16',
  'usual_calls',
]

Calls = dict[str, Callable[[], Any]]


class Work(NamedTuple):
  """Settings of the tasks, the same for every library.

  Attributes:
    patch: Side of the occluder in pixels.
    stride: Stride of the occluder in pixels.
    samples: Samples of SmoothGrad, steps of Integrated Gradients.
    chunk: Images at once in methods that run the network many times.
    captum_chunk: Images at once in Captum's sampling methods.
    sigma: Noise of SmoothGrad as a fraction of the image's range.
    target: Index of the logit to explain.
    layer: Layer of the class activation maps in vizlab.
    place: Index of that layer in torch's modules.
    steps: Steps of feature visualization.
    rate: Learning rate of Adam in feature visualization.
    excited: Layer of the visualized channel.
    depth: Number of torch's modules up to that layer.
    epsilon: Radius of the attack.
    attack_steps: Steps of the attack.
  """

  patch: int = 32
  stride: int = 16
  samples: int = 32
  chunk: int = 16
  captum_chunk: int = 8  # 16 and 32 were not faster, on 2 cores at 224 px
  sigma: float = 0.15
  target: int = 243
  layer: str = 'relu5_3'
  place: int = 29
  steps: int = 4
  rate: float = 0.02
  excited: str = 'relu4_1'
  depth: int = 19
  epsilon: float = 2 / 255
  attack_steps: int = 20


def calls(net: nets.Network, x: np.ndarray, work: Work) -> dict[str, Calls]:
  """Returns the baselines ``{task: {contender: call}}`` that are installed.

  Args:
    net: A VGG-16 without preprocessing.
    x: Preprocessed images ``[N, H, W, 3]``.
    work: Settings of the tasks.
  """
  # pytorch-grad-cam's Score-CAM draws progress bars; tqdm reads this on import.
  os.environ.setdefault('TQDM_DISABLE', '1')
  torch = imported('torch')
  if torch is None:
    return {}
  model = torch_vgg16(torch, net)
  # So that the gradient is propagated back to the layer but to no weight.
  model[work.place - 1].bias.requires_grad_()
  tasks: dict[str, Calls] = {}
  for suffix, layout in (
    ('', torch.contiguous_format),
    (' channels_last', torch.channels_last),
  ):
    laid = copy.deepcopy(model).to(memory_format=layout)
    images = torch.tensor(x.transpose(0, 3, 1, 2).copy())
    images = images.contiguous(memory_format=layout)
    for task, peer, call in of_model(torch, laid, images, work):
      tasks.setdefault(task, {})[peer + suffix] = call
  return tasks


def of_model(
  torch: Any, model: Any, images: Any, work: Work
) -> Iterator[tuple[str, str, Callable[[], Any]]]:
  """Yields task, contender and call of the peers that are installed.

  Args:
    torch: The package.
    model: Made by `torch_vgg16`.
    images: ``[N, 3, H, W]``, with the model's dtype and device.
    work: Settings of the tasks.
  """
  yield from _torch_calls(torch, model, images, work)
  if captum := imported('captum.attr'):
    yield from _captum_calls(captum, model, images, work)
  if cams := cam_library():
    yield from _cam_calls(cams, model, images, work)
  if foolbox := imported('foolbox'):
    yield from _foolbox_calls(foolbox, model, images, work)
  if zennit := relevance_library():
    yield from _zennit_calls(zennit, torch, model, images, work)


def cam_library() -> Any:
  """Imports pytorch-grad-cam; returns None if it is not installed."""
  _without_torchvision()
  return imported('pytorch_grad_cam')


def relevance_library() -> Any:
  """Imports zennit's composites; returns None if it is not installed."""
  _without_torchvision()
  return imported('zennit.composites')


class _Absent(types.ModuleType):
  """A module of classes without instances."""

  def __getattr__(self, name: str) -> type:
    """An empty class with any name."""
    if name.startswith('__'):
      raise AttributeError(name)
    return type(name, (), {})


def _without_torchvision() -> None:
  """Replaces torchvision if it is missing.

  Some peers import it for functions that no task calls.
  """
  if 'torchvision' in sys.modules or importlib.util.find_spec('torchvision'):
    return
  for name in (
    'torchvision',
    'torchvision.models',
    'torchvision.models.resnet',
    'torchvision.models.vgg',
    'torchvision.transforms',
    'torchvision.transforms.functional',
  ):
    sys.modules[name] = _Absent(name)


def torch_vgg16(torch: Any, net: nets.Network) -> Any:
  """Builds torchvision's VGG-16 with the weights of a network."""
  nn = torch.nn
  features, before = [], 3
  with torch.device('meta'):  # the weights are set below
    for depth, width in zip(
      (2, 2, 3, 3, 3), (64, 128, 256, 512, 512), strict=True
    ):
      for _ in range(depth):
        features += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
        before = width
      features.append(nn.MaxPool2d(2))
    head = [nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(25088, 4096)]
    head += [nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
  model = nn.Sequential(*features, *head)
  weighted = [module for module in model if hasattr(module, 'weight')]
  for module, (layer, params) in zip(
    weighted, nets.get_params(net).items(), strict=True
  ):
    kernel, bias = np.asarray(params['kernel']), np.array(params['bias'])
    if layer == 'fc6':  # torch flattens C, H, W
      kernel = kernel.reshape(49, 512, -1).swapaxes(0, 1).reshape(25088, -1)
    kernel = kernel.transpose((3, 2, 0, 1) if kernel.ndim == 4 else (1, 0))
    for name, value in (('weight', kernel), ('bias', bias)):
      tensor = torch.from_numpy(np.ascontiguousarray(value))
      setattr(module, name, nn.Parameter(tensor, requires_grad=False))
  return model.eval()


def usual_calls(
  torch: Any, model: Callable[[Any], Any], images: Any, target: int
) -> Calls:
  """Returns the forward pass and saliency in torch, by task."""

  def forward() -> Any:
    with torch.no_grad():
      return model(images)

  def saliency() -> Any:
    leaf = images.detach().requires_grad_()
    (grad,) = torch.autograd.grad(model(leaf)[:, target].sum(), leaf)
    return grad.abs().amax(1)

  return {'forward': forward, 'saliency': saliency}


def _torch_calls(
  torch: Any, model: Any, images: Any, work: Work
) -> Iterator[tuple[str, str, Callable[[], Any]]]:
  def ascent() -> Any:
    # Converted to NHWC to compare with the others.
    leaf = images.clone(memory_format=torch.preserve_format).requires_grad_()
    adam = torch.optim.Adam([leaf], lr=work.rate)
    for _ in range(work.steps):
      adam.zero_grad()
      excited = model[: work.depth](leaf)[:, 7]
      (-excited.mean((1, 2)).sum()).backward()
      adam.step()
    return leaf.detach().permute(0, 2, 3, 1)

  yield 'ascent', 'torch', ascent
  for task, call in usual_calls(torch, model, images, work.target).items():
    yield task, 'torch', call


def _captum_calls(
  captum: Any, model: Any, images: Any, work: Work
) -> Iterator[tuple[str, str, Callable[[], Any]]]:
  layer, one = model[work.place], images[:1]
  noise = work.sigma * float(one.max() - one.min())
  window = {
    'sliding_window_shapes': (3, work.patch, work.patch),
    'strides': (3, work.stride, work.stride),
    'perturbations_per_eval': work.chunk,
  }
  many = {
    'nt_samples': work.samples,
    'nt_samples_batch_size': work.captum_chunk,
    'stdevs': noise,
    'abs': False,
  }
  steps = {
    'n_steps': work.samples,
    'method': 'riemann_middle',
    'internal_batch_size': work.captum_chunk,
  }
  like_ours = {'interpolate_mode': 'bilinear'}
  for task, method, x, options in (
    ('gradient_x_input', captum.InputXGradient(model), images, {}),
    ('guided_backprop', captum.GuidedBackprop(model), images, {}),
    ('deconvnet', captum.Deconvolution(model), images, {}),
    ('grad_cam', captum.LayerGradCam(model, layer), images, {}),
    ('guided_grad_cam', captum.GuidedGradCam(model, layer), images, like_ours),
    ('smoothgrad', captum.NoiseTunnel(captum.Saliency(model)), one, many),
    ('integrated_gradients', captum.IntegratedGradients(model), one, steps),
    ('occlusion', captum.Occlusion(model), one, window),
  ):

    def call(method: Any = method, x: Any = x, options: dict = options) -> Any:
      leaf = x.detach().requires_grad_()
      return method.attribute(leaf, target=work.target, **options)

    yield task, 'captum', call


def _cam_calls(
  library: Any, model: Any, images: Any, work: Work
) -> Iterator[tuple[str, str, Callable[[], Any]]]:
  targets = importlib.import_module('pytorch_grad_cam.utils.model_targets')
  target = targets.ClassifierOutputTarget(work.target)
  layers = [model[work.place]]
  for task, method, x, read in (
    ('grad_cam', library.GradCAM, images, layers),
    ('grad_cam_pp', library.GradCAMPlusPlus, images, layers),
    ('hires_cam', library.HiResCAM, images, layers),
    ('layer_cam', library.LayerCAM, images, layers),
    ('score_cam', library.ScoreCAM, images[:1], layers),
    # It scales each map separately; vizlab scales a layer's maps jointly.
    ('fullgrad', library.FullGrad, images, []),
  ):

    def call(
      method: Any = method, x: Any = x, read: list[Any] = read
    ) -> np.ndarray:
      # The hooks stay on the model for the lifetime of the object.
      with method(model, read) as cam:
        return cam(x, [target] * len(x))

    yield task, 'pytorch-grad-cam', call


def _foolbox_calls(
  library: Any, model: Any, images: Any, work: Work
) -> Iterator[tuple[str, str, Callable[[], Any]]]:
  peer = library.PyTorchModel(model, bounds=(0, 1), device=images.device)
  attack = library.attacks.LinfPGD(
    steps=work.attack_steps,
    rel_stepsize=2.5 / work.attack_steps,
    random_start=False,
  )
  x = images.clip(0, 1)

  def call() -> np.ndarray:
    label = x.new_full((len(x),), work.target).long()
    return attack(peer, x, label, epsilons=work.epsilon)[1].cpu().numpy()

  yield 'pgd', 'foolbox', call


def _zennit_calls(
  composites: Any, torch: Any, model: Any, images: Any, work: Work
) -> Iterator[tuple[str, str, Callable[[], Any]]]:
  composite = composites.EpsilonPlus()

  def call() -> Any:
    leaf = images.detach().requires_grad_()
    with composite.context(model) as modified:
      out = modified(leaf)[:, work.target]
      (relevance,) = torch.autograd.grad(out, leaf, out.detach())
    return relevance

  yield 'lrp', 'zennit', call


@functools.cache
def imported(name: str) -> Any:
  """Imports a peer; prints once that it is left out if it is not installed."""
  try:
    return importlib.import_module(name)
  except ModuleNotFoundError as error:
    print(f'{error.name} is not installed: {name} is left out')
    return None
