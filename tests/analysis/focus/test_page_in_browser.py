"""The page in Debian's chromium without a window, spoken to by its DevTools protocol.

The protocol comes through two pipes, so that no package and no port is needed.
"""

import json
import os
import shutil
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from mmdefocus.analysis.focus.measure import LayerMaps
from mmdefocus.analysis.focus.page import Picture, make_page

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
FLAGS = (
    *('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'),
    *('--no-first-run', '--disable-background-networking', '--disable-component-update'),
    '--remote-debugging-pipe',  # file descriptors 3 and 4
)
KEYS = {'Tab': 9, 'Enter': 13, 'ArrowLeft': 37, 'ArrowUp': 38, 'ArrowRight': 39, 'ArrowDown': 40}
NAME = '<img src=x onerror=alert(1)> "a" & \'b\'</script>'
LEVELS = 16  # 4 x 4 patches

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason='chromium is not installed')


class Browser:
    """A page in a browser with an empty profile.

    Attributes:
        complaints: What the page has written to the console as a warning or an error, exceptions
            that nobody caught, dialogs, and the addresses in the network that it has asked for.
    """

    def __init__(self, folder: Path) -> None:
        for name in ('commands', 'answers'):
            os.mkfifo(folder / name)
        line = ['sh', '-c', 'exec "$@" 3<"$0/commands" 4>"$0/answers" 2>"$0/errors"', str(folder)]
        line += [str(CHROMIUM), *FLAGS, f'--user-data-dir={folder / "profile"}']
        self.process = subprocess.Popen(line, env={**os.environ, 'HOME': str(folder)})
        self._writer = (folder / 'commands').open('wb')
        self._reader = (folder / 'answers').open('rb')
        self._numbers = count(1)
        self._rest = b''
        self._session: str | None = None
        self.complaints: list[str] = []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        found = self.call('Target.attachToTarget', targetId=target, flatten=True)
        self._session = found['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable')
        self.call('Emulation.setFocusEmulationEnabled', enabled=True)

    def close(self) -> None:
        self._session = None
        self.call('Browser.close')
        self.process.wait(timeout=30)

    def open(self, path: Path, width: int = 1200, dark: bool = False) -> None:
        self.complaints.clear()
        size = dict(width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call('Emulation.setDeviceMetricsOverride', **size)
        scheme = dict(name='prefers-color-scheme', value='dark' if dark else 'light')
        self.call('Emulation.setEmulatedMedia', features=[scheme])
        self.call('Page.navigate', url=path.as_uri())
        while self._receive().get('method') != 'Page.loadEventFired':
            pass

    def run(self, script: str) -> Any:
        found = self.call('Runtime.evaluate', expression=script, returnByValue=True)
        assert 'exceptionDetails' not in found, (script, found['exceptionDetails'])
        return found['result'].get('value')

    def point_at(self, x: float, y: float) -> None:
        self.call('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)

    def press(self, key: str, shift: bool = False) -> None:
        text = '\r' if key == 'Enter' else ''
        event = dict(key=key, code=key, windowsVirtualKeyCode=KEYS[key], modifiers=8 * shift)
        self.call('Input.dispatchKeyEvent', type='keyDown', text=text, **event)
        self.call('Input.dispatchKeyEvent', type='keyUp', **event)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        message = {'id': next(self._numbers), 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        self._writer.write(json.dumps(message).encode() + b'\0')
        self._writer.flush()
        while (answer := self._receive()).get('id') != message['id']:
            pass
        assert 'error' not in answer, (method, answer['error'])
        return answer['result']

    def _receive(self) -> dict[str, Any]:
        while b'\0' not in self._rest:
            read = self._reader.read1()
            assert read, 'the browser has ended'
            self._rest += read
        line, _, self._rest = self._rest.partition(b'\0')
        message = json.loads(line)
        self._note(message.get('method'), message.get('params', {}))
        return message

    def _note(self, method: str | None, event: dict[str, Any]) -> None:
        if method == 'Runtime.exceptionThrown':
            self.complaints.append(str(event['exceptionDetails']))
        elif method == 'Runtime.consoleAPICalled' and event['type'] in ('warning', 'error'):
            self.complaints.append(str(event['args']))
        elif method == 'Log.entryAdded' and event['entry']['level'] in ('warning', 'error'):
            self.complaints.append(event['entry']['text'])
        elif method == 'Page.javascriptDialogOpening':
            self.complaints.append(event['message'])
        elif method == 'Network.requestWillBeSent':
            address = event['request']['url']
            if not address.startswith(('data:', 'file:')):
                self.complaints.append(address)


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp('browser'))
    yield browser
    browser.close()


def layer_of(number: int, mean: float) -> LayerMaps:
    """A layer in which query q looks at key q - 1 most, and at every other one before it a bit."""
    attention = torch.full((1, LEVELS, LEVELS), 0.2).tril(-1)
    attention[0].diagonal(-1).fill_(1.0)
    numbers = {'tokens': torch.tensor([mean - 1, mean + 1]), 'distance': torch.tensor([3.0, 3.0])}
    field = torch.linspace(0, 1, LEVELS).reshape(1, 4, 4)
    return LayerMaps(number, attention, field, field.flip(1), numbers)


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    jpeg = cv2.imencode('.jpg', np.full((32, 32, 3), 90, np.uint8))[1].tobytes()
    models = {NAME: [layer_of(2, 4.0), layer_of(5, 8.0)], 'ViT': [layer_of(1, 2.0)]}
    picture = Picture(f'{NAME}.png', jpeg, (4, 4))
    path = tmp_path_factory.mktemp('page') / 'index.html'
    path.write_text(make_page(f'Maps of {NAME}', [picture], models, ['tokens', 'distance']))
    return path


@pytest.mark.parametrize('dark', [False, True])
def test_the_console_stays_empty_and_nothing_is_fetched(dark, browser, page):
    browser.open(page, dark=dark)
    for x in range(20, 1000, 60):
        browser.point_at(x, 400)
    for _ in range(8):
        browser.press('Tab')
        browser.press('ArrowUp')
    assert browser.complaints == []


def test_names_are_shown_letter_by_letter(browser, page):
    browser.open(page)
    assert browser.run("document.querySelector('h1').textContent") == f'Maps of {NAME}'
    assert browser.run('document.title') == f'Maps of {NAME}'
    assert browser.run("document.querySelector('#images h2').textContent") == f'{NAME}.png'
    assert browser.run("document.querySelectorAll('img').length") == 1


def test_models_are_columns_and_layers_are_rows(browser, page):
    browser.open(page)
    heads = "[...document.querySelectorAll('#images th')].map(x => x.textContent)"
    assert browser.run(heads) == ['image', NAME, 'ViT']
    rows = "[...document.querySelectorAll('#images tbody tr')].map(row => row.innerText)"
    first, second = browser.run(rows)
    assert 'layer 2' in first and 'layer 1' in first and 'layer 5' in second
    assert browser.run("document.querySelector('img.picture').naturalWidth") == 32


READING = "document.getElementById('reading').innerText"
BOX = "(() => {const b = document.querySelector('canvas.big').getBoundingClientRect();"
# the cells of the two small maps of the panel that are brighter than half
BRIGHT = """[...document.querySelectorAll('#reading canvas')].map(canvas => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const greens = [...pixels].filter((_, i) => i % 4 === 1);
    return [...greens.keys()].filter(i => greens[i] > 180); })"""


def point_at_cell(browser, query, key):
    browser.run("document.querySelector('canvas.big').scrollIntoView({block: 'center'})")
    x, y, width, height = browser.run(f'{BOX} return [b.left, b.top, b.width, b.height];}})()')
    browser.point_at(x + (key + 0.5) * width / LEVELS, y + (query + 0.5) * height / LEVELS)


def test_a_token_that_is_pointed_at_shows_its_row_and_its_column(browser, page):
    browser.open(page)
    point_at_cell(browser, query=9, key=4)
    assert 'query 10 of 16, key 5' in browser.run(READING)
    assert 'weight 0.20 of the maximum' in browser.run(READING)
    row, column = browser.run(BRIGHT)
    assert (row, column) == ([8], [5])  # query 9 looks at key 8; query 5 looks at key 4


def test_the_arrow_keys_choose_a_token(browser, page):
    browser.open(page)
    browser.run("document.querySelector('canvas.big').focus()")
    assert 'query 16 of 16, key 1' in browser.run(READING)
    for key, shift, expected in (
        ('ArrowUp', False, 'query 15 of 16, key 1'),
        ('ArrowRight', True, 'query 15 of 16, key 11'),
        ('ArrowLeft', False, 'query 15 of 16, key 10'),
        ('ArrowDown', True, 'query 16 of 16, key 10'),
    ):
        browser.press(key, shift)
        assert expected in browser.run(READING)


def test_the_tab_key_reaches_everything_and_the_focus_is_seen(browser, page):
    browser.open(page)
    reached = []
    for _ in range(5):
        browser.press('Tab')
        reached.append(browser.run('document.activeElement.id || document.activeElement.className'))
        outline = 'getComputedStyle(document.activeElement).outlineStyle'
        assert browser.run(outline) == 'solid'
    assert reached == ['choice', 'theme', 'big', 'big', 'big']


def test_light_and_dark_follow_the_system_and_the_button(browser, page):
    background = 'getComputedStyle(document.body).backgroundColor'
    browser.open(page, dark=True)
    dark = browser.run(background)
    browser.open(page)
    light = browser.run(background)
    assert light == 'rgb(255, 255, 255)' and dark != light
    browser.run("document.getElementById('theme').focus()")
    browser.press('Enter')
    assert browser.run(background) == dark


def test_numbers_have_error_bars_as_long_as_their_deviations(browser, page):
    browser.open(page)
    bars = "[...document.querySelectorAll('#chart rect')].map(x => +x.getAttribute('width'))"
    errors = """[...document.querySelectorAll('#chart .error')].map(
        x => x.getAttribute('x2') - x.getAttribute('x1'))"""
    first, second, third = browser.run(bars)
    assert second / first == pytest.approx(2) and third / first == pytest.approx(0.5)
    deviation = 2**0.5  # of two values that differ by 2
    assert browser.run(errors) == pytest.approx([2 * deviation * first / 4] * 3)
    assert '4.00 ± 1.4' in browser.run("document.getElementById('chart').textContent")
    browser.run("choice.value = 'distance'; choice.dispatchEvent(new Event('change'))")
    assert '3.00 ± 0' in browser.run("document.getElementById('chart').textContent")


def test_no_word_of_a_heading_is_broken(browser, page):
    browser.open(page)
    browser.run("document.getElementById('numbers').parentElement.style.width = '200px'")
    heights = "[...document.querySelectorAll('#numbers th')].map(x => x.clientHeight)"
    assert len(set(browser.run(heights))) == 1 and browser.run(heights)[0] < 40


def test_a_narrow_window_does_not_scroll_sideways(browser, page):
    browser.open(page, width=380)
    assert browser.run('document.documentElement.scrollWidth') <= 380
