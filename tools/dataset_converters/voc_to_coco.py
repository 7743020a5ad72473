"""Converts boxes in Pascal VOC's format (XML) to COCO's (JSON), one file a split.

ROOT holds `Annotations/*.xml`, `JPEGImages/*` and `ImageSets/Main/{train,val,trainval,test}.txt`,
lists of names without suffix. Without such lists all annotations become one split, `all`. The
images stay where they are. An image has the name of its annotation; if there is none of this name,
that in `<filename>`. Boxes that cannot be used are left out, counted, and the first of them is
named. A file that is no annotation ends the conversion with a line that names it. All splits have
the same categories, and an image has the same id in each.
"""

import json
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.progress import Progress

from mmdefocus.datasets.voc_folder import Outcome, Rules, VocFolder
from mmdefocus.datasets.voc_splits import (
    ClassNames,
    Split,
    check_usable,
    make_split,
    read_split,
    shared,
)
from mmdefocus.engine.command import command, some_path
from mmdefocus.utils.console import make_console, make_table
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import replacing

LISTS = Path('ImageSets', 'Main')
USUAL_SPLITS = ('train', 'val', 'trainval', 'test')


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('root', type=some_path, help='folder of the data set')
    parser.add_argument(
        '--out', type=some_path, metavar='DIR', help='where SPLIT.json go; ROOT/coco'
    )
    parser.add_argument(
        '--splits', nargs='+', metavar='SPLIT', help='names of the lists; all of the usual four'
    )
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='classes to keep, in the order of the categories; all, in the order of the alphabet',
    )
    parser.add_argument('--images', default='JPEGImages', metavar='DIR', help='within ROOT')
    parser.add_argument('--annotations', default='Annotations', metavar='DIR', help='within ROOT')
    parser.add_argument(
        '--difficult',
        choices=('ignore', 'keep', 'drop'),
        default='ignore',
        help='what becomes of objects marked as difficult: crowds, objects, nothing',
    )
    parser.add_argument(
        '--one-based',
        action='store_true',
        help='corners are numbers of pixels from 1 on, both in the box, as in VOC2007 and VOC2012',
    )
    parser.add_argument(
        '--any-size',
        action='store_true',
        help='use images of another size than annotated; boxes count in pixels of the file',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace files that exist')


@command(add_arguments)
def main(args: Namespace) -> None:
    """Converts a data set and prints what is in it."""
    rules = Rules(one_based=args.one_based, any_size=args.any_size)
    folder = VocFolder(args.root / args.annotations, args.root / args.images, rules)
    splits = find_splits(args.root / LISTS, args.splits, folder)
    out = args.out or args.root / 'coco'
    for split in splits:
        if (out / f'{split}.json').exists() and not args.overwrite:
            raise InputError(f'{out / split}.json: exists; --overwrite replaces it')
    outcomes = read_all(folder, sorted({stem for stems in splits.values() for stem in stems}))
    check_usable(splits, outcomes)
    names = Counter(found.name for outcome in outcomes.values() for found in outcome.objects())
    classes = ClassNames(names, args.classes)
    ids = {stem: number for number, stem in enumerate(outcomes, start=1)}
    made = {
        name: make_split(stems, outcomes, ids, classes, args.difficult)
        for name, stems in splits.items()
    }
    for name, split in made.items():
        with replacing(out / f'{name}.json') as unfinished:
            unfinished.write_text(json.dumps(split.content))
    show(made, classes)
    for (first, second), count in shared(splits).items():
        print(f'{first} and {second} share {count} images')
    print(f'{out}: {", ".join(f"{name}.json" for name in made)}')


def find_splits(folder: Path, wanted: list[str] | None, data: VocFolder) -> dict[str, list[str]]:
    """Returns the names of the images of each split.

    Raises:
        InputError: If there are lists, but none of the usual names; or see `read_split`.
    """
    if wanted is None:
        if not folder.is_dir():
            return {'all': data.annotations.stems()}
        wanted = [split for split in USUAL_SPLITS if (folder / f'{split}.txt').is_file()]
        if not wanted:
            raise InputError(
                f'{folder}: expected a list such as train.txt, found none; give --splits the names'
            )
    return {split: read_split(folder / f'{split}.txt', data.annotations) for split in wanted}


def read_all(folder: VocFolder, stems: list[str]) -> dict[str, Outcome]:
    """Reads the annotations and the headers of the images, with a bar that shows how far it is.

    Raises:
        InputError: If two annotations are of one image; or see `VocFolder.read`.
    """
    with Progress(console=make_console(stderr=True)) as progress:
        bar = progress.track(stems, description='annotations')
        outcomes = {stem: folder.read(stem) for stem in bar}
    owners: dict[str, str] = {}
    for stem, outcome in outcomes.items():
        name = outcome.image and outcome.image.file_name
        if name and owners.setdefault(name, stem) != stem:
            raise InputError(
                f'{stem}.xml: its image {name} is that of {owners[name]}.xml, too; expected one '
                'annotation of each image'
            )
    return outcomes


def show(splits: Mapping[str, Split], classes: ClassNames) -> None:
    """Prints the objects by class and split, and what is left out or taken otherwise."""
    table = make_table('', *splits)

    def add(title: str, counts: list[int]) -> None:
        table.add_row(title, *(f'{count:,}' for count in counts))

    add('images', [len(split.content['images']) for split in splits.values()])
    for name in classes.names:
        add(name, [split.objects[name] for split in splits.values()])
    for title, tallies in (
        ('left out', [split.left_out for split in splits.values()]),
        ('taken otherwise', [split.notes for split in splits.values()]),
    ):
        for reason in dict.fromkeys(reason for tally in tallies for reason in tally):
            first = next(tally[reason][0] for tally in tallies if tally.get(reason))
            table.add_section()
            add(f'{title}: {reason}\n  first: {first}', [len(t.get(reason, ())) for t in tallies])
    make_console().print(table)


if __name__ == '__main__':
    main()
