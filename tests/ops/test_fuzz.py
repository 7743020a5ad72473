"""Thousands of random calls: equal to the naive backend, or refused by all alike.

MMDEFOCUS_FUZZ sets how many there are, MMDEFOCUS_FUZZ_SEED where they begin; see
docs/reliability.md for the long run and that with sanitizers.
"""

import os
import random

import pytest
import torch

from .fuzz import ROUNDING, mistaken, random_call

CALLS = int(os.environ.get('MMDEFOCUS_FUZZ', '240'))
SEED = int(os.environ.get('MMDEFOCUS_FUZZ_SEED', '0'))
PARTS = 8
TERMS = 256


@pytest.fixture(params=range(PARTS))
def numbers(request):
    return range(SEED + request.param, SEED + CALLS, PARTS)


@pytest.fixture(autouse=True)
def _few_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def error(found, right):
    return (found.double() - right.double()).norm()


def check(number, call, backend, found, exact, naive):
    """Compares output and gradients with those of the naive backend in float64.

    The bound follows from the dtypes. Inputs are exact, so what is lost is
    - two roundings to the coarsest dtype of the call: of the result, and of an output that is kept
      for the backward;
    - the roundings of sums, which are float32 or float64: up to `TERMS` of them that do not cancel.
    Both are relative to the result and to the parts of it, which may cancel, as in the gradient of
    a softmax: the largest of all results of the call stands for them. Where a call is
    ill-conditioned, ten times the error of the naive backend in the same dtypes is allowed too, and
    what is denormal counts as zero.
    """
    largest = max((x.norm() for x in exact), default=0)
    dtypes = {x.dtype for x in call.tensors.values()}
    coarsest = max(ROUNDING[dtype] for dtype in dtypes)
    sums = max(ROUNDING[torch.promote_types(dtype, torch.float32)] for dtype in dtypes)
    share = 2 * coarsest + TERMS * sums
    for key, x, right, reference in zip(['out', *call.tensors], found, exact, naive, strict=True):
        where = f'{number}: {call.name} {backend} {key}'
        assert x.shape == right.shape and x.dtype == reference.dtype, where
        info = torch.finfo(min((x.dtype, torch.float32), key=lambda dtype: dtype.itemsize))
        denormal = info.smallest_normal * x.numel() ** 0.5
        allowed = share * (right.norm() + largest) + 10 * error(reference, right) + denormal
        assert not x.numel() or error(x, right) <= allowed or not allowed.isfinite(), where


def test_right_calls_give_what_the_naive_backend_gives(numbers):
    for number in numbers:
        call = random_call(number)
        exact = call.changed(lambda x: x.double()).differentiate('naive', number)
        naive = call.differentiate('naive', number)
        for backend in call.backends:
            found = call.differentiate(backend, number)
            check(number, call, backend, found, exact, naive)


def test_wrong_calls_are_refused_by_all_backends_alike(numbers):
    for number in numbers:
        call = mistaken(number, random_call(number))
        said = set()
        for backend in [*call.backends, 'auto']:
            with pytest.raises(ValueError) as raised:
                call.run(backend)
            said.add(str(raised.value))
        assert len(said) == 1 and '\n' not in said.pop(), number


@pytest.mark.skipif('libasan' not in os.environ.get('LD_PRELOAD', ''), reason='no sanitizer')
def test_compiled_code_pleases_the_sanitizers(numbers):
    """Compares nothing: under a sanitizer the naive backend would take an hour."""
    for number in numbers:
        call = random_call(number)
        if 'cpu' in call.backends:
            call.differentiate('cpu', number)
            with pytest.raises(ValueError):
                mistaken(number, call).run('cpu')


def test_what_is_not_finite_reaches_no_earlier_token(numbers):
    for number in numbers:
        call = random_call(number)
        if call.name == 'bi_wkv':  # which is not causal
            continue
        call.arguments |= {'causal': True} if call.name == 'decayed_attention' else {}
        dims = call.along
        key = random.Random(number).choice(sorted(dims))
        value = random.Random(number).choice((float('nan'), float('inf'), float('-inf')))
        # A copy, since its layout is that of the spoiled one: torch rounds by layout.
        call.arguments[key] = clean = call.arguments[key].clone()
        length = clean.shape[dims[key]]
        if not clean.numel() or length < 2:
            continue
        t = random.Random(number).randrange(1, length)
        spoiled = clean.clone()
        spoiled.select(dims[key], t).fill_(value)
        along = next(iter(dims.values()))
        for backend in call.backends:
            expected = call.run(backend).narrow(along, 0, t)
            call.arguments[key] = spoiled
            found = call.run(backend).narrow(along, 0, t)
            call.arguments[key] = clean
            assert torch.equal(found, expected), f'{number}: {call.name} {backend} {key}'
