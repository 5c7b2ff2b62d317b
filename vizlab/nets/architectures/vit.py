"""Vision transformers (Dosovitskiy et al. 2021), as in torchvision."""

from vizlab.nets.layers import (
  GELU,
  Add,
  Attend,
  AttentionWeights,
  Conv,
  Dense,
  Layer,
  LayerNorm,
  Token,
  Tokens,
)

__all__ = ['vit']


def vit(
  classes: int,
  *,
  patch: int = 16,
  grid: int = 14,
  depth: int = 12,
  heads: int = 12,
  width: int = 768,
  hidden: int = 3072,
) -> tuple[Layer, ...]:
  """Layers of a vision transformer, by torchvision's names; ViT-B/16.

  The weights of attention are ``...self_attention.weights``, a map of tokens by
  tokens with a channel for each head.

  Args:
    classes: Number of classes.
    patch: Side of a patch in pixels.
    grid: Patches along each side of the images of the training.
    depth: Number of blocks.
    heads: Heads of each attention.
    width: Channels of a token.
    hidden: Channels between the two dense layers of a block.
  """
  ops: list[Layer] = [
    Conv('conv_proj', width, patch, patch, 0),
    Tokens('tokens', grid),
  ]
  for i in range(depth):
    block, before = f'encoder.layers.encoder_layer_{i}', ops[-1].name
    attention, middle = f'{block}.self_attention', f'{block}.add'
    joint = f'{attention}.in_proj'
    ops += [
      LayerNorm(f'{block}.ln_1'),
      Dense(joint, 3 * width),
      AttentionWeights(f'{attention}.weights', heads),
      Attend(f'{attention}.values', inputs=(f'{attention}.weights', joint)),
      Dense(f'{attention}.out_proj', width),
      Add(middle, inputs=(f'{attention}.out_proj', before)),
      LayerNorm(f'{block}.ln_2'),
      Dense(f'{block}.mlp.linear_1', hidden),
      GELU(f'{block}.mlp.gelu'),
      Dense(f'{block}.mlp.linear_2', width),
      Add(block, inputs=(f'{block}.mlp.linear_2', middle)),
    ]
  return (
    *ops,
    LayerNorm('encoder.ln'),
    Token('class'),
    Dense('heads.head', classes),
  )
