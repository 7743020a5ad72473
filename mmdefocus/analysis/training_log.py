"""What a training has logged, in the scalars.json of its work directory."""

import json
from collections.abc import Mapping
from pathlib import Path

from ..utils.errors import InputError

TOP_1 = 'accuracy/top1'
AUX_TOP_1 = 'accuracy/aux_top1'


def read_log(log: Path) -> list[Mapping]:
    """Returns the lines of a log, without a last one that a killed process has left unfinished.

    Raises:
        InputError: If another line holds something else than scalars.
    """
    lines = log.read_text('utf-8', errors='replace').splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            scalars = json.loads(line)
        except json.JSONDecodeError:
            if number == len(lines):
                break
            scalars = None
        if not isinstance(scalars, Mapping):
            raise InputError(
                f'{log}: line {number}: expected the scalars of a step as JSON, got {line[:40]!r}; '
                'delete the log to do without it'
            )
        found.append(scalars)
    return found


def read_curve(work_dir: Path, metric: str) -> list[float]:
    """Returns what a training has logged of a metric, in the order of the epochs.

    A resumed training has several logs; of an epoch that was repeated the last one counts.

    Raises:
        InputError: If a log is damaged.
    """
    curve: dict[int, float] = {}
    for log in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for scalars in read_log(log):
            if metric in scalars:
                curve[scalars['step']] = scalars[metric]
    return [curve[epoch] for epoch in sorted(curve)]
