"""Every backend against the naive one, which is the scan and the epilogue as they are written."""

import importlib
from functools import partial
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from mmdefocus.ops import (
    available_backends,
    gated_group_rms_norm,
    gated_selective_scan,
    selective_scan,
)
from mmdefocus.ops.triton_support import interpreted

from .shared import TOLERANCES, AccuracyTests

OPERATOR = 'gated_selective_scan'
NAMES = ('u', 'delta', 'A', 'B', 'C', 'D', 'z')
GROUP = 16 if interpreted() else 64  # a group that the fused kernel takes

needs_compiler = pytest.mark.skipif(
    available_backends('cpu')[OPERATOR]['cpu'] != 'available', reason='no compiler'
)


def make_inputs(batch=2, channels=2 * GROUP, length=23, state=5, dtype=torch.float64):
    """Returns u, delta before its softplus, A, B, C, D, z as the mixer has them."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    u, delta = normal(batch, length, channels), normal(batch, length, channels) - 2
    A = -normal(channels, state).abs() - 0.1
    B, C = normal(batch, length, 3 + 2 * state)[..., 3:].chunk(2, dim=-1)
    z = normal(batch, length, 2 * channels)[..., channels:]
    return tuple(x.to(dtype) for x in (u, delta, A, B, C, normal(channels), z))


def test_is_the_scan_and_then_the_epilogue(backend, place):
    inputs = make_inputs()
    u, delta, A, B, C, D, z = (place(backend, x) for x in inputs)
    y = selective_scan(u.mT, F.softplus(delta).mT, A, B.mT, C.mT).mT
    expected = gated_group_rms_norm(y, u, D, z, GROUP, 0.5).cpu()
    found = gated_selective_scan(*inputs, GROUP, 0.5, delta_softplus=True, backend=backend)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('softplus', [True, False])
@pytest.mark.parametrize(
    'sizes',
    [
        {'length': 1},
        {'length': 2, 'state': 1},
        {'length': 197, 'batch': 1, 'state': 3},
        {'length': 70, 'channels': GROUP},
        {'length': 50, 'batch': 3, 'channels': 5 * GROUP},
        {'length': 9, 'state': 64},
    ],
    ids=str,
)
def test_equals_naive_in_values_and_gradients(fast_backend, sizes, softplus, run_with_gradients):
    inputs = make_inputs(**sizes)
    if not softplus:
        inputs = inputs[0], inputs[1].abs(), *inputs[2:]
    run = partial(run_with_gradients, inputs, group_size=GROUP, delta_softplus=softplus)
    torch.testing.assert_close(run(fast_backend), run('naive'), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('group_size', [GROUP // 4, GROUP * 3 // 4, GROUP * 3, GROUP * 6])
def test_equals_naive_for_any_size_of_a_group(fast_backend, group_size, run_with_gradients):
    run = partial(run_with_gradients, make_inputs(channels=6 * GROUP), group_size=group_size)
    options = {'delta_softplus': True}
    actual, expected = run(fast_backend, **options), run('naive', **options)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('softplus', [True, False])
@pytest.mark.parametrize('group_size', [GROUP, GROUP // 2])
def test_bias_of_the_time_steps_is_added_first(backend, group_size, softplus, differentiate):
    u, delta, *others = make_inputs(batch=3, length=23)
    bias = torch.linspace(-1, 1, u.shape[2], dtype=u.dtype)
    run = partial(gated_selective_scan, delta_softplus=softplus, backend=backend)

    def with_bias(u, delta, bias, *others):
        return run(u, delta, *others, group_size, delta_bias=bias)

    def sum_before(u, delta, bias, *others):
        return run(u, delta + bias, *others, group_size)

    inputs = u, delta if softplus else delta.abs() + 1, bias, *others
    actual, expected = (differentiate(f, inputs) for f in (with_bias, sum_before))
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def test_bias_keeps_its_accuracy_beside_narrow_time_steps(backend, differentiate, relative_error):
    """As under autocast: delta is bfloat16, its bias float32."""
    u, delta, *others = make_inputs(dtype=torch.bfloat16)
    bias = torch.linspace(-8, 8, u.shape[2])
    options = {'delta_softplus': True, 'backend': backend}

    def run(u, delta, bias, *others):
        return gated_selective_scan(u, delta, *others, GROUP, delta_bias=bias, **options)

    inputs = u, delta, bias, *others
    y, gradients = differentiate(run, inputs)
    expected, exact = differentiate(run, [x.double() for x in inputs])
    assert relative_error(y, expected) < TOLERANCES[torch.bfloat16]
    assert gradients[2].dtype == torch.float32
    assert relative_error(gradients[2], exact[2]) < 2 * TOLERANCES[torch.bfloat16]


class TestAccuracy(AccuracyTests):
    make_inputs = staticmethod(make_inputs)
    options: ClassVar = {'group_size': GROUP, 'delta_softplus': True}


def test_rates_may_be_wider_than_the_input(backend, equals_naive):
    """As in a mixer under autocast, whose A and D are float32 and whose u is bfloat16."""
    u, delta, A, B, C, D, z = make_inputs(dtype=torch.bfloat16)
    inputs = u, delta, A.float(), B.float(), C.float(), D.float(), z
    tolerance = TOLERANCES[torch.bfloat16]
    options = {'group_size': GROUP, 'delta_softplus': True}
    equals_naive(inputs, backend, tolerance, 2 * tolerance, **options)


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 2e-6), (torch.float64, 1e-14)])
def test_softplus_is_as_accurate_for_short_time_steps_as_for_long_ones(backend, dtype, tolerance):
    """With one token, B u = C = 1 and no skip, what is normalised are the time steps."""
    delta = torch.linspace(-20, 20, 10 * GROUP, dtype=dtype).view(1, 1, -1)
    ones = torch.ones_like(delta)
    inputs = (ones, delta, -ones[0].mT, ones[..., :1], ones[..., :1], 0 * ones[0, 0], 3 * ones)
    found = gated_selective_scan(*inputs, GROUP, 0.0, delta_softplus=True, backend=backend)
    steps = torch.log1p(torch.exp(delta.double())).view(-1, GROUP)
    normed = steps / steps.square().mean(-1, keepdim=True).sqrt()
    expected = normed.view(1, 1, -1) * F.silu(torch.tensor(3.0, dtype=torch.float64))
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=0)


def test_limits_of_softplus(fast_backend, run_with_gradients):
    u, delta, *others = make_inputs(length=4)
    delta = delta.clone()
    delta[:, 1, ::2], delta[:, 1, 1::2], delta[:, 2] = -800.0, 800.0, 0.0
    run = partial(run_with_gradients, (u, delta, *others), group_size=GROUP, delta_softplus=True)
    torch.testing.assert_close(run(fast_backend), run('naive'), rtol=1e-9, atol=1e-9)


def test_any_strides_do(fast_backend, strides_do_not_matter):
    inputs = make_inputs(length=31)
    strides_do_not_matter(inputs, fast_backend, group_size=GROUP, delta_softplus=True)


def test_inference_gives_what_training_gives(fast_backend, run_with_gradients):
    inputs = make_inputs(length=40)
    y, _ = run_with_gradients(inputs, fast_backend, group_size=GROUP, delta_softplus=True)
    with torch.no_grad():
        found = gated_selective_scan(*inputs, GROUP, delta_softplus=True, backend=fast_backend)
    assert torch.equal(found, y)


def test_a_second_backward_gives_the_same_gradients(fast_backend):
    """What a backward writes is in memory of its own, or of what it has computed itself."""
    inputs = [x.requires_grad_() for x in make_inputs()]
    y = gated_selective_scan(*inputs, GROUP, delta_softplus=True, backend=fast_backend)
    dy = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    first = torch.autograd.grad(y, inputs, dy, retain_graph=True)
    second = torch.autograd.grad(y, inputs, dy)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_nan_comes_through(backend):
    u, delta, *others = make_inputs(batch=1, length=8)
    delta = delta.clone()
    delta[0, 4, 1] = float('nan')
    out = gated_selective_scan(u, delta, *others, GROUP, delta_softplus=True, backend=backend)
    assert out[0, 4:, :GROUP].isnan().all()  # the whole group, by its mean square
    assert out[0, :4].isfinite().all() and out[0, :, GROUP:].isfinite().all()


@pytest.mark.parametrize('group_size', [GROUP, 4])
def test_gradcheck(backend, group_size):
    inputs = make_inputs(batch=1, channels=group_size, length=3, state=2)
    inputs = [x.requires_grad_() for x in inputs]
    run = partial(gated_selective_scan, delta_softplus=True, backend=backend)
    assert gradcheck(lambda *x: run(*x, group_size, 0.1), inputs, fast_mode=True)


@needs_compiler
def test_the_fused_kernel_keeps_the_output_of_the_scan_and_few_states(kept_for_backward):
    inputs = make_inputs(length=400, state=16)
    run = partial(gated_selective_scan, delta_softplus=True, backend='cpu')
    out, kept = kept_for_backward(lambda *x: run(*x, GROUP), inputs)
    assert kept <= out.numel() + 0.1 * out.numel() * 16


def test_custom_operator_keeps_the_rules_of_torch(fast_backend, place):
    """Its kernel for shapes says what it returns, so that torch.compile and torch.export work."""
    if fast_backend not in ('cpu', 'triton'):
        pytest.skip('is of parts that have operators of their own')
    importlib.import_module(f'mmdefocus.ops.{OPERATOR}.{fast_backend}')
    operator = getattr(torch.ops.mmdefocus, f'{OPERATOR}_{fast_backend}')
    inputs = [place(fast_backend, x).requires_grad_() for x in make_inputs(length=3, batch=1)]
    for keep in (True, False):
        arguments = inputs if keep else [x.detach() for x in inputs]
        bias = torch.ones_like(inputs[5], requires_grad=keep)
        state = bias.new_ones(1, *inputs[2].shape).requires_grad_(keep)
        for initial in (None, state):
            options = (GROUP, 1e-6, bias, True, initial, keep)
            torch.library.opcheck(operator, (*arguments, *options))


@needs_compiler
def test_results_do_not_depend_on_the_number_of_threads(run_with_gradients):
    inputs = make_inputs(length=50, channels=320)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        y, gradients = run_with_gradients(inputs, 'cpu', group_size=GROUP, delta_softplus=True)
        results.append((y, *gradients))
    torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'group_size': 7}, r'group_size: expected a divisor of D = 128, got 7'),
        ({'u': torch.ones(23, 128)}, r'u: expected \(B, L, D\).*\(23, 128\)'),
        ({'delta': torch.ones(2, 22, 128)}, r'delta: expected \(2, 23, 128\).*\(2, 22, 128\)'),
        ({'A': torch.ones(127, 5)}, r'A: expected \(128, N\).*\(127, 5\)'),
        ({'B': torch.ones(2, 5, 23)}, r'B: expected \(2, 23, 5\).*\(2, 5, 23\)'),
        ({'C': torch.ones(1, 23, 5)}, r'C: expected \(2, 23, 5\).*\(1, 23, 5\)'),
        ({'D': torch.ones(1, 128)}, r'D: expected \(128,\).*\(1, 128\)'),
        ({'delta_bias': torch.ones(127)}, r'delta_bias: expected \(128,\).*\(127,\)'),
        (
            {'z': torch.ones(2, 23, 128, device='meta')},
            'z: expected the device of u, cpu, got meta',
        ),
        ({'delta': torch.ones(2, 23, 128, dtype=torch.int64)}, 'delta: .*int64'),
    ],
)
def test_bad_input_is_named(change, message):
    inputs = dict(zip(NAMES, make_inputs(), strict=True)) | {'group_size': GROUP}
    with pytest.raises(ValueError, match=message):
        gated_selective_scan(**(inputs | change))
