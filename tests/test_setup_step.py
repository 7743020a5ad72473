"""A step of `make setup` outlives a connection that breaks and gives up on any other error."""

import io
import os
import subprocess
import sys
import zipfile
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

STEP = Path(__file__).parents[1] / 'requirements/step.sh'
WHEEL = 'cut_off-1.0-py3-none-any.whl'


def _wheel() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr('cut_off.py', 'x = 1\n' * 1000)
        head = 'cut_off-1.0.dist-info'
        archive.writestr(f'{head}/METADATA', 'Metadata-Version: 2.1\nName: cut-off\nVersion: 1.0\n')
        archive.writestr(f'{head}/WHEEL', 'Wheel-Version: 1.0\nTag: py3-none-any\n')
        archive.writestr(f'{head}/RECORD', '')
    return file.getvalue()


class _Index(BaseHTTPRequestHandler):
    """A package index of one wheel, whose first downloads break off in the middle."""

    def __init__(self, *arguments: object, cuts: list[int]) -> None:
        self.cuts = cuts
        super().__init__(*arguments)

    def do_GET(self) -> None:
        page = f'<a href="/{WHEEL}">{WHEEL}</a>'.encode()
        whole = _wheel() if self.path.endswith('.whl') else page
        cut = self.path.endswith('.whl') and self.cuts[0] > 0
        self.cuts[0] -= cut
        self.send_response(200)
        self.send_header('Content-Type', 'application/zip' if whole is not page else 'text/html')
        self.send_header('Content-Length', str(len(whole)))
        self.end_headers()
        self.wfile.write(whole[: len(whole) // 2] if cut else whole)

    def log_message(self, *arguments: object) -> None:
        pass


def _download(folder: Path, cuts: int, package: str = 'cut-off'):
    """Lets a step download `package` from an index that breaks off `cuts` times."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(_Index, cuts=[cuts]))
    Thread(target=server.serve_forever, daemon=True).start()
    index = f'http://127.0.0.1:{server.server_port}/simple'
    pip = [
        sys.executable,
        '-m',
        'pip',
        'download',
        '--isolated',
        '--no-deps',
        '--no-cache-dir',
        '-d',
        folder,
    ]
    pip += ['--quiet', '--log', folder / 'pip.log', '--resume-retries', '0', '--index-url', index]
    environment = {
        **os.environ,
        'RETRY_PAUSES': '0 0',
        'PIP_CONFIG_FILE': os.devnull,
        'NO_PROXY': '*',
    }
    try:
        return subprocess.run(
            ['bash', STEP, folder, '[1/1] a wheel', *pip, package],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        server.shutdown()
        server.server_close()


def test_a_download_that_breaks_off_is_begun_again(tmp_path):
    done = _download(tmp_path, cuts=2)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / WHEEL).is_file()
    assert done.stdout.count('the connection broke; the step runs again') == 2


def test_a_download_that_always_breaks_off_ends_the_step(tmp_path):
    done = _download(tmp_path, cuts=9)
    assert done.returncode and 'incomplete-download' in done.stderr
    assert done.stdout.count('the connection broke') == 2


@pytest.mark.parametrize('package', ['cut-off==2.0', 'cut-off=='])
def test_an_error_that_is_none_of_the_connection_ends_the_step_at_once(tmp_path, package):
    done = _download(tmp_path, cuts=0, package=package)
    assert done.returncode and 'the connection broke' not in done.stdout


def test_a_step_says_how_long_it_took_and_what_came(tmp_path):
    done = _download(tmp_path, cuts=0)
    assert done.stdout.splitlines()[1].endswith(' minutes, 0 MB downloaded')
    assert (tmp_path / 'setup.tsv').read_text().startswith('[1/1] a wheel\t')
