"""How lines and points look that a reader has to tell apart, in colour and in grey."""

from typing import Any

MARKERS = 'osD^vP*X<>hp'
# told apart by the colour-blind (Okabe and Ito, 2008), without yellow, which is faint on white
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')
DASHES = ('-', '--', '-.', ':')


def line_style(index: int) -> dict[str, Any]:
    """Returns the `color`, `marker` and `linestyle` of a line for matplotlib.

    The first 12 lines have markers of their own, and a colour that comes again has other dashes.
    """
    return {
        'color': COLOURS[index % len(COLOURS)],
        'marker': MARKERS[index % len(MARKERS)],
        'linestyle': DASHES[index // len(COLOURS) % len(DASHES)],
    }
