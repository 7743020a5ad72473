import inspect

import pytest
import torch
from torch.autograd import gradcheck

from mmdefocus.ops import available_backends, exportable, ms_deform_attn
from mmdefocus.ops.triton_support import interpreted

from .conftest import is_on_gpu
from .shared import each_narrow_dtype

OPERATOR = 'ms_deform_attn'
LEVELS = ((3, 4), (2, 3))

needs_compiler = pytest.mark.skipif(
    available_backends('cpu')[OPERATOR]['cpu'] != 'available', reason='no compiler'
)


def make_inputs(
    batch=2, heads=2, channels=8, queries=9, points=2, levels=LEVELS, dtype=torch.float64
):
    """Returns the levels, and value, locations and weights.

    Locations reach two pixels outside. They keep away from the centres of pixels, where the
    derivative jumps.
    """
    generator = torch.Generator().manual_seed(0)
    pixels = sum(height * width for height, width in levels)
    sizes = (batch, queries, heads, len(levels), points)
    value = torch.randn(batch, pixels, heads, channels, generator=generator, dtype=torch.float64)
    shapes = torch.tensor(levels)
    shares = 0.1 + 0.8 * torch.rand(*sizes, 2, generator=generator, dtype=torch.float64)
    reach = shapes.flip(1)[:, None]  # width and height
    first = torch.rand(*sizes, 2, generator=generator, dtype=torch.float64) * (reach + 3)
    locations = (first.floor() - 2 + shares + 0.5) / reach
    weights = torch.randn(sizes, generator=generator, dtype=torch.float64)
    return shapes, [x.to(dtype) for x in (value, locations, weights)]


def at(levels, **options):
    """The operator as a function of its real tensors."""
    return lambda value, *points: ms_deform_attn(value, levels, *points, **options)


def test_formula(backend):
    """One query reads between the pixels of two levels."""
    value = torch.arange(10.0).double().view(1, 10, 1, 1)  # (2, 3), then (2, 2)
    locations = torch.tensor([[0.5, 0.75], [0.25, 0.5]]).double().view(1, 1, 1, 2, 1, 2)
    weights = torch.tensor([2.0, -1.0]).double().view(1, 1, 1, 2, 1)
    y = ms_deform_attn(value, torch.tensor([[2, 3], [2, 2]]), locations, weights, backend=backend)
    torch.testing.assert_close(y, torch.tensor([[[2 * 4.0 - (6 + 8) / 2]]]).double())


@pytest.mark.parametrize(
    'sizes',
    [
        {'channels': 1},
        {'channels': 5, 'batch': 1},
        {'channels': 37, 'queries': 2},
        {'channels': 64, 'queries': 3, 'heads': 1},
        {'queries': 1, 'points': 1},
        {'levels': ((4, 6),), 'points': 3},
        {'levels': ((1, 1), (1, 5), (2, 1)), 'queries': 4},
        {'heads': 1, 'queries': 40, 'points': 4, 'batch': 1},
    ],
    ids=str,
)
def test_equals_naive_in_values_and_gradients(fast_backend, sizes, differentiate):
    levels, inputs = make_inputs(**sizes)
    actual = differentiate(at(levels, backend=fast_backend), inputs)
    expected = differentiate(at(levels, backend='naive'), inputs)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('queries', [7, 90])  # pixels are read once and many times
@pytest.mark.parametrize('channels', [32, 40])
def test_equals_naive_on_larger_maps(queries, channels, differentiate):
    levels, inputs = make_inputs(
        channels=channels, queries=queries, points=5, levels=((19, 23), (10, 12))
    )
    expected = differentiate(at(levels, backend='naive'), inputs)
    torch.testing.assert_close(differentiate(at(levels), inputs), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('queries', [3, 40])
@each_narrow_dtype
def test_each_dtype_keeps_its_accuracy(
    fast_backend, dtype, tolerance, queries, differentiate, relative_error
):
    if interpreted() and queries > 3:
        pytest.skip('takes an interpreter long')
    levels, inputs = make_inputs(queries=queries, channels=24, dtype=dtype)
    y, grads = differentiate(at(levels, backend=fast_backend), inputs)
    expected, expected_grads = differentiate(
        at(levels, backend='naive'), [x.double() for x in inputs]
    )
    assert y.dtype == dtype
    for actual, exact in zip((y, *grads), (expected, *expected_grads), strict=True):
        assert relative_error(actual, exact) < tolerance


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_locations_may_be_float32_beside_a_narrow_value(backend, dtype, differentiate):
    levels, (value, locations, weights) = make_inputs(dtype=torch.float32, queries=4)
    inputs = [value.to(dtype), locations, weights]
    y, grads = differentiate(at(levels, backend=backend), inputs)
    assert y.dtype == dtype
    assert [grad.dtype for grad in grads] == [dtype, torch.float32, torch.float32]
    expected = at(levels, backend='naive')(inputs[0].double(), locations.double(), weights.double())
    torch.testing.assert_close(y.double(), expected, rtol=1e-2, atol=1e-2)


def test_locations_on_borders_and_outside(backend):
    """Half a pixel beyond its centre the outermost pixel counts half, and nothing further out."""
    levels = torch.tensor([[2, 2]])
    value = torch.tensor([1.0, 2.0, 3.0, 4.0]).double().view(1, 4, 1, 1)
    places = [[0.25, 0.25], [0, 0.25], [1, 0.75], [0, 0], [-0.25, 0.25], [1.25, 0.5], [9e9, -1e300]]
    locations = torch.tensor(places, dtype=torch.float64).view(1, -1, 1, 1, 1, 2)
    weights = torch.ones(1, len(places), 1, 1, 1).double()
    y = ms_deform_attn(value, levels, locations, weights, backend=backend)
    expected = torch.tensor([1.0, 0.5, 2.0, 0.25, 0.0, 0.0, 0.0]).double()
    torch.testing.assert_close(y.flatten(), expected)


def test_gradient_at_the_centre_of_a_pixel_equals_that_towards_the_next(backend, differentiate):
    """The derivative jumps there; all backends take the same side."""
    value = torch.tensor([1.0, 3.0, 7.0, 20.0]).double().view(1, 4, 1, 1)
    location = torch.tensor([1.5 / 4, 0.5]).double().view(1, 1, 1, 1, 1, 2)
    weight = torch.ones(1, 1, 1, 1, 1).double()
    attend = at(torch.tensor([[1, 4]]), backend=backend)
    y, (_, gradient, dweight) = differentiate(attend, [value, location, weight])
    assert y.item() == 3
    dy = dweight.squeeze() / 3
    torch.testing.assert_close(gradient.flatten()[0], (7 - 3) * 4 * dy)


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
def test_nan_and_infinite_locations_spoil_their_query_only(backend, bad, differentiate):
    levels, inputs = make_inputs(batch=1, queries=3)
    inputs[1][0, 1, 1, 0, 1, 0] = bad
    y, (dvalue, dlocations, _) = differentiate(at(levels, backend=backend), inputs)
    spoilt = y.unflatten(2, (2, -1)).isnan().all(-1)
    assert spoilt.nonzero().tolist() == [[0, 1, 1]]
    assert dlocations[:, [0, 2]].isfinite().all()
    if backend != 'naive':
        assert dvalue.isfinite().all()


def test_what_lies_outside_is_not_read(backend):
    """A NaN of the value spoils those who read it, not those whose neighbour is outside."""
    levels = torch.tensor([[2, 2]])
    value = torch.tensor([float('nan'), 2.0, 3.0, 4.0]).double().view(1, 4, 1, 1)
    locations = torch.tensor([[1.2, 1.2], [-2.0, -2.0]]).double().view(1, 2, 1, 1, 1, 2)
    y = ms_deform_attn(
        value, levels, locations, torch.ones(1, 2, 1, 1, 1).double(), backend=backend
    )
    assert y.isfinite().all()


@pytest.mark.parametrize('sizes', [{'queries': 0}, {'batch': 0}], ids=str)
def test_no_queries_give_gradients_of_zero(backend, sizes, differentiate):
    levels, inputs = make_inputs(**sizes)
    y, grads = differentiate(at(levels, backend=backend), inputs)
    assert y.numel() == 0 and y.shape[2] == 16
    assert not any(grad.any() for grad in grads)


def test_strides_do_not_matter(backend, differentiate):
    levels, inputs = make_inputs(queries=4)
    scattered = [x.repeat_interleave(3, -1)[..., ::3] for x in inputs]
    assert not any(x.is_contiguous() for x in scattered)
    function = at(levels.mT.contiguous().mT, backend=backend)
    torch.testing.assert_close(differentiate(function, scattered), differentiate(function, inputs))


def test_gradcheck(backend):
    sizes = {'heads': 2, 'channels': 2, 'queries': 2, 'levels': ((3, 4),)}
    levels, inputs = make_inputs(batch=1, **sizes)
    assert gradcheck(at(levels, backend=backend), [x.requires_grad_() for x in inputs])


@needs_compiler
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_results_do_not_depend_on_the_number_of_threads(dtype, differentiate):
    levels, inputs = make_inputs(queries=50, channels=32, dtype=dtype)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 3, 8):  # more than the 4 heads, so that levels are apart
        torch.set_num_threads(threads)
        y, grads = differentiate(at(levels, backend='cpu'), inputs)
        results.append((y, *grads))
    torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@needs_compiler
def test_rules_of_torch_are_kept():
    levels, (value, *points) = make_inputs(queries=2, dtype=torch.float32)
    tensors = [value, *points]
    for tensor in tensors:
        tensor.requires_grad_()
    torch.library.opcheck(torch.ops.mmdefocus.ms_deform_attn_cpu, (value, levels, *points))


@needs_compiler
def test_compiles_without_graph_breaks(differentiate):
    levels, inputs = make_inputs(dtype=torch.float32)
    compiled = torch.compile(ms_deform_attn, fullgraph=True, backend='aot_eager')
    found = differentiate(lambda value, *points: compiled(value, levels, *points), inputs)
    torch.testing.assert_close(found, differentiate(at(levels), inputs))


def test_exports_without_our_operators_and_with_levels_as_an_input():
    class Model(torch.nn.Module):
        def forward(self, *inputs):
            return ms_deform_attn(*inputs)

    levels, (value, *points) = make_inputs(dtype=torch.float32)
    with exportable():
        program = torch.export.export(Model(), (value, levels, *points), strict=False)
    assert not [n for n in program.graph.nodes if 'mmdefocus' in str(n.target)]
    found = program.module()(value, levels, *points)
    torch.testing.assert_close(found, ms_deform_attn(value, levels, *points, backend='naive'))


def test_keeps_nothing_but_its_inputs(kept_for_backward):
    levels, inputs = make_inputs()
    _, kept = kept_for_backward(at(levels), inputs)
    assert kept == levels.numel()


def test_equals_mmcv(backend, differentiate):
    module = pytest.importorskip('mmcv.ops.multi_scale_deform_attn')
    theirs = inspect.unwrap(module.multi_scale_deformable_attn_pytorch)
    levels, inputs = make_inputs(queries=5)
    expected = differentiate(lambda value, *points: theirs(value, levels, *points), inputs)
    actual = differentiate(at(levels, backend=backend), inputs)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'value': torch.ones(2, 18, 8)}, r'value: expected \(B, S, H, C\).* got \(2, 18, 8\)'),
        (
            {'sampling_locations': torch.ones(2, 9, 4, 2, 2, 2)},
            r'sampling_locations: expected \(2, Q, 2, N, P, 2\).* got \(2, 9, 4, 2, 2, 2\)',
        ),
        (
            {'sampling_locations': torch.ones(2, 9, 2, 2, 2, 3)},
            'sampling_locations: expected x and y, got 3 coordinates',
        ),
        (
            {'attention_weights': torch.ones(2, 9, 2, 2, 3)},
            r'attention_weights: expected \(2, 9, 2, 2, 2\).* got \(2, 9, 2, 2, 3\)',
        ),
        (
            {'spatial_shapes': torch.ones(3, 2).long()},
            r'spatial_shapes: expected \(2, 2\) of int64',
        ),
        ({'spatial_shapes': torch.ones(2, 2)}, r'of int64 .* got \(2, 2\) of torch\.float32'),
        ({'spatial_shapes': torch.ones(2, 2, device='meta').long()}, 'device of value, cpu'),
        ({'spatial_shapes': [[3, 4], [2, 3]]}, 'spatial_shapes: expected a tensor, got list'),
    ],
)
def test_bad_input_is_named(change, message):
    levels, (value, locations, weights) = make_inputs()
    inputs = {
        'value': value,
        'spatial_shapes': levels,
        'sampling_locations': locations,
        'attention_weights': weights,
    }
    with pytest.raises(ValueError, match=message):
        ms_deform_attn(**(inputs | change))


@pytest.mark.parametrize('levels', [((3, 4), (2, 4)), ((3, 4), (-2, -3))])
def test_levels_that_are_not_those_of_the_value_are_named(backend, levels):
    if is_on_gpu(backend):
        pytest.skip('a GPU would have to be waited for')
    _, (value, *points) = make_inputs()
    with pytest.raises(ValueError, match=r'spatial_shapes: expected .* 18 pixels in all'):
        ms_deform_attn(value, torch.tensor(levels), *points, backend=backend)
