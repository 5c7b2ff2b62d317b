"""The entry points as a user calls them, in a process of their own."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from vizlab import io, nets

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent.parent


def call(script, *flags, **env):
  return subprocess.run(
    [sys.executable, ROOT / 'scripts' / f'{script}.py', *map(str, flags)],
    capture_output=True,
    text=True,
    cwd=ROOT,
    env={**os.environ, **env},
  )


def run(*flags, tmp_path):
  cache = f'--compilation_cache={tmp_path / "cache"}'
  return call('run', '--config=attribution/explain', cache, *flags)


SMALL = (
  '--config.scenes=1',
  '--config.score_scenes=0',
  '--config.methods=saliency,grad_cam',
)


def test_run_then_no_op_then_overwrite(tmp_path):
  workdir = tmp_path / 'run'
  first = run(*SMALL, f'--workdir={workdir}', tmp_path=tmp_path)
  assert first.returncode == 0, first.stderr
  assert str(workdir / 'report.html') in first.stdout.splitlines()[-1]
  assert json.loads((workdir / 'DONE').read_text())['pictures'] == 2
  command = (workdir / 'command.txt').read_text()
  assert 'scripts/run.py' in command and '--config.scenes=1' in command
  stamp = (workdir / 'report.html').stat().st_mtime_ns
  again = run(*SMALL, f'--workdir={workdir}', tmp_path=tmp_path)
  assert again.returncode == 0
  assert 'finished before, nothing done' in again.stdout
  assert 'nothing done' not in first.stdout
  assert (workdir / 'report.html').stat().st_mtime_ns == stamp
  other = run(
    *SMALL, '--config.seed=1', f'--workdir={workdir}', tmp_path=tmp_path
  )
  assert other.returncode == 1 and 'they differ in seed' in other.stderr
  anew = run(
    *SMALL,
    '--config.seed=1',
    '--overwrite',
    f'--workdir={workdir}',
    tmp_path=tmp_path,
  )
  assert anew.returncode == 0, anew.stderr
  assert json.loads((workdir / 'config.json').read_text())['seed'] == 1


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (['--config.imges=a.png'], "no setting 'imges'; did you mean 'images'?"),
    (['--config.zzzz=1'], "no setting 'zzzz' in this config"),
    (['--config.samples=1e20'], "config.samples: got '1e20', expected an int"),
    (['--config.images=gone.png'], 'config.images: no such file: gone.png'),
    (['--config.methods=gradcam'], "got 'gradcam', expected one of"),
    (['surplus'], "got ['surplus'], expected only --flags"),
  ],
)
def test_a_wrong_call_is_one_line_and_no_traceback(flags, message, tmp_path):
  done = run(*flags, f'--workdir={tmp_path / "run"}', tmp_path=tmp_path)
  assert done.returncode != 0
  assert message in done.stderr and len(done.stderr.splitlines()) == 1
  assert not (tmp_path / 'run').exists()


def test_convert_weights(tmp_path):
  net = nets.create('squeezenet11', classes=5)
  source = nets.save(net, tmp_path / 'source.safetensors')
  out = tmp_path / 'out.safetensors'
  done = call('convert_weights', f'--source={source}', f'--out={out}', '--half')
  assert done.returncode == 0, done.stderr
  assert nets.load(out).arch == 'squeezenet11'
  assert out.stat().st_size < source.stat().st_size * 0.6
  out.unlink()
  for flags, message in (
    (['--arch=vgg16'], 'these look like squeezenet11 weights'),
    (['--arch=vgg61'], "arch: got 'vgg61'"),
    (['--download=torchvision/vgg19'], 'expected one of --source=FILE and'),
  ):
    done = call('convert_weights', f'--source={source}', f'--out={out}', *flags)
    assert done.returncode == 1 and message in done.stderr
    assert 'Traceback' not in done.stderr and not out.exists()


def test_download_by_an_unknown_name(tmp_path):
  done = call(
    'convert_weights',
    '--download=nobody/net',
    f'--out={tmp_path / "a.safetensors"}',
  )
  assert done.returncode == 1
  assert "download: got 'nobody/net', expected one of" in done.stderr


def test_download_uses_what_is_in_the_cache(tmp_path):
  """The cached file of a publisher is converted without asking anyone."""
  cached = tmp_path / 'weights' / 'timm-resnet18.safetensors'
  nets.save(nets.create('resnet18', classes=2), cached)
  (tmp_path / 'weights' / f'{cached.name}.sha256').write_text(io.sha256(cached))
  out = tmp_path / 'out.safetensors'
  done = call(
    'convert_weights',
    '--download=timm/resnet18',
    f'--out={out}',
    VIZLAB_CACHE=str(tmp_path),
  )
  assert done.returncode == 0, done.stderr
  assert nets.load(out).arch == 'resnet18'


def test_a_failed_overwrite_keeps_the_old_run(tmp_path):
  workdir = tmp_path / 'run'
  assert run(*SMALL, f'--workdir={workdir}', tmp_path=tmp_path).returncode == 0
  done = run(
    *SMALL,
    '--config.images=gone.png',
    '--overwrite',
    f'--workdir={workdir}',
    tmp_path=tmp_path,
  )
  assert done.returncode == 1 and 'no such file: gone.png' in done.stderr
  assert (workdir / 'report.html').exists()


@pytest.mark.parametrize('flag', ['--help', '--helpfull'])
def test_help_is_no_error(flag):
  shown = call('run', flag)
  assert shown.returncode == 0 and '--workdir' in shown.stdout
