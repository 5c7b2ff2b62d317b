"""Published weights by name, from a local server."""

import concurrent.futures
import dataclasses
import functools
import http.server
import sys
import threading

import jax
import numpy as np
import pytest

from vizlab import io, nets
from vizlab.nets.weights.published import cached_path
from vizlab.runs import provenance


class Handler(http.server.SimpleHTTPRequestHandler):
  def log_message(self, *args):
    pass

  def do_GET(self):
    self.server.asked.append(self.path)
    super().do_GET()


@pytest.fixture
def server(tmp_path, monkeypatch):
  """Serves a folder; ``publish`` makes a file of it one of the sources."""
  folder = tmp_path / 'served'
  folder.mkdir()
  made = http.server.ThreadingHTTPServer(
    ('127.0.0.1', 0), functools.partial(Handler, directory=folder)
  )
  made.asked, made.folder = [], folder
  thread = threading.Thread(target=made.serve_forever)
  thread.start()

  def publish(name, arch, file, sha256=None):
    url = f'http://127.0.0.1:{made.server_address[1]}/{file.name}'
    source = nets.Source(arch, url, sha256 or io.sha256(file)[:8])
    monkeypatch.setitem(nets.SOURCES, name, source)

  made.publish = publish
  monkeypatch.setenv('VIZLAB_CACHE', str(tmp_path / 'cache'))
  yield made
  made.shutdown()
  thread.join()
  made.server_close()


def equal(one, other):
  pairs = zip(*map(jax.tree.leaves, (one, other)), strict=True)
  return all(np.array_equal(a, b) for a, b in pairs)


def torch_file(net, path):
  """Writes weights as the Hub has them: torch's names, and a header."""
  params = {
    f'{layer}.{_TORCH.get(name, name)}': np.asarray(value)
    for layer, values in nets.get_params(net).items()
    for name, value in values.items()
  }
  turned = {
    name: value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
    for name, value in params.items()
  }
  return io.write_tensors(path, turned, {'format': 'pt'})


_TORCH = {
  'kernel': 'weight',
  'scale': 'weight',
  'mean': 'running_mean',
  'var': 'running_var',
}


def test_weights_are_downloaded_once(server):
  net = nets.create('resnet20', classes=3)
  file = torch_file(net, server.folder / 'model.safetensors')
  server.publish('timm/resnet20', 'resnet20', file)
  assert nets.weight_file('timm/resnet20') is None
  for _ in range(2):
    assert equal(nets.load('timm/resnet20'), net)
  assert server.asked == ['/model.safetensors']
  path = nets.weight_file('timm/resnet20')
  assert path == cached_path('timm/resnet20') and path.is_file()
  settings = {'net': {'weights': 'timm/resnet20'}}
  digest = provenance.record(settings)['sha256']['timm/resnet20']
  assert digest == nets.SOURCES['timm/resnet20'].sha256
  out = nets.save(net, server.folder / 'out.safetensors', source=path)
  assert io.read_header(out)['source_sha256'] == io.sha256(file)


def test_a_run_can_go_on_after_the_cache_is_emptied(server, monkeypatch):
  file = torch_file(nets.create('resnet20'), server.folder / 'a.safetensors')
  server.publish('timm/resnet20', 'resnet20', file)
  settings = {'net': {'weights': 'timm/resnet20'}}
  nets.load('timm/resnet20')
  known = nets.SOURCES['timm/resnet20']
  # As of the Hub, where the server states the checksum.
  free = dataclasses.replace(known, sha256=None)
  with monkeypatch.context() as patch:
    patch.setitem(nets.SOURCES, 'timm/resnet20', free)
    before = provenance.record(settings)['sha256']
    cached_path('timm/resnet20').unlink()
    provenance.check_files(before, settings)
  nets.load('timm/resnet20')
  with monkeypatch.context() as patch:
    patch.setitem(nets.SOURCES, 'timm/resnet20', free)
    assert provenance.record(settings)['sha256'] == before
  known = provenance.record({'net': {'weights': 'torchvision/vgg19'}})
  assert known['sha256'] == {'torchvision/vgg19': 'dcbb9e9d'}


def test_threads_download_once(server):
  file = torch_file(nets.create('resnet20'), server.folder / 'a.safetensors')
  server.publish('timm/resnet20', 'resnet20', file)
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    loaded = [*pool.map(nets.load, ['timm/resnet20'] * 4)]
  assert all(equal(net, loaded[0]) for net in loaded)
  assert len(server.asked) == 1


def test_a_cache_that_cannot_be_written(server, monkeypatch, tmp_path):
  (tmp_path / 'file').touch()
  monkeypatch.setenv('VIZLAB_CACHE', str(tmp_path / 'file'))
  with pytest.raises(ValueError, match='cannot keep timm/resnet18 in .*: Not'):
    nets.load('timm/resnet18')


@pytest.mark.slow
def test_weights_of_torch_are_converted_once(server, monkeypatch):
  torch = pytest.importorskip('torch')
  model = pytest.importorskip('torch_nets').build('squeezenet11', 4)
  file = server.folder / 'squeezenet1_1-12345678.pth'
  torch.save(model.state_dict(), file)
  server.publish('torchvision/squeezenet1_1', 'squeezenet11', file)
  net = nets.load('torchvision/squeezenet1_1', pool='avg')
  state = {k: v.numpy() for k, v in model.state_dict().items()}
  assert equal(net, nets.from_tensors(state, pool='avg'))
  path = cached_path('torchvision/squeezenet1_1')
  header = io.read_tensors(path)[1]
  assert header['arch'] == 'squeezenet11' and 'pool' not in header
  assert header['source_sha256'] == io.sha256(file)
  assert {p.suffix for p in path.parent.iterdir()} == {'.lock', '.safetensors'}
  monkeypatch.setitem(sys.modules, 'torch', None)  # not needed again
  assert equal(nets.load('torchvision/squeezenet1_1', pool='avg'), net)
  assert len(server.asked) == 1


def test_another_source_or_a_damaged_file_is_downloaded_again(server):
  for classes in (3, 4):
    net = nets.create('resnet20', classes=classes)
    file = torch_file(net, server.folder / f'{classes}.safetensors')
    server.publish('timm/resnet20', 'resnet20', file, io.sha256(file).upper())
    assert equal(nets.load('timm/resnet20'), net)
  path = cached_path('timm/resnet20')
  path.write_bytes(path.read_bytes()[:9999])
  assert equal(nets.load('timm/resnet20'), net)
  assert len(server.asked) == 3


def test_a_wrong_checksum_leaves_nothing(server):
  file = nets.save(nets.create('resnet20'), server.folder / 'a.safetensors')
  server.publish('timm/resnet20', 'resnet20', file, 'f' * 8)
  with pytest.raises(ValueError, match='expected f'):
    nets.load('timm/resnet20')
  left = {path.suffix for path in cached_path('timm/resnet20').parent.iterdir()}
  assert left == {'.lock'}


def test_weights_of_another_network_are_refused(server):
  file = nets.save(nets.create('resnet20'), server.folder / 'a.safetensors')
  server.publish('timm/resnet20', 'resnet20', file)
  with pytest.raises(ValueError, match='does not hold the weights of vgg11'):
    nets.load('timm/resnet20', arch='vgg11')


def test_a_missing_reader_is_told_before_the_download(server, monkeypatch):
  file = server.folder / 'vgg.pth'
  file.write_bytes(b'nothing')
  server.publish('torchvision/vgg11', 'vgg11', file)
  monkeypatch.setitem(sys.modules, 'torch', None)
  message = r"reading .pth files needs torch; .* 'vizlab\[weights\]'"
  with pytest.raises(ValueError, match=message):
    nets.load('torchvision/vgg11')
  assert not server.asked


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('vgg19', "are 'torchvision/vgg19', 'torchvision/vgg19_bn'; nets.create"),
    ('inception', "published weights are 'torchvision/inception_v3'$"),
    ('googlenet', "are 'torchvision/googlenet'; nets.create"),
    ('squeezenet1_1', "published weights are 'torchvision/squeezenet1_1'$"),
    ('timm/resnet50.tv_in1k', "did you mean 'timm/resnet50'"),
    ('Torchvision/vgg19', "did you mean 'torchvision/vgg19'"),
    ('resnet18', "are 'torchvision/resnet18', 'timm/resnet18'; nets.create"),
    ('zfnet', r"\); nets.create\('zfnet'\) draws random ones"),
    ('minivg', "did you mean 'minivgg'?"),
    ('vgg91', "did you mean 'vgg19'?"),
    ('torchvision/vgg91', "source: got .* did you mean 'torchvision/vgg19'?"),
    ('timm/nothing', "source: got 'timm/nothing', expected one of"),
    ('folder/file', 'path: got folder/file, expected a file in'),
  ],
)
def test_unknown_names(name, message):
  with pytest.raises(ValueError, match=message):
    nets.load(name)


def test_every_source_is_of_the_catalog():
  for name, source in nets.SOURCES.items():
    publisher, _, own = name.partition('/')
    renamed = {'googlenet': 'googlenet_bn', 'squeezenet1_1': 'squeezenet11'}
    assert source.arch == renamed.get(own, own)
    assert nets.architecture(source.arch).name == source.arch
    assert f'/{own}' in source.url  # the publisher's name
    assert source.url.startswith('https://')
    known = source.sha256 or ''
    assert publisher == 'timm' or (int(known, 16) and len(known) == 8)
    assert publisher == 'timm' or f'-{known}.pth' in source.url
