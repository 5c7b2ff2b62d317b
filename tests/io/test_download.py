"""Downloads from a local server that also truncates, corrupts and redirects."""

import hashlib
import http.server
import threading

import pytest

from vizlab import io

CONTENT = bytes(range(256)) * 8192  # 2 MiB: more than one block
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
  """Serves `CONTENT`; ``faults`` lists what goes wrong, one a request."""

  daemon_threads = True

  def __init__(self):
    super().__init__(('127.0.0.1', 0), Handler)
    self.faults, self.ranges = [], []


class Handler(http.server.BaseHTTPRequestHandler):
  def log_message(self, *args):
    pass

  def do_GET(self):
    server = self.server
    if self.path == '/moved':
      self.send_response(302)
      self.send_header('Location', '/file')
      self.send_header('X-Linked-ETag', f'"{DIGEST}"')
      self.end_headers()
      return
    if self.path == '/gone':
      self.send_error(404)
      return
    wanted = self.headers.get('Range')
    server.ranges.append(wanted)
    fault = server.faults.pop(0) if server.faults else None
    body, start = CONTENT, 0
    if wanted and fault != 'no ranges':
      start = int(wanted.removeprefix('bytes=').removesuffix('-'))
      if start >= len(body):
        self.send_error(416)
        return
    if fault == 'busy':
      self.send_error(503)
      return
    body = body[start:]
    self.send_response(206 if start else 200)
    self.send_header('Content-Length', str(len(body)))
    self.end_headers()
    if fault == 'truncate':
      body = body[: len(body) // 2]
    if fault == 'corrupt':
      body = b'?' + body[1:]
    if fault == 'nothing':
      body = b''
    self.wfile.write(body)


@pytest.fixture
def server():
  made = Server()
  thread = threading.Thread(target=made.serve_forever)
  thread.start()
  made.url = f'http://127.0.0.1:{made.server_address[1]}'
  yield made
  made.shutdown()
  thread.join()
  made.server_close()


def test_download_reports_progress(server, tmp_path):
  seen = []
  path = io.download(
    f'{server.url}/file',
    tmp_path / 'deep' / 'a.bin',
    sha256=DIGEST,
    progress=lambda *step: seen.append(step),
  )
  assert path.read_bytes() == CONTENT
  assert seen[-1] == (len(CONTENT), len(CONTENT)) and len(seen) >= 2
  io.download(f'{server.url}/file', path, sha256=DIGEST)
  assert len(server.ranges) == 1, 'a right file is not fetched again'


def test_truncated_download_goes_on_where_it_stopped(server, tmp_path):
  server.faults = ['truncate', 'truncate']
  path = io.download(f'{server.url}/file', tmp_path / 'a', sha256=DIGEST[:8])
  assert path.read_bytes() == CONTENT
  half = len(CONTENT) // 2
  assert server.ranges == [None, f'bytes={half}-', f'bytes={half * 3 // 2}-']


def test_a_killed_download_is_resumed(server, tmp_path):
  (tmp_path / 'a.part').write_bytes(CONTENT[:1000])
  path = io.download(f'{server.url}/file', tmp_path / 'a', sha256=DIGEST)
  assert path.read_bytes() == CONTENT and server.ranges == ['bytes=1000-']
  (tmp_path / 'b.part').write_bytes(CONTENT)
  path = io.download(f'{server.url}/file', tmp_path / 'b', sha256=DIGEST)
  assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_anew(server, tmp_path):
  (tmp_path / 'a.part').write_bytes(b'x' * 1000)
  server.faults = ['no ranges']
  path = io.download(f'{server.url}/file', tmp_path / 'a', sha256=DIGEST)
  assert path.read_bytes() == CONTENT


def test_corrupt_download_is_deleted(server, tmp_path):
  server.faults = ['corrupt']
  with pytest.raises(ValueError, match='SHA-256 is .*, expected .*; deleted'):
    io.download(f'{server.url}/file', tmp_path / 'a', sha256=DIGEST)
  assert not list(tmp_path.iterdir())


def test_a_dead_connection_is_given_up(server, tmp_path):
  server.faults = ['nothing'] * 9
  with pytest.raises(ValueError, match='run it again to resume'):
    io.download(f'{server.url}/file', tmp_path / 'a', sha256=DIGEST, tries=2)
  assert len(server.ranges) == 2


def test_a_busy_server_is_asked_again(server, tmp_path):
  server.faults = ['busy', 'busy']
  path = io.download(f'{server.url}/file', tmp_path / 'a', sha256=DIGEST)
  assert path.read_bytes() == CONTENT and len(server.ranges) == 3


def test_the_server_may_state_the_checksum(server, tmp_path):
  path = io.download(f'{server.url}/moved', tmp_path / 'a')
  assert path.read_bytes() == CONTENT
  io.download(f'{server.url}/moved', tmp_path / 'a')
  assert len(server.ranges) == 1, 'the checksum is remembered'
  server.faults = ['corrupt']
  with pytest.raises(ValueError, match='SHA-256'):
    io.download(f'{server.url}/moved', tmp_path / 'b')
  with pytest.raises(ValueError, match='no checksum is known'):
    io.download(f'{server.url}/file', tmp_path / 'c')


def test_errors_of_the_server(server, tmp_path):
  with pytest.raises(ValueError, match='url: .*/gone: 404'):
    io.download(f'{server.url}/gone', tmp_path / 'a', sha256=DIGEST)
  with pytest.raises(ValueError, match='url: http://127.0.0.1:9'):
    io.download('http://127.0.0.1:9/a', tmp_path / 'a', sha256=DIGEST, tries=1)
  assert not list(tmp_path.iterdir())


def test_cache_dir(monkeypatch, tmp_path):
  monkeypatch.setenv('VIZLAB_CACHE', str(tmp_path))
  assert io.cache_dir() == tmp_path
