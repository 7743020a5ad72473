"""Learning rates of all recipes, followed over the whole training."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope

from mmdefocus.engine.config.schedules import check_schedules
from mmdefocus.utils.errors import InputError

CONFIGS = Path(__file__).parents[2] / 'configs'
ALL = sorted(p.relative_to(CONFIGS) for p in CONFIGS.glob('[!_]*/**/*.py'))
FACTORS = (1.0, 0.1, 0.65**12, 0.0)  # as lr_mult, layer-wise decay and frozen layers make them
STEPS = 8  # an epoch


def rates_of(cfg: Config) -> torch.Tensor:
    """Returns the rate of each group at each step, `(steps, groups)`, relative to the first's."""
    rate = cfg.optim_wrapper.optimizer.lr
    groups = [{'params': [torch.nn.Parameter(torch.zeros(1))], 'lr': rate * f} for f in FACTORS]
    optimizer = torch.optim.SGD(groups, lr=rate)
    epochs = cfg.train_cfg.max_epochs
    schedulers = []
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        for given in cfg.param_scheduler:
            given = dict(given)
            by_epoch = given.get('by_epoch', True)
            given.pop('_scope_', None)
            given.setdefault('end', epochs if by_epoch else epochs * STEPS)  # as the runner does
            kind = PARAM_SCHEDULERS.get(given.pop('type'))
            if given.pop('convert_to_iter_based', False):
                given['epoch_length'] = STEPS
                schedulers.append((False, kind.build_iter_from_epoch(optimizer, **given)))
            else:
                schedulers.append((by_epoch, kind(optimizer, **given)))
    seen = []
    for step in range(epochs * STEPS):
        seen.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        for by_epoch, scheduler in schedulers:
            if not by_epoch or step % STEPS == STEPS - 1:
                scheduler.step()
    return torch.tensor(seen, dtype=torch.float64)


@pytest.mark.parametrize('path', ALL, ids=str)
def test_rates_of_all_groups_stay_proportional(path):
    rates = rates_of(Config.fromfile(CONFIGS / path))
    expected = rates[:, :1] * torch.tensor(FACTORS, dtype=torch.float64)
    torch.testing.assert_close(rates, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ('name', 'peak'),
    [
        ('defocus-mamba-base_8xb128_in1k', 1e-3),
        ('deit-small_8xb128_in1k', 1e-3),
        ('defocus-mamba-large_32xb128_in21k-192px', 1e-3),
        ('defocus-mamba-large_in21k-pre_32xb32_in1k-384px', 4e-5),
    ],
)
def test_the_last_rate_is_a_hundredth_of_the_peak(name, peak):
    rates = rates_of(Config.fromfile(CONFIGS / 'imagenet' / f'{name}.py'))[:, 0]
    assert rates[0].item() == pytest.approx(peak * 1e-3, rel=0.05)
    assert rates.max().item() == pytest.approx(peak, rel=1e-2)
    assert rates[-1].item() == pytest.approx(peak * 1e-2, rel=0.05)


def test_schedules_follow_the_length_of_the_training():
    cfg = Config.fromfile(CONFIGS / 'imagenet' / 'defocus-mamba-base_8xb128_in1k.py')
    cfg.train_cfg.max_epochs = 40
    assert rates_of(cfg)[-1, 0].item() == pytest.approx(1e-5, rel=0.05)


@pytest.mark.parametrize('epochs', [1, 2])
def test_a_training_within_its_warm_up_names_both_keys(epochs):
    cfg = Config.fromfile(CONFIGS / 'digits' / 'defocus-mamba-digits_cls.py')
    check_schedules(cfg)
    cfg.train_cfg.max_epochs = epochs
    message = f'param_scheduler.1.begin=2, but the training ends at train_cfg.max_epochs={epochs}'
    with pytest.raises(InputError, match=message):
        check_schedules(cfg)


def test_a_schedule_that_ends_before_it_begins_is_named():
    scheduler = {'type': 'LinearLR', 'begin': 3, 'end': 3}
    cfg = Config({'train_cfg': {'max_epochs': 9}, 'param_scheduler': {'backbone': [scheduler]}})
    with pytest.raises(InputError, match=r'param_scheduler.backbone.0.end=3 is not after'):
        check_schedules(cfg)


@pytest.mark.parametrize(
    ('training', 'schedule', 'message'),
    [
        ({'max_epochs': '9'}, {}, "train_cfg.max_epochs: expected a number, got '9'"),
        ({}, {'end': 'two'}, "param_scheduler.0.end: expected a number, got 'two'"),
        ({}, {'milestones': '30'}, 'milestones: expected numbers, got the text'),
        ({}, {'milestones': [8, '11']}, "milestones.1: expected a number, got '11'"),
    ],
)
def test_a_length_that_is_no_number_is_named(training, schedule, message):
    schedules = [{'type': 'MultiStepLR', **schedule}]
    cfg = Config({'train_cfg': {'max_epochs': 9, **training}, 'param_scheduler': schedules})
    with pytest.raises(InputError, match=message):
        check_schedules(cfg)
