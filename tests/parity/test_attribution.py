"""Captum on identical VGG weights: the same maps to 1e-4 relative."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.baselines import cam_library

from vizlab import attribution, nets
from vizlab.objectives import logit, score

pytestmark = pytest.mark.slow

torch = pytest.importorskip('torch')
captum = pytest.importorskip('captum.attr')
torch_nets = pytest.importorskip('torch_nets')

TARGETS = np.array([1, 4])


@pytest.fixture(scope='module')
def pair():
  """The same VGG-11 on both sides, and two images: ours and torch's input."""
  model = torch_nets.build('vgg11', classes=5)
  state = {k: v.numpy() for k, v in model.state_dict().items()}
  net = nets.from_tensors(state, arch='vgg11')
  x = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3))
  # Captum differentiates with respect to what the torch net gets, so our net
  # gets the same: a spec that changes nothing.
  net.spec = nets.InputSpec(224, (0.0,) * 3, (1.0,) * 3)
  return model, score(net, logit(jnp.asarray(TARGETS))), 4 * x - 2


def to_torch(x):
  return torch.tensor(np.asarray(x).transpose(0, 3, 1, 2)).requires_grad_()


def to_jax(t):
  return t.detach().numpy().transpose(0, 2, 3, 1)


def assert_close(ours, theirs):
  assert ours.shape == theirs.shape
  error = np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max()
  assert error < 1e-4, error


def run(attribute, *args, **kwargs):
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # Captum announces its hooks
    return attribute.attribute(*args, target=TARGETS.tolist(), **kwargs)


def test_gradient_and_saliency(pair):
  model, asked, x = pair
  theirs = run(captum.Saliency(model), to_torch(x), abs=False)
  assert_close(attribution.gradient(asked, x), to_jax(theirs))
  strongest = np.abs(to_jax(theirs)).max(-1)
  assert_close(attribution.saliency(asked, x), strongest)


def test_gradient_x_input(pair):
  model, asked, x = pair
  theirs = run(captum.InputXGradient(model), to_torch(x))
  assert_close(attribution.gradient_x_input(asked, x), to_jax(theirs))


def test_guided_backprop(pair):
  model, asked, x = pair
  theirs = run(captum.GuidedBackprop(model), to_torch(x))
  assert_close(attribution.guided_backprop(asked, x), to_jax(theirs))


def test_deconvolution(pair):
  model, asked, x = pair
  theirs = run(captum.Deconvolution(model), to_torch(x))
  assert_close(attribution.deconvnet(asked, x, seed=1.0), to_jax(theirs))


@pytest.mark.parametrize(
  ('place', 'layer'), [(19, 'relu5_2'), (14, 'relu4_2'), (15, 'pool4')]
)
def test_grad_cam(place, layer, pair):
  model, asked, x = pair
  method = captum.LayerGradCam(model, model.features[place])
  theirs = run(method, to_torch(x), relu_attributions=True)[:, 0]
  ours = attribution.grad_cam(asked, x, layer=layer, resize=False)
  assert_close(ours, theirs.detach().numpy())
  full = captum.LayerAttribution.interpolate(
    theirs[:, None], (64, 64), 'bilinear'
  )
  ours = attribution.grad_cam(asked, x, layer=layer)
  assert_close(ours, full[:, 0].detach().numpy())


def test_guided_grad_cam(pair):
  model, asked, x = pair
  method = captum.GuidedGradCam(model, model.features[19])
  theirs = run(method, to_torch(x), interpolate_mode='bilinear')
  ours = attribution.guided_grad_cam(asked, x, layer='relu5_2')
  assert_close(ours, to_jax(theirs))


@pytest.mark.parametrize(('patch', 'stride'), [(16, 16), (20, 11), (32, 32)])
def test_occlusion(patch, stride, pair):
  model, asked, x = pair
  with torch.no_grad():
    theirs = run(
      captum.Occlusion(model),
      to_torch(x),
      sliding_window_shapes=(3, patch, patch),
      strides=(3, stride, stride),
      baselines=0.25,
    )
  ours = attribution.occlusion(asked, x, patch=patch, stride=stride, fill=0.25)
  assert_close(ours, to_jax(theirs)[..., 0])


@pytest.mark.parametrize('start', [0.0, 0.4])
def test_integrated_gradients(start, pair):
  model, asked, x = pair
  theirs = run(
    captum.IntegratedGradients(model),
    to_torch(x),
    baselines=start,
    n_steps=9,
    method='riemann_middle',
  )
  ours = attribution.integrated_gradients(asked, x, baseline=start, steps=9)
  # The mean: where a rounding turns a ReLU, single pixels differ by a percent
  # (ours are the nearer ones to torch in double precision).
  error = np.abs(np.asarray(ours) - to_jax(theirs))
  assert error.mean() / np.abs(to_jax(theirs)).mean() < 3e-3


def half_pixel_upsampling(size):
  return torch.nn.Upsample(tuple(size), mode='bilinear', align_corners=False)


def cam_family(model, x, name, place):
  """A raw map of pytorch-grad-cam: before it scales it for display."""
  library = cam_library()
  if library is None:
    pytest.skip('pytorch-grad-cam is not installed')
  from pytorch_grad_cam import base_cam
  from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(base_cam, 'scale_cam_image', lambda cam, size=None: cam)
    patch.setattr('tqdm.tqdm', lambda items: items)
    # Score-CAM there aligns the corners of its masks; ours are resized as the
    # maps of all methods are.
    patch.setattr(torch.nn, 'UpsamplingBilinear2d', half_pixel_upsampling)
    method = getattr(library, name)(model, [model.features[place]])
    targets = [ClassifierOutputTarget(t) for t in TARGETS.tolist()]
    return method(to_torch(x), targets)


@pytest.mark.parametrize(
  ('name', 'ours'),
  [
    ('GradCAM', attribution.grad_cam),
    ('GradCAMPlusPlus', attribution.grad_cam_pp),
    ('HiResCAM', attribution.hires_cam),
    ('LayerCAM', attribution.layer_cam),
    ('ScoreCAM', attribution.score_cam),
  ],
)
def test_cam_family(name, ours, pair):
  model, asked, x = pair
  # Score-CAM runs the net for every map: a layer of few.
  place, layer = (4, 'relu2_1') if name == 'ScoreCAM' else (14, 'relu4_2')
  theirs = cam_family(model, x, name, place)
  error = np.abs(ours(asked, x, layer=layer, resize=False) - theirs).max()
  error /= np.abs(theirs).max()
  # Grad-CAM++ adds 1e-6 to a denominator of small squares there.
  assert error < (2e-2 if name == 'GradCAMPlusPlus' else 1e-4), error
