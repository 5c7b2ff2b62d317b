import colorsys

import jax
import numpy as np
import pytest

from vizlab.data import COLOUR_NAMES, CONCEPTS, concept_masks, scenes
from vizlab.data.concepts import colour_of


@pytest.mark.parametrize(
  ('colour', 'name'),
  [
    ((0, 0, 0), 'black'),
    ((0.15, 0.05, 0.1), 'black'),
    ((0.5, 0.5, 0.5), 'grey'),
    ((0.5, 0.45, 0.45), 'grey'),
    ((1, 1, 1), 'white'),
    ((0.9, 0.1, 0.1), 'red'),
    ((0.9, 0.5, 0.1), 'orange'),
    ((0.9, 0.9, 0.1), 'yellow'),
    ((0.1, 0.7, 0.1), 'green'),
    ((0.1, 0.8, 0.8), 'cyan'),
    ((0.1, 0.2, 0.9), 'blue'),
    ((0.6, 0.1, 0.9), 'purple'),
    ((0.9, 0.2, 0.6), 'pink'),
    ((0.9, 0.1, 0.2), 'red'),
  ],
)
def test_colours_have_their_names(colour, name):
  image = np.array(colour, np.float32).reshape(1, 1, 3)
  assert COLOUR_NAMES[int(colour_of(image)[0, 0])] == name


def test_hues_are_those_of_hsv():
  image = np.asarray(jax.random.uniform(jax.random.key(0), (40, 40, 3)))
  got = np.asarray(colour_of(image))
  middles = {n: h for n, h in zip(
    COLOUR_NAMES[3:], (0, 30, 60, 120, 180, 230, 280, 325), strict=True
  )}  # fmt: skip
  for pixel, index in zip(image.reshape(-1, 3), got.reshape(-1), strict=True):
    hue, saturation, value = colorsys.rgb_to_hsv(*map(float, pixel))
    if value < 0.2:
      wanted = 'black'
    elif saturation < 0.2:
      wanted = 'white' if value > 0.8 else 'grey'
    else:
      apart = {
        name: min(abs(360 * hue - h), 360 - abs(360 * hue - h))
        for name, h in middles.items()
      }
      wanted = min(apart, key=apart.get)
    assert COLOUR_NAMES[index] == wanted


def test_masks_are_those_of_the_scenes():
  drawn = scenes(jax.random.key(0), 6, objects=2, size=48)
  masks = np.asarray(jax.jit(concept_masks)(drawn))
  assert masks.shape == (6, 48, 48, len(CONCEPTS)) and masks.dtype == bool
  for i in range(6):
    own = np.asarray(drawn.masks[i]) >= 0.5
    for kind, labels, start in (
      ('shape', drawn.labels, 0), ('texture', drawn.textures, 16)
    ):  # fmt: skip
      wanted = np.zeros((48, 48, 16), bool)
      for mask, label in zip(own, np.asarray(labels[i]), strict=True):
        wanted[mask, label] = True
      np.testing.assert_array_equal(masks[i, ..., start : start + 16], wanted)
      assert {k for k, _ in CONCEPTS[start : start + 16]} == {kind}
  assert (masks[..., 32:].sum(-1) == 1).all()  # each pixel has one colour


def test_one_object_has_one_shape():
  drawn = scenes(jax.random.key(3), 4, objects=1, size=24)
  masks = np.asarray(concept_masks(drawn))
  assert (masks[..., :16].any((1, 2)).sum(-1) == 1).all()
