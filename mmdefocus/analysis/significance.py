"""Tests of whether runs differ by more than chance."""

from collections.abc import Sequence

from scipy.stats import ttest_ind


def welch(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Returns the two-sided p of a Welch test for equal means; None where there is no such test.

    There is none with fewer than two of each. Nor is there one if neither varies, because the test
    divides the difference by the deviations: scipy returns NaN or 0 then.
    """
    if min(len(values), len(others)) < 2 or len(set(values)) == len(set(others)) == 1:
        return None
    return float(ttest_ind(values, others, equal_var=False).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p values adjusted for their number by Holm's step-down procedure, in their order.

    Of m values, the smallest is multiplied by m, the next by m - 1, and so on; none becomes smaller
    than one before it, or larger than 1. Rejecting where the result is below 0.05 has a chance of
    at most 0.05 to reject anything that is true.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
