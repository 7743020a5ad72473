"""Results of trainings, a JSON file each."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from ..utils.errors import InputError
from ..utils.files import write_json
from .training_log import AUX_TOP_1, TOP_1


class Metric(NamedTuple):
    """What a training logs of its validations.

    Attributes:
        key: Its name in the log.
        title: What a table calls it.
        factor: What makes percent of it.
    """

    key: str
    title: str
    factor: float = 1.0


# by their names in results and tables
METRICS = {
    'top1': Metric(TOP_1, 'top-1, %'),
    'aux_top1': Metric(AUX_TOP_1, 'auxiliary top-1, %'),
    'bbox_mAP': Metric('coco/bbox_mAP', 'mAP, %', 100.0),
    'bbox_mAP_50': Metric('coco/bbox_mAP_50', 'AP50, %', 100.0),
}
# what a file may hold besides curves; those that were written first have no settings
KINDS = {
    'config': str,
    'seed': int,
    'epochs': int,
    'seconds': int | float | None,
    'device': str,
    'commit': str | None,
    'settings': str | None,
}
NEEDED = KINDS.keys() - {'settings'}


@dataclass(frozen=True)
class Run:
    """The result of a training.

    Attributes:
        config: Name of the config, without `.py`.
        seed: Its random seed.
        epochs: How long it was trained.
        curves: What each validation gave, in percent, by the names of `METRICS`; in the file,
            each curve is a field of its own.
        seconds: Wall clock; None if the training was interrupted and resumed.
        device: What it was trained on.
        commit: The revision of the code; None if not known.
        settings: The fingerprint of what the config asked for; None if not known.
    """

    config: str
    seed: int
    epochs: int
    curves: dict[str, list[float]]
    seconds: float | None
    device: str
    commit: str | None
    settings: str | None = None

    def curve(self, metric: str) -> list[float]:
        """Returns what the validations gave, in percent.

        Raises:
            InputError: If the run has no such metric.
        """
        if metric not in self.curves:
            raise InputError(
                f'{self.config} seed {self.seed}: expected {metric} in its result, got '
                f'{", ".join(self.curves)}; name one of these as the metrics of the table'
            )
        return self.curves[metric]

    def last(self, metric: str) -> float:
        """Returns what the last validation gave, in percent.

        Raises:
            InputError: If the run has no such metric.
        """
        return self.curve(metric)[-1]


def result_file(folder: Path, config: str, seed: int) -> Path:
    """Returns where the result of a run is."""
    return folder / f'{config}_seed-{seed}.json'


def write_run(run: Run, folder: Path) -> None:
    """Writes a result whole or not at all."""
    content = asdict(run)
    content |= content.pop('curves')
    write_json(content, result_file(folder, run.config, run.seed))


def read_runs(folder: Path) -> list[Run]:
    """Returns the results in a folder, in the order of their names.

    Raises:
        InputError: If a file holds something else or the result of another run than its name says,
            or if the runs of a config differ in more than their seed.
    """
    runs = [_read_run(path) for path in sorted(folder.glob('*.json'))]
    for group in by_config(runs).values():
        _check_alike(folder, group)
    return runs


def by_config(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Returns the runs of each config by its name."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.config, []).append(run)
    return found


def _read_run(path: Path) -> Run:
    try:
        content = json.loads(path.read_text('utf-8'))
    except ValueError as error:  # no JSON, or no UTF-8
        raise InputError(f'{path}: no JSON: {error}; delete it to run it again') from error
    if fault := _fault(content):
        raise InputError(
            f'{path}: expected the result of a run, with {", ".join(sorted(NEEDED))} and some of '
            f'{", ".join(METRICS)}, got {fault}; move the file elsewhere'
        )
    curves = {name: content[name] for name in METRICS if content.get(name)}
    run = Run(**{name: content[name] for name in KINDS if name in content}, curves=curves)
    name = result_file(path.parent, run.config, run.seed).name
    if path.name != name:  # a copy would count twice
        raise InputError(f'{path}: expected the name {name} of the run in it; rename or delete it')
    return run


def _fault(content: object) -> str | None:
    """Returns what keeps the content of a file from being the result of a run, if anything does."""
    if not isinstance(content, dict):
        return f'{content!r:.40}'
    if missing := NEEDED - content.keys():
        return f'no {", ".join(sorted(missing))}'
    if not any(content.get(name) for name in METRICS):
        return f'no {" or ".join(METRICS)}'
    for name, value in content.items():
        if name in METRICS:
            valid = isinstance(value, list) and all(map(is_number, value))
        else:
            valid = name in KINDS and isinstance(value, KINDS[name])
        if not valid:
            return f'{name}: {value!r:.40}'
    return None


def is_number(value: object) -> bool:
    """Tells whether a value is a number that is neither NaN nor infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_alike(folder: Path, runs: Sequence[Run]) -> None:
    """Checks that runs of one config differ in their seed alone, as far as is known."""
    lengths = {run.epochs for run in runs}
    if len(lengths) > 1:
        raise InputError(
            f'{folder}: {runs[0].config}: expected runs of one length, got '
            f'{", ".join(map(str, sorted(lengths)))} epochs; keep each in a folder of its own'
        )
    validations = {len(curve) for run in runs for curve in run.curves.values()}
    if len(validations) > 1:
        raise InputError(
            f'{folder}: {runs[0].config}: expected as many validations in each run, got '
            f'{", ".join(map(str, sorted(validations)))}; keep each in a folder of its own'
        )
    if len({run.settings for run in runs} - {None}) > 1:
        raise InputError(
            f'{folder}: {runs[0].config}: expected runs of the same settings, got some of a config '
            'that was changed; keep each in a folder of its own'
        )
