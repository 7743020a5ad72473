import pytest

from mmdefocus.analysis.significance import holm, welch


def test_welch_test_of_samples_with_unequal_deviations():
    # t = -1.1078, 2.19 degrees of freedom
    assert welch([1.0, 2.0, 3.0], [1.0, 4.0, 10.0]) == pytest.approx(0.3747, abs=1e-4)
    assert welch([1.0], [2.0, 3.0]) is None


@pytest.mark.parametrize('other', [50.0, 60.0])
def test_welch_test_needs_something_that_varies(other):
    assert welch([50.0, 50.0], [other, other]) is None


def test_holm_multiplies_by_how_many_are_left():
    # Wikipedia's example: 0.01, 0.04, 0.03 and 0.005 of four hypotheses
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_keeps_the_order_and_does_not_exceed_1():
    p_values = [0.9, 0.2, 0.001, 0.04, 0.039, 0.7]
    adjusted = holm(p_values)
    assert [a for _, a in sorted(zip(p_values, adjusted, strict=True))] == sorted(adjusted)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))


def test_holm_leaves_one_as_it_is():
    assert (holm([]), holm([0.04])) == ([], [0.04])
