import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import generate, nets, style
from vizlab.objectives import score


@pytest.fixture(scope='module')
def net():
  return nets.load('minivgg')


@pytest.fixture(scope='module')
def images():
  draw = jax.random.uniform(jax.random.key(0), (3, 2, 24, 24, 3))
  return draw[0], draw[1], draw[2, 0]


LAYERS = ('relu1_1', 'relu2_1')


def test_it_is_the_loss_of_style_transfer_of_each_image(net, images):
  made, image, painting = images
  wanted = [
    score(
      net,
      style.total_loss(
        net,
        each,
        [painting],
        content_layer='relu2_1',
        style_layers=LAYERS,
        alpha=0.7,
        beta=3.0,
      ),
    )(one)
    for one, each in zip(made, image, strict=True)
  ]
  loss = style.style_loss(net, painting, LAYERS)
  found = jax.jit(
    lambda made, image: generate.perceptual_loss(
      net, made, image, loss, content_layer='relu2_1', alpha=0.7, beta=3.0
    )
  )(made, image)
  np.testing.assert_allclose(found, np.stack(wanted), rtol=1e-5)


def test_the_gradient_goes_to_what_is_made_only(net, images):
  made, image, painting = images
  loss = style.style_loss(net, painting, LAYERS)

  def total(made, image):
    return generate.perceptual_loss(
      net, made, image, loss, content_layer='relu2_1'
    ).sum()

  by_made, by_image = jax.grad(total, (0, 1))(made, image)
  assert by_made.any() and not by_image.any()


def test_the_loss_of_features_is_a_mean_square(net, images):
  made, image, _ = images
  found = jax.jit(generate.feature_loss, static_argnames='layer')(
    net, made, image, layer='relu2_1'
  )
  apart = np.subtract(*(net(x)[1]['relu2_1'] for x in (made, image)))
  np.testing.assert_allclose(found, (apart**2).mean((1, 2, 3)), rtol=1e-4)
  by_made, by_image = jax.grad(
    lambda made, image: generate.feature_loss(net, made, image, 'gap').sum(),
    (0, 1),
  )(made, image)
  assert by_made.any() and not by_image.any()
  with pytest.raises(ValueError, match='made, image: got shapes'):
    generate.feature_loss(net, made, image[:1])
  with pytest.raises(ValueError, match="layer: got 'relu9'"):
    generate.feature_loss(net, made, image, 'relu9')


def test_wrong_arguments_are_named(net, images):
  made, image, painting = images
  loss = style.style_loss(net, painting, LAYERS)
  with pytest.raises(ValueError, match='made, image: got shapes'):
    generate.perceptual_loss(net, made, image[:1], loss)
  with pytest.raises(ValueError, match="layer: got 'relu9'"):
    generate.perceptual_loss(net, made, image, loss, content_layer='relu9')
  with pytest.raises(ValueError, match='alpha: got nan'):
    generate.perceptual_loss(net, made, image, loss, alpha=jnp.nan * 1.0)
