"""docs/architecture.md against the tree: the map names what exists, and its arrows hold."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'architecture.md').read_text()
PATHS = sorted(set(re.findall(r'`((?:mmdefocus|configs|tools|tests|docs)/[^`\s]*)`', PAGE)))
ARROWS = {
    room: frozenset(others.split())
    for room, others in re.findall(r'^(\w+) +->(.*)$', PAGE, flags=re.MULTILINE)
}


def rooms() -> list[Path]:
    """Returns the folders and modules directly inside the package."""
    inside = (ROOT / 'mmdefocus').iterdir()
    return [
        path
        for path in inside
        if (path / '__init__.py').is_file() or (path.suffix == '.py' and path.stem != '__init__')
    ]


def imports(path: Path) -> Iterator[str]:
    """Yields the absolute name of everything that a file imports, wherever in the file."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = [*above, *([node.module] if node.module else [])]
            yield from ('.'.join([*module, alias.name]) for alias in node.names)


@pytest.mark.parametrize('path', PATHS)
def test_every_path_on_the_map_exists(path):
    place = ROOT / path
    assert place.is_dir() if path.endswith('/') else place.is_file()


def test_every_room_is_on_the_map():
    names = {f'mmdefocus/{path.name}' + '/' * path.is_dir() for path in rooms()}
    assert names <= set(PATHS)


def test_every_folder_that_is_a_room_has_arrows():
    folders = {path.name for path in rooms() if path.is_dir()}
    assert folders | {'tools'} == set(ARROWS)


@pytest.mark.parametrize('room', ARROWS)
def test_imports_follow_the_arrows(room):
    folder = ROOT / room if room == 'tools' else ROOT / 'mmdefocus' / room
    allowed = ARROWS[room] | {room, 'version'}
    against = [
        f'{path.relative_to(ROOT)}: {name}'
        for path in folder.rglob('*.py')
        for name in imports(path)
        if name.startswith('mmdefocus.') and name.split('.')[1] not in allowed | {'__version__'}
    ]
    assert not against


def test_arrows_point_one_way():
    ranks: dict[str, int] = {}

    def rank(room: str, path: tuple[str, ...] = ()) -> int:
        assert room not in path, f'a circle: {" -> ".join([*path, room])}'
        below = ARROWS.get(room, frozenset())
        ranks[room] = 1 + max((rank(other, (*path, room)) for other in below), default=0)
        return ranks[room]

    assert rank('tools') == max(ranks.values())


def test_operators_need_no_library_of_openmmlab():
    found = {
        name.split('.')[0]
        for path in (ROOT / 'mmdefocus' / 'ops').rglob('*.py')
        for name in imports(path)
    }
    assert 'torch' in found and not found & {'mmcv', 'mmdet', 'mmengine', 'mmpretrain', 'numpy'}
