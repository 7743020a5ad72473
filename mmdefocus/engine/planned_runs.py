"""Trainings to come: what they are, and whether results and work directories are of the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..analysis.runs import METRICS, Run, is_number
from ..analysis.training_log import read_curve
from ..utils.checks import check_positive_int
from ..utils.config_keys import check_keys
from ..utils.errors import InputError
from ..utils.files import replacing
from .config.command_line import read_config
from .config.data_folder import data_arguments
from .config.errors import config_errors
from .config.fingerprint import fingerprint

RECORD = 'ablation.settings'  # in a work directory, the fingerprint of what is trained there


@dataclass(frozen=True)
class Plan:
    """What the trainings of a config have in common.

    Attributes:
        config: Its file.
        epochs: How long they are.
        validations: How many a training has.
        settings: The fingerprint of what the config asks for.
        data: `KEY=VALUE` that move the data to another folder.
    """

    config: Path
    epochs: int
    validations: int
    settings: str
    data: tuple[str, ...] = ()


def make_plan(config: Path, epochs: int | None = None, data_root: Path | None = None) -> Plan:
    """Returns the plan of a config.

    Args:
        config: Its file.
        epochs: How long to train; None for as long as it says.
        data_root: Where the data are; None for where it says.

    Raises:
        InputError: If the config is not trained by epochs, or is not validated.
    """
    cfg = read_config(str(config), {})
    with config_errors(cfg):
        check_keys(cfg, ('train_cfg', 'val_dataloader'))
        loop = cfg.train_cfg
        if loop.get('max_epochs') is None or not loop.get('by_epoch', True):
            raise InputError(
                f'{config}: train_cfg: expected max_epochs, since only trainings by epochs are '
                f'compared, got {dict(loop)}'
            )
        loop.max_epochs = epochs or loop.max_epochs
        interval = loop.get('val_interval', 1)
        for name, value in (('max_epochs', loop.max_epochs), ('val_interval', interval)):
            check_positive_int(f'{config}: train_cfg.{name}', value)
        last, first = loop.max_epochs, max(1, loop.get('val_begin', 1))
        validated = [n for n in range(first, last + 1) if n % interval == 0 or n == last]
        data = tuple(data_arguments(cfg, data_root)) if data_root else ()
        return Plan(config, last, len(validated), fingerprint(cfg), data)


def check_results(plan: Plan, runs: Iterable[Run], folder: Path) -> None:
    """Checks that results of a config, of whatever seed, are of what the config asks for now.

    Args:
        plan: The plan of the config.
        runs: The results in a folder.
        folder: The folder.

    Raises:
        InputError: If they are not. What the first results do not tell is not checked.
    """
    for run in runs:
        if run.config != plan.config.stem:
            continue
        if run.epochs != plan.epochs or run.settings not in (None, plan.settings):
            got = f'{run.epochs} epochs' if run.epochs != plan.epochs else 'another config'
            raise InputError(
                f'{folder}: {run.config}: expected results of {plan.config} with {plan.epochs} '
                f'epochs, got some of {got}; name another --out, or delete them'
            )


def check_folder(folder: Path, settings: str) -> str | None:
    """Checks that a work directory holds no training of other settings.

    Args:
        folder: The work directory.
        settings: The fingerprint of what is to be trained.

    Returns:
        The fingerprint of what will be there after the training; None if it is not known, because
        the training in the folder was begun before there were fingerprints.

    Raises:
        InputError: If it holds another training.
    """
    if not any(folder.glob('*.pth')) and not any(folder.glob('*/vis_data/scalars.json')):
        return settings
    record = folder / RECORD
    known = record.read_text('utf-8', errors='replace').strip() if record.is_file() else None
    if known not in (None, settings):
        raise InputError(
            f'{folder}: expected a training of this config and as many epochs, got another; name '
            'another --work-dir, or delete the folder'
        )
    return known


def claim_folder(folder: Path, settings: str) -> str | None:
    """Notes in a work directory what is to be trained there, see `check_folder`."""
    known = check_folder(folder, settings)
    if known is not None:
        with replacing(folder / RECORD) as unfinished:
            unfinished.write_text(f'{settings}\n', 'utf-8')
    return known


def validations_of(plan: Plan, folder: Path) -> dict[str, list[float]]:
    """Returns what the validations of a training gave, in percent.

    Raises:
        InputError: If its logs have no validation of a known metric, too few, or none that is a
            number.
    """
    logged = {name: read_curve(folder, metric.key) for name, metric in METRICS.items()}
    curves = {name: values for name, values in logged.items() if values}
    if not curves or any(len(values) != plan.validations for values in curves.values()):
        got = max(map(len, curves.values()), default=0)
        raise InputError(
            f'{folder}: expected {plan.validations} validations in {plan.epochs} epochs, got '
            f'{got}; delete the folder to run it again'
        )
    for name, values in curves.items():
        if not all(map(is_number, values)):
            raise InputError(f'{folder}: {name}: expected finite numbers, got {values}')
    return {
        name: [round(METRICS[name].factor * x, 4) for x in values]
        for name, values in curves.items()
    }
