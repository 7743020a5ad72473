import math

import pytest
import torch
from scipy import stats

from mmdefocus.analysis.focus import metrics

ONE_TOKEN = torch.tensor([0.0, 0.0, 5.0, 0.0])
UNIFORM = torch.full((4,), 0.1)


@pytest.mark.parametrize(
    ('measure', 'of_one_token', 'of_uniform'),
    [
        (metrics.effective_tokens, 1.0, 4.0),
        (metrics.gini, 0.75, 0.0),
        (metrics.area, 0.25, 1.0),
        (lambda row: metrics.top_mass(row, 0.25), 1.0, 0.25),
        (lambda row: metrics.top_mass(row, 0.1), 0.4, 0.1),
        (lambda row: metrics.sink_share(row.expand(3, -1)), 1.0, 0.25),
    ],
)
def test_one_token_and_all_tokens(measure, of_one_token, of_uniform):
    found = torch.stack((measure(ONE_TOKEN), measure(UNIFORM)))
    torch.testing.assert_close(found, torch.tensor([of_one_token, of_uniform]))


def test_two_even_tokens_are_two_effective_tokens():
    torch.testing.assert_close(
        metrics.effective_tokens(torch.tensor([3.0, 0, 3, 0])), torch.tensor(2.0)
    )


def test_top_mass_of_all_tokens_is_everything():
    torch.testing.assert_close(metrics.top_mass(torch.rand(3, 7), 1.0), torch.ones(3))


def test_the_gini_of_a_ramp():
    row = torch.arange(1.0, 11)  # (L - 1) / (3 L) for weights 1..L
    torch.testing.assert_close(metrics.gini(row), torch.tensor(9 / 30))


def test_a_geometric_decay_has_the_mean_distance_of_its_series():
    rate, length = 0.8, 400
    place = torch.arange(length, dtype=torch.float64)
    distance = place[:, None] - place
    rows = torch.where(distance > 0, rate**distance, 0.0)
    found = metrics.mean_distance(rows)[-1]  # the mean of a geometric distribution
    torch.testing.assert_close(found, torch.tensor(1 / (1 - rate), dtype=torch.float64))


def test_the_distance_of_cls_is_counted_from_behind_the_last_token():
    assert metrics.mean_distance(torch.tensor([0.0, 0, 1])) == 1
    assert metrics.mean_distance(torch.tensor([1.0, 0, 0])) == 3


def test_distances_on_the_grid_are_euclidean():
    rows = torch.zeros(6, 6)
    rows[5, 0] = 1.0  # from the last cell of a 2 x 3 grid to the first
    rows[0, 3] = 1.0  # to the cell below
    found = metrics.mean_distance(rows, (2, 3))
    torch.testing.assert_close(found[[5, 0]], torch.tensor([math.sqrt(5), 1.0]))


def test_a_row_of_zeros_has_no_number():
    rows = torch.stack((torch.zeros(4), UNIFORM))
    for measure in (metrics.effective_tokens, metrics.gini, metrics.area):
        assert measure(rows).isnan().tolist() == [True, False]


def test_the_rank_correlation_is_that_of_scipy():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 3, 9, generator=generator)
    second[:, 4:7] = second[:, 3:4]  # ties
    counted = torch.rand(3, 9, generator=generator) > 0.2
    found = metrics.rank_correlation(first, second, counted)
    rows = zip(first, second, counted, strict=True)
    expected = [stats.spearmanr(one[rows], two[rows]).statistic for one, two, rows in rows]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_what_ranks_nothing_has_no_rank_correlation():
    everything = torch.ones(4, dtype=torch.bool)
    assert metrics.rank_correlation(UNIFORM, ONE_TOKEN, everything).isnan()


def test_outliers_are_tokens_of_large_norm():
    tokens = torch.ones(2, 10, 4)
    tokens[1, 3] *= 10
    torch.testing.assert_close(metrics.outlier_norms(tokens), torch.tensor([0.0, 0.1]))


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (
            lambda: metrics.effective_tokens(torch.tensor([-1.0, 2])),
            r'map: expected weights of 0 or more',
        ),
        (lambda: metrics.gini(torch.tensor([1, 2])), r'map: expected floating weights .*int64'),
        (lambda: metrics.area(torch.empty(3, 0)), r'map: .* \(3, 0\)'),
        (lambda: metrics.top_mass(UNIFORM, 0.0), r'share: expected a number in \(0, 1\], got 0.0'),
        (lambda: metrics.mean_distance(torch.rand(6, 5)), r'map: expected .* \(6, 5\)'),
        (
            lambda: metrics.mean_distance(torch.rand(6, 6), (2, 2)),
            r'grid: expected .* 6 .* \(2, 2\)',
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
