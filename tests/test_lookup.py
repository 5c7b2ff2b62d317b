import pytest

from vizlab.lookup import by_nearness, check_name, did_you_mean
from vizlab.nets import names


def test_nearest_first():
  assert by_nearness('vgg61', names())[0] == 'vgg16'
  assert by_nearness('Conv5-1', ['fc', 'conv1_1', 'conv5_1'])[0] == 'conv5_1'
  assert by_nearness('layer4', ['layer3.4', 'layer4.0'])[0] == 'layer4.0'
  assert by_nearness('xyz', ['b', 'a', 'c']) == ['b', 'a', 'c'], 'as they were'


def test_what_is_far_suggests_nothing():
  assert did_you_mean('gradcam', ['cam', 'grad_cam']).endswith("'grad_cam'?")
  assert did_you_mean('xyz', ['relu1']) == did_you_mean('a', []) == ''
  assert did_you_mean('vgg', ['resnet18', 'vgg16_bn']).endswith("'vgg16_bn'?")
  assert did_you_mean('ab', ['axx']).endswith("'axx'?"), 'just alike enough'
  assert did_you_mean('abcdef', ['fedcba']) == '', 'the order counts'


def test_an_unknown_name_lists_known_ones():
  check_name('layer', 'relu1', {'relu1': 0})
  known = [f'relu{i}' for i in range(40)]
  with pytest.raises(ValueError) as error:
    check_name('layer', 'relu41', known, ' of mynet')
  text = str(error.value)
  assert text.startswith("layer: got 'relu41', expected one of ['relu4', ")
  assert text.endswith(" of mynet; did you mean 'relu4'?")
  assert all(repr(name) in text for name in known)
  known = [f'layer4.{i}' for i in range(80)]
  with pytest.raises(ValueError) as error:
    check_name('layer', 'layer4.7x', known)
  assert all(repr(name) in str(error.value) for name in known)
  known.append('layer4.80')
  with pytest.raises(ValueError) as error:
    check_name('layer', 'layer4.7x', known, ' of mynet')
  text = str(error.value)
  assert text.count("'layer4.") == 12 + 2 and "['layer4.7', " in text
  assert "] and 69 others of mynet; did you mean 'layer4.7'?" in text
  with pytest.raises(ValueError, match='layer: got 3, expected one of'):
    check_name('layer', 3, known)
