"""Networks that make images: of images, of features, of descriptions."""

from collections.abc import Iterator, Mapping, Sequence

from vizlab.nets.layers import (
  Add,
  AveragePool,
  Channels,
  Concat,
  ConditionalInstanceNorm,
  Conv,
  ConvTranspose,
  GlobalPool,
  InstanceNorm,
  Layer,
  Pad,
  ReLU,
  Rescale,
  Subsample,
  Upsample,
)
from vizlab.rules import PoolWindow

__all__ = [
  'FACTORS',
  'decoder',
  'generator',
  'super_resolution',
  'texture_generator',
  'transformation',
]

FACTORS = {f'super_resolution_x{2**n}': 2**n for n in (2, 3)}

_BYTE = 1 / 255


def transformation(
  width: int = 32,
  blocks: int = 5,
  *,
  resize: bool = True,
  norm: bool = True,
  styles: int = 0,
) -> tuple[Layer, ...]:
  """Layers of an image transformation network (Johnson et al. 2016).

  A 9x9 convolution, two of stride 2, residual blocks, two enlargements, a 9x9
  convolution, and the image. The sides of its images are multiples of 4.

  Args:
    width: Channels of the first convolution; each stride of 2 doubles them.
    blocks: Number of residual blocks.
    resize: The form of PyTorch's examples: resize-convolutions, mirrored
      borders, biases, and the last convolution is the image in bytes. Else that
      of Engstrom's Fast Style Transfer: transposed convolutions, zeros around,
      every convolution normalised, and ``150 tanh(x) + 127.5`` as bytes.
    norm: Whether convolutions are followed by instance normalisation.
    styles: Number of styles, which share all but the normalisation. Then the
      input has as many channels more as there are styles, the share of each
      (`vizlab.generate.with_style`). 0 for a network of one style.

  Raises:
    ValueError: There are styles, and no normalisation that knows them, or their
      number is negative.

  References:
    Johnson, Alahi & Fei-Fei 2016, supplementary material; Ulyanov, Vedaldi &
    Lempitsky 2017 (instance normalisation); Odena, Dumoulin & Olah 2016
    (resize-convolutions); Dumoulin, Shlens & Kudlur 2017 (several styles).
  """
  if styles < 0:
    raise ValueError(f'styles: got {styles}, expected at least 0')
  if styles and not norm:
    raise ValueError(
      f'styles: got {styles} without normalisation, expected 0, or norm=True'
    )
  epsilon = 1e-5 if resize else 1e-3

  def conv(
    name: str, features: int, kernel: int, stride: int = 1, relu: bool = True
  ) -> Iterator[Layer]:
    # Zeros as in TensorFlow: the odd one at the end.
    least, mode = kernel - stride, 'zeros'
    before, after = least // 2, least - least // 2
    if resize:
      before, after, mode = kernel // 2, kernel // 2, 'reflect'
    yield Pad(f'{name}_pad', before, after, mode)
    yield Conv(name, features, kernel, stride, 0, bias=resize)
    yield from normed(name, relu)

  def normed(name: str, relu: bool) -> Iterator[Layer]:
    if styles:
      yield ConditionalInstanceNorm(
        f'{name}_norm', epsilon, styles, inputs=(name, 'shares')
      )
    elif norm:
      yield InstanceNorm(f'{name}_norm', epsilon)
    if relu:
      yield ReLU(f'{name}_relu')

  def enlarged(name: str, features: int) -> Iterator[Layer]:
    if resize:
      yield Upsample(f'{name}_resize')
      yield from conv(name, features, 3)
    else:
      yield ConvTranspose(name, features, bias=False)
      yield from normed(name, True)

  wide = 4 * width
  ops: list[Layer] = []
  if styles:
    ops += [
      Channels('style', 3, styles, inputs=(None,)),
      GlobalPool('shares'),
      Channels('picture', 0, 3, inputs=(None,)),
    ]
  ops += [*conv('conv1', width, 9), *conv('conv2', 2 * width, 3, 2)]
  ops += conv('conv3', wide, 3, 2)
  for i in range(1, blocks + 1):
    before = ops[-1].name
    ops += conv(f'res{i}a', wide, 3)
    ops += conv(f'res{i}b', wide, 3, relu=False)
    ops.append(Add(f'res{i}', inputs=(before, ops[-1].name)))
  ops += [*enlarged('up1', 2 * width), *enlarged('up2', width)]
  if resize:
    ops += [Pad('conv4_pad', 4, 4), Conv('conv4', 3, 9, 1, 0)]
    return (*ops, Rescale('image', _BYTE))
  ops += conv('conv4', 3, 9, relu=False)
  return (*ops, Rescale('image', 150 * _BYTE, 127.5 * _BYTE, squash=True))


def super_resolution(
  factor: int, width: int = 64, blocks: int = 4
) -> tuple[Layer, ...]:
  """Layers of a network that enlarges images (Johnson et al. 2016).

  A 9x9 convolution and residual blocks at the size of the input, an
  enlargement for each factor of 2, and a 9x9 convolution, whose result is added
  to the input as enlarged by cubic interpolation: the network need not learn
  what it has in common with it. Mirrored borders, and no normalisation, which
  would take the contrast from an image (Lim et al. 2017).

  Args:
    factor: By how much the sides of the image grow, a power of 2.
    width: Channels.
    blocks: Number of residual blocks.

  Raises:
    ValueError: The factor is not a power of 2.

  References:
    Johnson, Alahi & Fei-Fei 2016, supplementary material; Kim, Lee & Lee 2016
    (the sum with the interpolated image).
  """

  if factor < 1 or factor & (factor - 1):
    raise ValueError(f'factor: got {factor}, expected a power of 2')

  def conv(
    name: str, features: int, kernel: int, relu: bool = True
  ) -> Iterator[Layer]:
    yield Pad(f'{name}_pad', kernel // 2, kernel // 2)
    yield Conv(name, features, kernel, 1, 0)
    if relu:
      yield ReLU(f'{name}_relu')

  ops: list[Layer] = [*conv('conv1', width, 9)]
  for i in range(1, blocks + 1):
    before = ops[-1].name
    ops += [*conv(f'res{i}a', width, 3), *conv(f'res{i}b', width, 3, False)]
    ops.append(Add(f'res{i}', inputs=(before, ops[-1].name)))
  for i in range(1, factor.bit_length()):
    ops += [Upsample(f'up{i}_resize'), *conv(f'up{i}', width, 3)]
  ops += conv('conv2', 3, 9, False)
  ops.append(Upsample('enlarged', factor, smooth=True, inputs=(None,)))
  return (*ops, Add('image', inputs=('conv2', 'enlarged')))


def texture_generator(
  scales: int = 5, width: int = 8, *, noise: int = 3, picture: bool = False
) -> tuple[Layer, ...]:
  """Layers of a network that makes textures of noise (Ulyanov et al. 2016).

  Noise of the lowest resolution goes through a block of three convolutions, is
  enlarged by two and joined with what such a block makes of noise of the next
  resolution; another block follows, and so on up to the highest. At each join
  there are ``width`` more channels. Maps go on at the other side, so textures
  have no border: they tile. Their sides are multiples of ``2 ** (scales - 1)``.

  Noise of all resolutions is one map: each takes channels of its own, at every
  second, fourth, eighth position.

  Args:
    scales: Number of resolutions.
    width: Channels that the noise of each resolution becomes.
    noise: Channels of the noise of each resolution; with a picture there may be
      none.
    picture: Whether it paints a picture, the first three channels of its input,
      which each resolution reads as averaged to it, beside its noise. Maps are
      continued by their mirror images then.

  Raises:
    ValueError: A number is not positive (negative, for the noise beside a
      picture).

  References:
    Ulyanov, Lebedev, Vedaldi & Lempitsky 2016, figure 2 and section 3.3
    (pictures); Ulyanov, Vedaldi & Lempitsky 2017 (instance normalisation).
  """
  least = {'scales': 1, 'width': 1, 'noise': 0 if picture else 1}
  for name, value in {'scales': scales, 'width': width, 'noise': noise}.items():
    if value < least[name]:
      raise ValueError(f'{name}: got {value}, expected at least {least[name]}')
  mode = 'reflect' if picture else 'wrap'

  def block(name: str, features: int) -> Iterator[Layer]:
    for i, kernel in enumerate((3, 3, 1), start=1):
      if kernel > 1:
        yield Pad(f'{name}_pad{i}', kernel // 2, kernel // 2, mode)
      yield Conv(f'{name}_conv{i}', features, kernel, 1, 0)
      yield InstanceNorm(f'{name}_norm{i}')
      yield ReLU(f'{name}_relu{i}')

  def sources(i: int) -> Iterator[Layer]:
    """Layers of what a resolution reads: its noise, the picture, or both."""
    name = f'noise{i + 1}'
    if noise:
      first, step = 3 * picture + i * noise, 2 ** (scales - 1 - i)
      yield Channels(f'{name}_whole', first, noise, inputs=(None,))
      yield Subsample(name, noise, step)
    if picture:
      read = (f'picture{i + 1}', *[name] * bool(noise))
      yield Concat(f'sources{i + 1}', inputs=read)

  ops: list[Layer] = []
  if picture:
    ops.append(Channels(f'picture{scales}', 0, 3, inputs=(None,)))
    for i in range(scales - 1, 0, -1):  # each half of the one before
      ops.append(AveragePool(f'picture{i}', PoolWindow()))
  below = ''
  for i in range(scales):
    ops += [*sources(i), *block(f'noise{i + 1}_block', width)]
    if below:
      ours = ops[-1].name
      ops += [
        Upsample(f'up{i}', inputs=(below,)),
        InstanceNorm(f'up{i}_norm'),
        InstanceNorm(f'own{i}_norm', inputs=(ours,)),
        Concat(f'join{i}', inputs=(f'up{i}_norm', f'own{i}_norm')),
        *block(f'join{i}_block', (i + 1) * width),
      ]
    below = ops[-1].name
  ops.append(Conv('last', 3, 1, 1, 0))
  return (*ops, Rescale('image', 0.5, 0.5, squash=True))


def decoder(
  widths: Sequence[int], *, vector_side: int | None = None
) -> tuple[Layer, ...]:
  """Layers of a network that makes images of features (Nguyen et al. 2016).

  A 3x3 convolution of the features, then for each further width an enlargement
  by two and a 3x3 convolution, and an image in [0, 1]. Zeros around: where the
  border is may be seen from the features only.

  Args:
    widths: Channels from the lowest to the highest resolution, whose side is
      ``2 ** (len(widths) - 1)`` times that of the features.
    vector_side: Features are vectors, as maps of one position, of which a map
      of that side is made first.

  Raises:
    ValueError: There are no widths, or one is not positive.

  References:
    Dosovitskiy & Brox 2016, section 3; Nguyen et al. 2016 (DGN-AM).
  """
  _check_widths(widths)
  return (*_spread(vector_side, widths), *_grown(widths, 3))


def generator(
  parts: Mapping[str, int],
  widths: Sequence[int],
  *,
  side: int,
  features: int = 512,
  streams: int = 1,
) -> tuple[Layer, ...]:
  """Layers of a network that draws what vectors describe (Dosovitskiy 2015).

  Each part of the description goes through two dense layers of its own
  (``style1``, ``style2``), two more read all of them (``joined1``,
  ``joined2``), and a decoder makes an image and a mask of the result, or one
  decoder the image and another the mask: the paper's forms of one stream and of
  two, with resize-convolutions. Vectors are maps of one position, and dense
  layers convolutions of them.

  Args:
    parts: Number of channels of each part, in the order of the description.
    widths: Channels of the decoder, from the lowest resolution to the highest.
    side: Side of the lowest resolution.
    features: Outputs of each dense layer.
    streams: 1 or 2 decoders.

  Returns:
    The layers; the last, ``drawn``, is ``[H, W, 4]`` in [0, 1]: the image and
    the mask.

  Raises:
    ValueError: There are no widths, one is not positive, or another number of
      streams.

  References:
    Dosovitskiy, Springenberg & Brox 2015, section 3.
  """
  if streams not in (1, 2):
    raise ValueError(f'streams: got {streams}, expected 1 or 2')

  _check_widths(widths)

  def dense(name: str) -> Iterator[Layer]:
    yield Conv(name, features, 1, 1, 0)
    yield ReLU(f'{name}_relu')

  ops: list[Layer] = []
  first = 0
  for name, count in parts.items():
    ops.append(Channels(name, first, count, inputs=(None,)))
    ops += [*dense(f'{name}1'), *dense(f'{name}2')]
    first += count
  ops.append(Concat('parts', inputs=tuple(f'{n}2_relu' for n in parts)))
  ops += [*dense('joined1'), *dense('joined2')]
  if streams == 1:
    return (*ops, *_spread(side, widths), *_grown(widths, 4, 'drawn'))
  for name, channels in {'image': 3, 'mask': 1}.items():
    ops += _spread(side, widths, f'{name}_', 'joined2_relu')
    ops += _grown(widths, channels, name, f'{name}_')
  return (*ops, Concat('drawn', inputs=('image', 'mask')))


def _check_widths(widths: Sequence[int]) -> None:
  if not widths or min(widths) < 1:
    raise ValueError(f'widths: got {tuple(widths)}, expected some from 1')


def _spread(
  side: int | None,
  widths: Sequence[int],
  prefix: str = '',
  source: str | None = None,
) -> Iterator[Layer]:
  """Layers that make a map of one position a map of a side, if there is one."""
  if side:
    inputs = (source,) if source else ()
    yield ConvTranspose(f'{prefix}spread', widths[0], side, side, inputs=inputs)
    yield ReLU(f'{prefix}spread_relu')


def _grown(
  widths: Sequence[int], channels: int, name: str = 'image', prefix: str = ''
) -> Iterator[Layer]:
  """Layers that double a map again and again, to channels in [0, 1]."""
  for i, width in enumerate(widths, start=1):
    if i > 1:
      yield Upsample(f'{prefix}up{i}')
    yield Conv(f'{prefix}conv{i}', width, 3)
    yield ReLU(f'{prefix}relu{i}')
  yield Conv(f'{prefix}last', channels, 3)
  yield Rescale(name, 0.5, 0.5, squash=True)
