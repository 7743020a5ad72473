"""Finished trainings in their work directories, and what was measured of them before."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from rich.console import Console

from ..analysis.training_log import TOP_1, read_curve
from ..utils.errors import InputError
from ..utils.files import write_json
from .config.command_line import read_config
from .resuming.newest import newest_checkpoint


@dataclass(frozen=True)
class FinishedRun:
    """A training of tools/train.py that has written weights and an accuracy.

    Attributes:
        cfg: The config that it has left in its work directory.
        setting: The name of the config. Runs of one setting differ in their seed.
        seed: Its random seed.
        checkpoint: The newest one.
        accuracy: The last top-1 accuracy that it has logged, in percent.
    """

    cfg: Config
    setting: str
    seed: int
    checkpoint: str
    accuracy: float

    def remembered(
        self, folder: Path, settings: Mapping[str, object], measure: Callable[[], object]
    ) -> Any:
        """Measures the weights and keeps the result in a folder, or returns what is kept there.

        Args:
            folder: Where results are kept, a JSON file a run.
            settings: What the result depends on besides the weights.
            measure: Returns what JSON can hold.
        """
        written = Path(self.checkpoint).stat().st_mtime_ns
        key = {'checkpoint': self.checkpoint, 'written': written, **settings}
        kept = folder / f'{self.setting}_seed-{self.seed}.json'
        content = json.loads(kept.read_text()) if kept.is_file() else {}
        if 'found' not in content or any(content.get(name) != key[name] for name in key):
            content = {**key, 'found': measure()}
            write_json(content, kept)
        return content['found']


class UnfinishedRun(InputError):
    """A work directory without a config, a checkpoint or an accuracy."""


def finished_runs(
    folders: Sequence[Path], options: Mapping | None, console: Console
) -> Iterator[FinishedRun]:
    """Yields the finished runs of work directories, and says which are left out.

    Args:
        folders: The work directories.
        options: Overrides entries of the configs.
        console: Where to say so.

    Raises:
        InputError: If none is finished.
    """
    found = 0
    for folder in folders:
        try:
            run = finished_run(folder, options)
        except UnfinishedRun as error:
            console.print(f'left out: {error}', highlight=False, soft_wrap=True)
            continue
        found += 1
        yield run
    if not found:
        raise InputError('WORK_DIR: none of these runs is finished')


def finished_run(folder: Path, options: Mapping | None) -> FinishedRun:
    """Returns the run of a work directory.

    Raises:
        UnfinishedRun: If it has no config, no checkpoint or no accuracy.
    """
    configs = sorted(folder.glob('*.py'))
    if len(configs) != 1:
        raise UnfinishedRun(f'{folder}: expected the one config of a run, got {len(configs)} *.py')
    checkpoint = newest_checkpoint([folder])
    accuracies = read_curve(folder, TOP_1)
    if checkpoint is None or not accuracies:
        raise UnfinishedRun(f'{folder}: no {"checkpoint" if checkpoint is None else TOP_1} yet')
    cfg = read_config(str(configs[0]), options or {})
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    return FinishedRun(cfg, configs[0].stem, seed, checkpoint, accuracies[-1])
