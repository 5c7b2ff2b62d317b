import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import attribution
from vizlab.attribution.cam import upsample
from vizlab.objectives import logit, score


def test_grad_cam_of_a_pooled_net_is_cam_over_the_number_of_places(
  tiny, images
):
  """Zhou 2016: with global average pooling the weights are the classifier's."""
  target = 4
  _, acts = tiny(images)
  a = np.asarray(acts['pool2'])
  weight = np.asarray(tiny.params['fc']['kernel'][...])[:, target]
  cam = (a * weight).sum(-1) / (a.shape[1] * a.shape[2])
  got = attribution.grad_cam(
    score(tiny, logit(target)),
    images,
    layer='pool2',
    rectify=False,
    resize=False,
  )
  np.testing.assert_allclose(got, cam, rtol=1e-4, atol=1e-6)
  rectified = attribution.grad_cam(
    score(tiny, logit(target)), images, layer='pool2', resize=False
  )
  np.testing.assert_allclose(rectified, np.maximum(cam, 0), atol=1e-6)


@pytest.mark.parametrize('place', [(0, 3, 4, 1), (1, 8, 15, 0), (2, 9, 7, 2)])
def test_activation_and_gradient_against_finite_differences(place, tiny):
  asked, step = score(tiny, logit(1)), 2e-3
  images = jax.random.uniform(jax.random.key(5), (3, 20, 32, 3))
  a, g = attribution.activation_and_gradient(asked, images, 'conv2')
  np.testing.assert_allclose(a, tiny(images)[1]['conv2'], rtol=1e-6)
  up, down = (
    asked(images, {'conv2': lambda a, s=s: a.at[place].add(s * step)})
    for s in (1, -1)
  )
  rise = (up - down)[place[0]] / (2 * step)
  np.testing.assert_allclose(g[place], rise, rtol=0.02, atol=5e-4)


def test_upsampling_keeps_a_constant_and_interpolates():
  cam = jnp.array([[[0.0, 4.0]]])
  np.testing.assert_allclose(
    upsample(cam, (1, 4)), [[[0.0, 1.0, 3.0, 4.0]]], atol=1e-6
  )
  assert (upsample(jnp.full((2, 3, 3), 0.25), (7, 9)) == 0.25).all()


def test_guided_grad_cam_is_the_product(tiny, images):
  asked = score(tiny, logit(0))
  got = attribution.guided_grad_cam(asked, images, layer='relu2')
  cam = attribution.grad_cam(asked, images, layer='relu2')
  guided = attribution.guided_backprop(asked, images)
  np.testing.assert_allclose(got, guided * cam[..., None], rtol=1e-6)


@pytest.mark.parametrize(
  ('layer', 'message'),
  [
    ('relu3', "layer: got 'relu3', .* did you mean 'relu[12]'"),
    ('fc', "layer: 'fc' gives a vector"),
  ],
)
def test_wrong_layers_are_named(layer, message, tiny, images):
  with pytest.raises(ValueError, match=message):
    attribution.grad_cam(score(tiny, logit(0)), images, layer=layer)
