import jax
import numpy as np
import pytest
from scipy import stats
from tools import read, start, stops_of_the_same

from vizlab import adversarial
from vizlab.data.scenes import scenes
from vizlab_experiments.adversarial import certificates

CERTIFY = 'adversarial/certificates'


def test_certificates_are_those_of_the_library(tmp_path):
  results = start(CERTIFY, tmp_path)
  seen = scenes(jax.random.key(0), 3, objects=1, size=96)
  label = np.asarray(seen.labels[:, 0])
  found = read(tmp_path, 'net_1_sigma_0')
  assert (found['prediction'] != label).any(), 'it learned random labels'
  wrong = np.where(found['prediction'] == label, found['radius'], 0).mean()
  name = 'minivgg_random_labels/0.05'
  assert results[f'{name}/radius'] == pytest.approx(wrong)
  assert results['minivgg/0.05/right'] == 1
  # All votes for one class: alpha^(1/n) is the bound of its share.
  most = 0.05 * stats.norm.ppf(0.001 ** (1 / 16))
  assert results['minivgg/0.05/radius'] == pytest.approx(most)
  table = (tmp_path / 'certificates.csv').read_text().splitlines()
  assert table[0].startswith('net/sigma,right,abstained,radius,certified 0.05')
  assert table[1].startswith('minivgg/0.05,1.0,0.0,')


def test_no_attack_breaks_a_certificate(tmp_path):
  radii = 0.05, 0.1, 4.0
  results = start(
    CERTIFY, tmp_path, others='', samples=64, radii=radii, steps=10
  )
  shares = {
    kind: [results[f'minivgg/0.05/{kind}_{radius:g}'] for radius in radii]
    for kind in ('certified', 'attacked')
  }
  assert shares['certified'][0] == 1 and shares['certified'][-1] == 0
  pairs = zip(shares['certified'], shares['attacked'], strict=True)
  assert all(sure <= left for sure, left in pairs)
  assert shares['attacked'][-1] == 0, 'far away it is misled'
  label = int(scenes(jax.random.key(0), 3, objects=1, size=96).labels[0, 0])
  votes = read(tmp_path, 'net_0_sigma_0')['attacked']
  assert votes.shape == (3, 3, 16) and (votes.sum(-1) == 64).all()
  assert votes[0, 0, label] > votes[0, -1, label]


def test_an_image_without_votes_is_not_withstood():
  """The logits of its noisy images are not finite."""
  votes = np.array([[[0, 0, 0]], [[9, 0, 0]], [[3, 6, 0]]])  # [N, R, K]
  certificate = adversarial.Certificate(
    np.array([-1, 0, 0]), np.array([0.0, 0.3, 0.1]), np.zeros(3)
  )
  inputs = certificates.Inputs(
    None, (), (0.2,), {}, np.zeros((3, 1, 1, 3)), np.zeros(3, int)
  )
  shares = certificates._withstood(inputs, certificate, votes)
  assert shares == {
    'certified_0.2': pytest.approx(1 / 3),
    'attacked_0.2': pytest.approx(1 / 3),
  }


def test_certificates_resume(tmp_path, monkeypatch):
  assert stops_of_the_same(CERTIFY, tmp_path, monkeypatch) > 0
