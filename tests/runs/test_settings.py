import pytest
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vizlab.runs import settings


def config(**values):
  known = {'experiment': 'x', 'rate': 0.5, 'n': 3, 'pair': (0.5, 1.0)}
  return ConfigDict({**known, **values})


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'rat': 0.5}, r"config.rat: .* no such setting; did you mean 'rate'\?"),
    ({'rate': 'high'}, "config.rate: got 'high', expected a float"),
    ({'rate': float('nan')}, 'config.rate: got nan, expected a finite number'),
    ({'rate': 1e40}, r'got 1e\+40, expected a finite number in the range'),
    ({'rate': 10**39}, 'config.rate: got 10*, expected a finite number'),
    ({'rate': 1e-60}, 'config.rate: got 1e-60, expected a finite number'),
    ({'n': 2.5}, 'config.n: got 2.5, expected an int'),
    ({'n': 10**20}, 'config.n: got 10*, expected a 32-bit int'),
    ({'n': True}, 'config.n: got True, expected an int'),
    ({'n': placeholder(int)}, 'config.n: got none, expected an int; give --'),
    ({'pair': (1.0, 'a')}, "config.pair: got 'a', expected a float"),
    ({'pair': (1.0, float('nan'))}, 'config.pair: got nan, expected a finite'),
  ],
)
def test_validate(change, message):
  with pytest.raises(ValueError, match=message):
    settings.validate(config(**change), config(), 'reference')
  settings.validate(config(rate=1), config(), 'reference')


def test_a_placeholder_may_lose_its_value():
  reference = config()
  reference.mask = placeholder(str)
  reference.mask = 'a.png'
  settings.validate(config(mask=placeholder(str)), reference, 'reference')


def test_required_settings_may_be_missing_from_a_description():
  part = config(n=placeholder(int))
  settings.validate(part, config(), 'reference', complete=False)


def test_validate_misses_a_key():
  with pytest.raises(ValueError, match='config.n: got none'):
    settings.validate(
      ConfigDict({'experiment': 'x', 'rate': 1.0}), config(), 'reference'
    )


def test_listed_splits_at_commas():
  assert settings.listed('a.png,b.png, c.png,') == ('a.png', 'b.png', 'c.png')


def test_numbers():
  assert settings.numbers(config(pair='3, 4,'), 'pair', 5) == [3, 4]
  with pytest.raises(ValueError, match='config.pair: got 5, expected 0 to 4'):
    settings.numbers(config(pair='5'), 'pair', 5)
  with pytest.raises(
    ValueError, match="config.pair: got '3,x', expected comma"
  ):
    settings.numbers(config(pair='3,x'), 'pair', 5)


def test_least_values():
  settings.need_positive(config(), 'n', 'rate')
  settings.need_not_negative(config(n=0, rate=0.0), 'n', 'rate')
  with pytest.raises(ValueError, match='config.n: got 0, expected 1 or more'):
    settings.need_positive(config(n=0), 'n')
  with pytest.raises(ValueError, match='config.rate: got 0.0, expected more t'):
    settings.need_positive(config(rate=0.0), 'rate')
  with pytest.raises(ValueError, match='config.rate: got -1.0, expected 0 or'):
    settings.need_not_negative(config(rate=-1.0), 'rate')


@pytest.mark.parametrize(
  ('text', 'default', 'parsed'),
  [
    ('/x/a.png,b c.png', ('d',), ('/x/a.png', 'b c.png')),
    ('sample:swirls,sample:star', (), ('sample:swirls', 'sample:star')),
    (
      'photos/001.png,photos/002.png',
      ('a',),
      ('photos/001.png', 'photos/002.png'),
    ),
    ('2024', ('a',), ('2024',)),
    ('3,5', (1, 2), (3, 5)),
    ('3', (1, 2), (3,)),
    ("('a,b','c')", ('d',), ('a,b', 'c')),
    ('0.5, 1', (0.1,), (0.5, 1)),
    ('', ('a',), ()),
  ],
)
def test_a_text_for_a_tuple(text, default, parsed):
  assert settings.parse_tuple(text, default) == parsed
  config = ConfigDict({'some': default})
  settings.assign(config, {'some': text})
  assert config.some == parsed


def test_amounts():
  found = settings.amounts(config(pair=(0.0, 2.5)), 'pair')
  assert found == (0.0, 2.5)
  for wrong in ((), (-1.0,), (float('inf'),), ('a',)):
    with pytest.raises(ValueError, match='config.pair: got .*numbers from 0'):
      settings.amounts(config(pair=wrong), 'pair')
