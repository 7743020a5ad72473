import numpy as np
import pytest

from mmdefocus.utils.checks import (
    check_choice,
    check_divides,
    check_multiple,
    check_positive,
    check_rate,
    check_share,
    check_texts,
)


@pytest.mark.parametrize(
    ('check', 'arguments', 'message'),
    [
        (check_texts, ('cat',), "^name: expected a list of texts, got 'cat'$"),
        (check_texts, (None,), '^name: expected a list of texts, got None$'),
        (check_texts, (['a', 1],), '^name: expected texts, got 1 among them$'),
        (check_choice, ('c', ('a', 'b')), "^name: expected one of a, b, got 'c'$"),
        (check_positive, (0,), '^name: expected a positive int, got 0$'),
        (check_positive, (-0.5,), '^name: expected a positive number, got -0.5$'),
        (check_positive, (float('nan'),), '^name: expected a positive number, got nan$'),
        (check_divides, (3, 'all', 8), '^name: .* positive number that divides all 8, got 3$'),
        (check_divides, (0, 'all', 8), '^name: .* positive number that divides all 8, got 0$'),
        (check_multiple, (6, 4), '^name: expected a positive multiple of 4, got 6$'),
        (check_multiple, (0, 4), '^name: expected a positive multiple of 4, got 0$'),
        (check_rate, (1.0,), r'^name: expected a number in \[0, 1\), got 1.0$'),
        (check_share, (1.01,), r'^name: expected a number in \[0, 1\], got 1.01$'),
        (check_share, (float('nan'),), r'^name: expected a number in \[0, 1\], got nan$'),
        (check_share, ('0.3',), r"^name: expected a number in \[0, 1\], got '0.3'$"),
        (check_rate, (-0.1,), r'^name: expected a number in \[0, 1\), got -0.1$'),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(check, arguments, message):
    with pytest.raises(ValueError, match=message):
        check('name', *arguments)


def test_texts_of_a_generator_pass():
    assert check_texts('name', (text for text in 'ab')) == ['a', 'b']


def test_good_values_pass():
    check_choice('name', 'a', {'a': 1})
    check_positive('name', 1e-9)
    check_divides('name', 4, 'all', 8)
    check_multiple('name', 8, 4)
    check_rate('name', 0.0)
    check_share('name', 1)
    check_share('name', np.float32(0.3))
