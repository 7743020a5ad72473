"""Runs a tool of MMDetection or MMPretrain as it stands, on configs of this package.

The tools come with both packages, under .mim/tools. This one imports mmdefocus first, which
supplies the operators of mmcv that they import, lets them read checkpoints and predictions as data
alone, and draws without a screen. What follows the name goes to the tool; --help of a tool works,
too. Without a name, the names of all are listed.
"""

import os
import runpy
import sys
from argparse import REMAINDER, ArgumentParser, Namespace
from importlib.util import find_spec
from pathlib import Path

import mmdefocus.engine
import mmdefocus.models  # noqa: F401  supplies the operators of mmcv
from mmdefocus.checkpoints.mmengine_formats import predictions_readable
from mmdefocus.engine.command import command
from mmdefocus.utils.errors import InputError

PACKAGES = ('mmdet', 'mmpretrain')
FOLDERS = ('analysis_tools', 'visualization', 'misc')


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('package', choices=PACKAGES, help='whose tool it is')
    parser.add_argument('tool', nargs='?', help='its name, such as browse_dataset')
    parser.add_argument('arguments', nargs=REMAINDER, help='of the tool')


def tools_of(package: str) -> dict[str, Path]:
    """Returns the tools of a package, by their names.

    Raises:
        InputError: If it is not installed with them.
    """
    spec = find_spec(package)
    places = (spec.submodule_search_locations or []) if spec else []
    folders = [Path(place, '.mim', 'tools', folder) for place in places for folder in FOLDERS]
    found = {path.stem: path for folder in folders for path in sorted(folder.glob('*.py'))}
    if not found:
        raise InputError(f'{package}: its tools are not installed; install it from its wheel')
    return found


@command(add_arguments)
def main(args: Namespace) -> None:
    """Runs one tool in this process, or lists all."""
    tools = tools_of(args.package)
    if args.tool is None:
        print('\n'.join(sorted(tools)))
        return
    if args.tool not in tools:
        raise InputError(
            f'TOOL: expected one of {", ".join(sorted(tools))} of {args.package}, got {args.tool}'
        )
    os.environ.setdefault('MPLBACKEND', 'Agg')
    sys.argv = [args.tool, *args.arguments]
    with predictions_readable():
        runpy.run_path(str(tools[args.tool]), run_name='__main__')


if __name__ == '__main__':
    main()
