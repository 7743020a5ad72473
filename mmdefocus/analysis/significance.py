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
