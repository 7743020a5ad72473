"""Whether the parts of a config agree on the classes: loaders, heads and evaluators."""

from collections.abc import Iterator, Mapping, Sequence

from mmengine.config import Config

from ...datasets.by_name import listed
from ...datasets.coco_contents import coco_contents
from ...datasets.coco_file import read_coco_table
from ...utils.errors import InputError
from .reading import Part

HEADS = ('head', 'bbox_head', 'mask_head', 'roi_head', 'query_head', 'data_preprocessor')


def check_agreement(cfg: Config, found: Mapping[str, Sequence[Part]]) -> None:
    """Compares what the loaders hold with each other, with the model and with the evaluators.

    Raises:
        InputError: Names the two that disagree, and the remedy.
    """
    for loader, parts in found.items():
        for part in parts:
            _check_order(part)
        _check_use(loader, parts)
        _check_evaluator(cfg, loader, parts)
    _check_labels(found)
    for loader, parts in found.items():
        for part in parts:
            if part.names:
                _check_heads(cfg, loader, len(part.names))
                _check_metrics(cfg, loader, len(part.names))


def _check_order(part: Part) -> None:
    """Refuses a dataset whose class numbers labels in one order and names them in another."""
    contents = part.contents
    if contents and not part.by_name and contents.order != contents.labels:
        raise InputError(
            f'{part.where} ({part.kind}): labels are numbered in the order of '
            f'{contents.source}, {listed(contents.order)}, and named in that of classes, '
            f"{listed(contents.labels)}; use type 'CocoByName', and 'CocoMetricByName' to evaluate"
        )
    if contents and not part.by_name and (absent := _filled_in(contents.notes)):
        raise InputError(
            f'{part.where} ({part.kind}): {contents.source}: {absent}; '
            "use type 'CocoByName', and 'CocoMetricByName' to evaluate"
        )


def _filled_in(notes: Mapping[str, int]) -> str:
    return ', '.join(f'{count} {what}' for what, count in notes.items() if 'without' in what)


def _check_use(loader: str, parts: Sequence[Part]) -> None:
    """Refuses a loader of which nothing is left."""
    known = [part.contents for part in parts if part.contents]
    if len(known) < len(parts):
        return
    if not any(contents.num_images for contents in known):
        why = '; '.join(f'{n} {what}' for c in known for what, n in c.left_out.items())
        raise InputError(f'{loader}: no image in {known[0].source}' + (f': {why}' if why else ''))
    if not any(contents.objects.total() for contents in known):
        why = '; '.join(f'{n} {what}' for c in known for what, n in c.left_out.items())
        raise InputError(
            f'{loader}: no usable object in {known[0].source}' + (f': {why}' if why else '')
        )


def _check_labels(found: Mapping[str, Sequence[Part]]) -> None:
    """Refuses loaders in which a number stands for different classes."""
    parts = [part for parts in found.values() for part in parts]
    named = [(part, part.contents.labels if part.contents else part.names) for part in parts]
    known = [(part, labels) for part, labels in named if labels]
    for part, labels in known[1:]:
        first, expected = known[0]
        if tuple(labels) != tuple(expected):
            where = part.contents.source if part.contents else part.where
            raise InputError(
                f'{part.where} ({part.kind}): the labels of {where} are '
                f'{listed(labels)}, those of {first.where} are {listed(expected)}; give both '
                "metainfo.classes with all names, and type 'CocoByName' or 'FoldersByName'"
            )


def _check_heads(cfg: Config, loader: str, count: int) -> None:
    """Refuses a head or preprocessor for another number of classes."""
    nodes = [*_counts('model', cfg.model)]
    if 'data_preprocessor' in cfg and 'data_preprocessor' not in cfg.model:
        nodes += _counts('data_preprocessor', cfg.data_preprocessor)
    for where, number in nodes:
        if type(number) is not int or number != count:
            raise InputError(
                f'{cfg.filename}: {where}.num_classes is {number!r}, but {loader} has {count} '
                f'classes; set {where}.num_classes={count}'
            )
    train = cfg.model.get('train_cfg') or {}
    mixes = isinstance(train, Mapping) and train.get('augments')
    if mixes and not any(where.endswith('data_preprocessor') for where, _ in nodes):
        raise InputError(
            f'{cfg.filename}: model.train_cfg.augments mixes labels, for which '
            f'data_preprocessor.num_classes={count} must be set'
        )


def _counts(where: str, node: object, inside: bool = False) -> Iterator[tuple[str, object]]:
    """Yields each `num_classes` of a head or preprocessor with the keys that lead to it."""
    key = where.rpartition('.')[2]
    inside = (inside or key in HEADS) and key not in ('rpn_head', 'task_heads')
    if isinstance(node, (list, tuple)):
        for number, child in enumerate(node):
            yield from _counts(f'{where}.{number}', child, inside)
    if not isinstance(node, Mapping):
        return
    if inside and node.get('num_classes') is not None:
        yield where, node['num_classes']
    for name, child in node.items():
        if name not in ('rpn_head', 'task_heads'):
            yield from _counts(f'{where}.{name}', child, inside)


def _evaluators(cfg: Config, loader: str) -> list[tuple[str, Mapping]]:
    key = loader.replace('_dataloader', '_evaluator')
    given = cfg.get(key) or []
    given = given if isinstance(given, (list, tuple)) else [given]
    return [(key, evaluator) for evaluator in given if isinstance(evaluator, Mapping)]


def _check_metrics(cfg: Config, loader: str, count: int) -> None:
    """Refuses a metric of another number of classes, or of the best of more than there are."""
    for key, evaluator in _evaluators(cfg, loader):
        number = evaluator.get('num_classes')
        if isinstance(number, int) and number != count:
            raise InputError(
                f'{cfg.filename}: {key}.num_classes is {number}, but {loader} has {count} '
                f'classes; set {key}.num_classes={count}'
            )
        topk = evaluator.get('topk') or ()
        topk = topk if isinstance(topk, (list, tuple)) else (topk,)
        if topk and max(topk) > count:
            raise InputError(
                f'{cfg.filename}: {key}.topk has {max(topk)}, but {loader} has {count} classes; '
                f'set {key}.topk to {count} or less'
            )


def _check_evaluator(cfg: Config, loader: str, parts: Sequence[Part]) -> None:
    """Refuses a COCO metric with a file of other images, or of categories in another order."""
    contents = parts[0].contents if len(parts) == 1 else None
    if contents is None or not contents.ids:
        return
    (part,) = parts
    for key, evaluator in _evaluators(cfg, loader):
        kind, path = evaluator.get('type'), evaluator.get('ann_file')
        kind = kind if isinstance(kind, str) else getattr(kind, '__name__', '')
        if path is None or not kind.rpartition('.')[2].startswith('CocoMetric'):
            continue
        truth = contents
        if path != truth.source:
            try:
                truth = coco_contents(path, read_coco_table(path), part.names or (), '')
            except InputError as error:
                raise InputError(f'{cfg.filename}: {key}.ann_file: {error}') from error
        if truth.ids != contents.ids:
            raise InputError(
                f'{cfg.filename}: {key}.ann_file {path} has {len(truth.ids)} images, other ones '
                f'than {contents.source}, which {loader} reads; name the same file in both'
            )
        if 'ByName' not in kind and (truth.order != truth.labels or _filled_in(truth.notes)):
            raise InputError(
                f'{cfg.filename}: {key}: {kind} goes by the order of the categories in {path}, '
                f'{listed(truth.order)}, not by that of classes, {listed(truth.labels)}; use type '
                "'CocoMetricByName'"
            )
