import json

from test_scripts import call


def test_benchmark_of_small_images(tmp_path):
  out = tmp_path / 'figures.json'
  done = call(
    'benchmark',
    '--batch=1',
    '--repeats=2',
    '--size=32',
    '--only=forward,saliency',
    f'--out={out}',
  )
  assert done.returncode == 0, done.stderr
  report = json.loads(out.read_text())
  rows = [r for r in report['rows'] if r['contender'] == 'vizlab']
  assert [r['task'] for r in rows] == ['forward', 'saliency']
  assert all(r['seconds'] > 0 and r['ratio'] == 1 for r in rows)
  assert 0 < report['fraction'] < 2
  done = call('benchmark', '--only=nothing')
  assert "only: got ['nothing'], expected some of" in done.stderr
