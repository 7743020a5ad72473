import math

import pytest
import torch
from scipy import stats

from mmdefocus.analysis.focus import study


def make_run(setting, seed, accuracy, *layers, name='tokens'):
    """A run with one number; `layers` holds the values of each layer for its images."""
    return study.Run(
        setting,
        seed,
        accuracy,
        [study.LayerNumbers(i, {name: torch.tensor(x)}) for i, x in enumerate(layers, start=1)],
    )


def test_runs_go_by_their_setting():
    runs = [make_run('a', 0, 50.0), make_run('b', 0, 60.0), make_run('a', 1, 70.0)]
    found = study.settings_of(runs)
    assert {name: [run.accuracy for run in group] for name, group in found.items()} == {
        'a': [50.0, 70.0],
        'b': [60.0],
    }


def test_a_setting_has_a_value_for_each_run_which_is_its_mean_over_images():
    runs = [make_run('a', 0, 50.0, [1.0, 3.0]), make_run('a', 1, 50.0, [4.0, math.nan])]
    (layer,) = study.across_runs(runs)
    torch.testing.assert_close(layer.numbers['tokens'], torch.tensor([2.0, 4.0]).double())


def test_the_overall_number_is_a_mean_over_images_and_layers():
    assert study.overall(make_run('a', 0, 50.0, [1.0, 3.0], [5.0, 7.0]), 'tokens') == 4
    assert math.isnan(study.overall(make_run('a', 0, 50.0, [1.0]), 'others'))


def test_the_correlation_over_all_runs_is_pearsons():
    numbers = torch.randn(12, generator=torch.Generator().manual_seed(0)).double()
    noise = torch.randn(12, generator=torch.Generator().manual_seed(1)).double()
    runs = [
        make_run(f'setting {i % 4}', i, (50 + x + y).item(), [x.item()])
        for i, (x, y) in enumerate(zip(numbers, noise, strict=True))
    ]
    found = study.correlation(runs, 'tokens')
    expected = stats.pearsonr([run.accuracy for run in runs], numbers).statistic
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert -1 <= found.low < found.value < found.high <= 1
    assert study.correlation(runs, 'tokens') == found  # the bootstrap is the same each time


def test_the_interval_is_that_of_settings_not_of_runs():
    """Many seeds of few settings know no more than few seeds of them."""

    def runs(seeds):
        settings = [(1.0, 50.0), (2.0, 52.0), (3.0, 51.0), (4.0, 55.0), (5.0, 52.0)]
        return [
            make_run(f'{number}', seed, accuracy, [number])
            for number, accuracy in settings
            for seed in range(seeds)
        ]

    few, many = (study.correlation(runs(seeds), 'tokens') for seeds in (2, 20))
    assert many == pytest.approx(few)


def test_among_seeds_the_means_of_settings_do_not_count():
    runs = [
        make_run(setting, seed, mean + seed, [-mean - seed])
        for setting, mean in (('a', 10.0), ('b', 50.0), ('c', 70.0))
        for seed in range(3)
    ]
    assert study.correlation(runs, 'tokens').value == pytest.approx(-1)
    opposed = [run._replace(accuracy=run.accuracy - 2 * run.seed) for run in runs]
    assert study.correlation(opposed, 'tokens').value < -0.9
    assert study.correlation_within(opposed, 'tokens').value == pytest.approx(1)


def test_the_interval_among_seeds_is_fishers():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    runs = [make_run('a', seed, x.item(), [y.item()]) for seed, (x, y) in enumerate(values)]
    found = study.correlation_within(runs, 'tokens')
    expected = stats.pearsonr(*values.T).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-5)


@pytest.mark.parametrize('of', [study.correlation, study.correlation_within])
def test_too_few_runs_have_no_interval(of):
    one = [make_run('a', 0, 50.0, [1.0]), make_run('a', 1, 50.0, [1.0])]
    assert str(of(one, 'tokens')) == 'not known'
    three = [make_run('a', seed, 50.0 + seed**2, [float(seed)]) for seed in range(3)]
    assert math.isnan(of(three, 'tokens').low)


def test_tables_have_means_and_deviations():
    runs = [
        make_run('with', 0, 61.0, [1.0], [20.0]),
        make_run('with', 1, 63.0, [3.0], [20.0]),
        make_run('without', 0, 50.0, [7.0]),
    ]
    text = study.as_markdown(runs, ['tokens'])
    assert '| with | 2 | 62 ± 1.4 |' in text
    assert '| tokens | layer 1 | layer 2 |' in text
    assert '| with | 2 ± 1.4 | 20 ± 0 |' in text
    assert '| without | 7 |  |' in text
    assert '| tokens, mean of layers |' in text
