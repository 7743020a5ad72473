import io
import sys

from rich.console import Console

from shared.plot import Labels, Point, save_plot

POINTS = [Point('scan', 'cpu', length, 1.0, 0.5, 2.0, None) for length in (197, 577)]
LABELS = Labels('tokens', 'ms', 'MiB')


def test_plot_is_a_png(tmp_path):
    save_plot(tmp_path / 'plot.png', POINTS, LABELS, Console(file=io.StringIO()))
    assert (tmp_path / 'plot.png').read_bytes().startswith(b'\x89PNG')


def test_without_matplotlib_a_line_says_that_there_is_no_plot(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    monkeypatch.delitem(sys.modules, 'matplotlib.figure', raising=False)
    console = Console(file=io.StringIO(), width=200)
    save_plot(tmp_path / 'plot.png', POINTS, LABELS, console)
    assert 'plot.png is skipped' in console.file.getvalue()
    assert not (tmp_path / 'plot.png').exists()
