import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import nets, rules
from vizlab.nets import layers
from vizlab.nets.graph import infer_shapes, init_params

# Published numbers of parameters; ZFNet's, All-CNN's and those of VGG-16 for
# class activation maps are counted by hand.
PARAMETERS = {
  'alexnet': 61_100_840,
  'caffe_alexnet': 60_965_224,
  'alexnet_cam': 5_133_800,
  'zfnet': 62_357_608,
  'vgg11': 132_863_336,
  'vgg13': 133_047_848,
  'vgg16': 138_357_544,
  'vgg19': 143_667_240,
  'vgg11_bn': 132_868_840,
  'vgg13_bn': 133_053_736,
  'vgg16_bn': 138_365_992,
  'vgg19_bn': 143_678_248,
  'vgg16_cam': 18_100_008,
  'squeezenet11': 1_235_496,
  'resnet18': 11_689_512,
  'resnet34': 21_797_672,
  'resnet50': 25_557_032,
  'resnet101': 44_549_160,
  'resnet152': 60_192_808,
  'vit_b_16': 86_567_656,
  'googlenet': 6_998_552,
  'googlenet_bn': 6_624_904,
  'inception_v3': 23_834_568,
  'densenet121': 7_978_856,
  'all_cnn_c': 1_369_738,
  'resnet20': 269_722,
  'resnet32': 464_154,
  'resnet44': 658_586,
  'resnet56': 853_018,
  'fast_style': 1_679_235,
  'fast_style_transposed': 1_677_638,
  'super_resolution_x4': 400_451,
  'super_resolution_x8': 437_379,
  'minivgg': 714_896,
}


@functools.cache
def abstract(name):
  """A network with shapes for parameters."""
  return jax.eval_shape(lambda: nets.create(name))


def test_no_net_lacks_a_row():
  assert set(PARAMETERS) == set(nets.names())


@pytest.mark.parametrize('name', nets.names())
def test_parameter_count(name):
  net = abstract(name)
  assert nets.param_count(net) == PARAMETERS[name]


@pytest.mark.parametrize('name', nets.names())
def test_convolution_only_net(name):
  net = jax.eval_shape(lambda: nets.create(name, classifier=False))
  assert not net.has_classifier
  logits, acts = jax.eval_shape(
    lambda net, x: net(x), net, jnp.zeros((2, 224, 250, 3))
  )
  assert logits is None
  assert all(a.ndim == 4 for a in acts.values())


SHAPES = {
  ('vgg19', 'relu5_4'): (14, 14, 512),
  ('zfnet', 'conv1'): (110, 110, 96),
  ('zfnet', 'pool1'): (55, 55, 96),
  ('zfnet', 'conv2'): (26, 26, 256),
  ('zfnet', 'pool2'): (13, 13, 256),
  ('zfnet', 'pool5'): (6, 6, 256),
  ('caffe_alexnet', 'conv1'): (55, 55, 96),
  ('alexnet', 'conv1'): (55, 55, 64),
  ('alexnet_cam', 'relu7'): (11, 11, 512),
  ('vgg16_cam', 'CAM_relu'): (14, 14, 1024),
  ('resnet50', 'layer4.2'): (7, 7, 2048),
  ('googlenet_bn', 'inception4a'): (14, 14, 512),
  ('inception_v3', 'Mixed_5d'): (35, 35, 288),
  ('inception_v3', 'Mixed_6e'): (17, 17, 768),
  ('inception_v3', 'Mixed_7c'): (8, 8, 2048),
  ('densenet121', 'denseblock3'): (14, 14, 1024),
  ('densenet121', 'norm5'): (7, 7, 1024),
  ('all_cnn_c', 'conv7'): (6, 6, 192),
  ('squeezenet11', 'fire9/concat'): (13, 13, 512),
  ('minivgg', 'relu5_2'): (6, 6, 128),
  ('vit_b_16', 'conv_proj'): (14, 14, 768),
  ('vit_b_16', 'encoder.ln'): (1, 197, 768),
}


@pytest.mark.parametrize(('name', 'layer'), SHAPES)
def test_published_shapes(name, layer):
  net = abstract(name)
  rows = {row.name: row for row in nets.layer_info(net)}
  assert rows[layer].shape == SHAPES[name, layer]


@pytest.mark.parametrize('name', nets.names())
def test_listed_shapes_are_the_shapes_of_the_forward(name):
  net = abstract(name)
  size = net.spec.size
  _, acts = jax.eval_shape(
    lambda net, x: net(x), net, jnp.zeros((1, size, size, 3))
  )
  assert {row.name for row in nets.layer_info(net)} == set(acts)
  for row in nets.layer_info(net):
    assert acts[row.name].shape == (1, *row.shape)


# Araujo et al. 2019, table 1, and arithmetic by hand.
FIELDS = {
  ('alexnet', 'pool5'): (195, 32),
  ('vgg16', 'pool5'): (212, 32),
  ('resnet50', 'layer4.2'): (427, 32),  # with the stride in the 3x3 kernels
  ('resnet18', 'layer4.1'): (435, 32),
  ('resnet101', 'layer4.2'): (971, 32),
  ('resnet152', 'layer4.2'): (1451, 32),
}


@pytest.mark.parametrize(('name', 'layer'), FIELDS)
def test_published_receptive_fields(name, layer):
  net = abstract(name)
  row = next(row for row in nets.layer_info(net) if row.name == layer)
  assert (row.field.size, row.field.stride) == FIELDS[name, layer]


@pytest.mark.parametrize(
  ('name', 'layer', 'size'),
  [
    ('vgg11', 'relu3_1', 96),
    ('minivgg', 'conv4_1', 96),
    ('zfnet', 'conv2', 96),
    ('alexnet', 'conv2', 96),
    ('squeezenet11', 'fire3/concat', 96),
    ('resnet18', 'layer1.1', 96),
  ],
)
def test_a_unit_sees_its_receptive_field_and_no_more(name, layer, size):
  net = nets.create(name, classifier=False)
  # With positive weights and average pooling every path counts.
  net = rules.with_rules(jax.tree.map(jnp.abs, net), pool=rules.avg_pool)
  row = next(r for r in nets.layer_info(net, size) if r.name == layer)
  i, j = (n // 2 for n in row.shape[:2])
  x = jax.random.uniform(jax.random.key(0), (1, size, size, 3)) + 0.5

  def unit(x, net):
    return net(x)[1][layer][0, i, j].sum()

  seen = np.abs(np.asarray(jax.jit(jax.grad(unit))(x, net)))[0].sum(-1) > 0
  for axis, at in ((1, i), (0, j)):
    lines = np.flatnonzero(seen.any(axis))
    start, stop = row.field.pixels(at)
    assert (lines[0], lines[-1] + 1) == (max(start, 0), min(stop, size))


@pytest.mark.parametrize('channel', [0, 63, 64, 127])
def test_a_channel_sees_as_far_as_its_branch(channel):
  layer, size = 'fire3/concat', 96
  net = nets.create('squeezenet11', classifier=False)
  net = rules.with_rules(jax.tree.map(jnp.abs, net), pool=rules.avg_pool)
  x = jax.random.uniform(jax.random.key(0), (1, size, size, 3)) + 0.5

  def unit(x, net):
    return net(x)[1][layer][0, 9, 9, channel]

  seen = np.abs(np.asarray(jax.jit(jax.grad(unit))(x, net)))[0].sum(-1) > 0
  lines = np.flatnonzero(seen.any(1))
  field = nets.unit_field(net, layer, channel)
  assert (lines[0], lines[-1] + 1) == field.pixels(9)


def test_branches_in_branches_and_plain_layers():
  ops = (
    layers.Conv('stem', 2),
    layers.Conv('wide', 4, kernel=5, padding=2, inputs=('stem',)),
    layers.Concat('inner', inputs=('stem', 'wide')),
    layers.Concat('outer', inputs=('wide', 'inner')),
    layers.GlobalPool('gap'),
  )
  net = nets.from_layers(
    ops, nets.InputSpec(16, (0.5,) * 3, (0.5,) * 3), _random(ops)
  )
  sizes = [nets.unit_field(net, 'outer', k).size for k in range(10)]
  assert sizes == [7] * 4 + [3] * 2 + [7] * 4
  assert nets.unit_field(net, 'stem', 1).size == 3
  assert nets.unit_field(net, 'gap', 9) is None
  with pytest.raises(ValueError, match="channel: got 10, .* 0 to 9 of 'outer'"):
    nets.unit_field(net, 'outer', 10)
  with pytest.raises(ValueError, match="layer: got 'nowhere'"):
    nets.unit_field(net, 'nowhere', 0)


def _random(ops):
  """Tensors by name for layers."""
  params = init_params(ops, (16, 16, 3), jax.random.key(0))
  return {
    f'{layer}/{name}': np.asarray(value)
    for layer, row in params.items()
    for name, value in row.items()
  }


def test_chains():
  chains = {n for n in nets.names() if nets.is_chain(abstract(n))}
  joined = [n for n in nets.names() if n.startswith('resnet')]
  joined += [n for n in nets.names() if n.startswith(('fast_s', 'super_r'))]
  joined += ['googlenet', 'googlenet_bn', 'inception_v3', 'densenet121']
  joined += ['vit_b_16']
  assert {*nets.names()} - chains == {'squeezenet11', *joined}
  first = nets.architecture('alexnet').layers()[0]
  assert (first.kernel, first.stride, first.padding) == (11, 4, 2)


def test_unknown_layer_suggests_near_names(tiny, images):
  with pytest.raises(ValueError, match="'rellu2'.* did you mean 'relu2'"):
    tiny(images, {'rellu2': lambda a: a})


def test_edits(tiny, images):
  logits, acts = tiny(images, {'relu1': lambda a: a * 0})
  assert not acts['relu1'].any()
  first = np.asarray(acts['conv2'])[0]
  bias = np.asarray(tiny.params['conv2']['bias'][...])
  np.testing.assert_allclose(first, np.broadcast_to(bias, first.shape))
  edits = {'fc': lambda a: a + 1}
  np.testing.assert_allclose(tiny(images, edits)[0], tiny(images)[0] + 1)


def test_with_params_takes_all_and_no_more(tiny):
  params = nets.get_params(tiny)
  assert jax.tree.leaves(nets.with_params(tiny, params))
  with pytest.raises(ValueError, match="params: 'fc' has .., expected"):
    nets.with_params(tiny, {k: v for k, v in params.items() if k != 'fc'})
  with pytest.raises(ValueError, match="params: 'new' has .'a'., expected .."):
    nets.with_params(tiny, {**params, 'new': {'a': 1}})


def test_an_edit_keeps_the_shape(tiny, images):
  with pytest.raises(ValueError, match="edits: got shape .* for 'relu1'"):
    tiny(images, {'relu1': lambda a: a[:, 1:]})


def test_jit_prunes_what_nobody_reads(tiny):
  x = jnp.zeros((1, 16, 16, 3))

  def flops(fn):
    return jax.jit(fn).lower(tiny, x).compile().cost_analysis()['flops']

  early = flops(lambda net, x: net(x)[1]['relu1'])
  assert early < 0.7 * flops(lambda net, x: net(x)[1]['relu2'])


@pytest.mark.parametrize(
  ('x', 'message'),
  [
    (np.zeros((4, 16, 16, 1), np.float32), r'expected \[..., H, W, 3\]'),
    (np.zeros((16, 3), np.float32), r'expected \[..., H, W, 3\]'),
    (np.zeros((4, 16, 16, 3), np.uint8), 'got uint8, expected float32'),
    (np.zeros((0, 16, 16, 3), np.float32), 'empty batch'),
    (np.zeros((1, 1, 1, 3), np.float32), "1x1 pixels.*'pool1'"),
  ],
)
def test_bad_images_are_named(x, message, tiny):
  with pytest.raises(ValueError, match=message):
    tiny(jnp.asarray(x))


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'arch': 'vgg91'}, "arch: got 'vgg91', expected one of .*vgg19"),
    ({'arch': 'vgg11', 'pool': 'min'}, "pool: got 'min', expected one of"),
    ({'arch': 'zfnet', 'preprocess': 'x'}, "preprocess: got 'x'"),
  ],
)
def test_bad_settings_are_named(settings, message):
  with pytest.raises(ValueError, match=message):
    nets.create(**settings)


def test_preprocessing():
  rgb = jnp.array([0.2, 0.4, 0.6]).reshape(1, 1, 1, 3)
  caffe = nets.architecture('vgg16').spec('caffe')
  expected = [153 - 103.939, 102 - 116.779, 51 - 123.68]
  np.testing.assert_allclose(caffe(rgb).ravel(), expected, rtol=1e-5)
  torch = nets.architecture('vgg16').spec('torchvision')
  expected = [
    (v - m) / s
    for v, m, s in zip(
      (0.2, 0.4, 0.6), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True
    )
  ]
  np.testing.assert_allclose(torch(rgb).ravel(), expected, rtol=1e-5)


def test_caffe_rounds_up():
  ops = nets.architecture('caffe_alexnet').layers()
  assert infer_shapes(ops, (224, 224, 3))['pool1'] == (27, 27, 96)


def test_shapes_of_odd_images_follow_the_layers():
  ops = nets.architecture('squeezenet11').layers()
  assert infer_shapes(ops, (227, 227, 3))['pool1'] == (56, 56, 64)


@pytest.mark.parametrize(
  ('layers', 'message'),
  [
    ((layers.ReLU('a'), layers.ReLU('a')), "ops: got two layers named 'a'"),
    (
      (layers.ReLU('a'), layers.Add('b', inputs=('a', 'c'))),
      r"ops: 'b' reads 'c', expected layers before it: \['a'\]",
    ),
    ((layers.ReLU('a', inputs=('a',)),), "ops: 'a' reads 'a'"),
    ((), 'ops: got no layer'),
  ],
)
def test_layers_have_one_name_each_and_read_earlier_ones(layers, message):
  with pytest.raises(ValueError, match=message):
    nets.Network('mine', layers, nets.InputSpec(), {})


class Louder(nets.Network):
  def __call__(self, x, edits=None):
    logits, acts = super().__call__(x, edits)
    return 2 * logits, acts


def test_with_params_keeps_the_class_and_checks_shapes(tiny, images):
  params = nets.get_params(tiny)
  loud = Louder('tiny', tiny.ops, tiny.spec, params)
  half = jax.tree.map(lambda v: v / 2, params)
  new = jax.jit(nets.with_params)(loud, half)
  assert isinstance(new, Louder)
  want = 2 * nets.with_params(tiny, half)(images)[0]
  np.testing.assert_allclose(new(images)[0], want, rtol=1e-6)
  np.testing.assert_array_equal(
    nets.get_params(loud)['fc']['bias'], params['fc']['bias']
  )
  params['fc']['bias'] = params['fc']['bias'][:3]
  with pytest.raises(ValueError, match=r'params: got shape \(3,\) for fc/bias'):
    nets.with_params(tiny, params)


def test_nets_compute_in_the_dtype_of_the_images(tiny, images):
  with jax.enable_x64(True):
    x = jnp.asarray(np.asarray(images, np.float64))
    logits, acts = tiny(x)
    made = nets.create('minivgg', classes=4)
  assert logits.dtype == acts['relu1'].dtype == jnp.float64
  np.testing.assert_allclose(logits, np.asarray(tiny(images)[0]), atol=1e-5)
  for old, new in zip(
    jax.tree.leaves(nets.get_params(nets.create('minivgg', classes=4))),
    jax.tree.leaves(nets.get_params(made)),
    strict=True,
  ):
    assert old.dtype == new.dtype == jnp.float32
    np.testing.assert_array_equal(np.asarray(old), np.asarray(new))
