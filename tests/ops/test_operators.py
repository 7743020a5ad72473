"""What all operators share: names, forms, what they refuse. A new one is tested at once."""

import importlib
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from mmdefocus import ops
from mmdefocus.ops import available_backends, exportable, operators, replaced
from mmdefocus.ops.compiled.build import load_library
from mmdefocus.ops.operator import Shape

SHAPE = Shape(batch=2, length=23, channels=128, state=5)
LONG = SHAPE._replace(length=140)  # several chunks and blocks
FOLDER = Path(ops.__file__).parent
BACKENDS = [
    (name, backend) for name, operator in operators().items() for backend in operator.backends
]
AVAILABLE = [
    (name, backend)
    for name, backend in BACKENDS
    if available_backends('cpu')[name][backend] == 'available'
]
of_all = pytest.mark.parametrize('name', operators())
of_fast = pytest.mark.parametrize(('name', 'backend'), [x for x in AVAILABLE if x[1] != 'naive'])
of_registered = pytest.mark.parametrize(
    ('name', 'backend'),
    [pair for pair in AVAILABLE if hasattr(torch.ops.mmdefocus, '_'.join(pair))],
)
of_available = pytest.mark.parametrize(('name', 'backend'), AVAILABLE)


def example(name, shape=SHAPE, dtype=torch.float32):
    torch.manual_seed(0)
    return operators()[name].example(shape, dtype)


def is_real(value):
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def values_and_gradients(name, arguments, **options):
    leaves = {
        key: value.detach().requires_grad_() if is_real(value) else value
        for key, value in arguments.items()
    }
    tensors = [value for value in leaves.values() if is_real(value)]
    y = operators()[name].function(**leaves, **options)
    return y, torch.autograd.grad(y.sum(), tensors, materialize_grads=True, allow_unused=True)


@of_all
def test_folder_and_public_function_have_the_name_of_the_operator(name):
    assert (FOLDER / name / '__init__.py').is_file()
    assert (FOLDER / name / 'naive.py').is_file()
    assert (FOLDER / name / 'README.md').is_file()
    assert getattr(ops, name) is operators()[name].function


@pytest.mark.parametrize(('name', 'backend'), BACKENDS)
def test_registered_and_compiled_functions_begin_with_the_name(name, backend):
    if backend == 'triton' and (FOLDER / name / 'triton.py').is_file():
        pytest.importorskip('triton')
        importlib.import_module(f'mmdefocus.ops.{name}.triton')
        assert hasattr(torch.ops.mmdefocus, f'{name}_triton_backward')
    if backend == 'cpu':
        assert hasattr(torch.ops.mmdefocus, f'{name}_cpu_backward')
        (source,) = (FOLDER / name / 'csrc').glob('*.cpp')
        assert source.stem == name
        if not isinstance(library := load_library(), str):
            assert hasattr(library, f'{name}_forward_float')


def test_nothing_else_is_registered():
    names = [
        key.removeprefix('mmdefocus::')
        for key in torch._C._dispatch_get_all_op_names()
        if key.startswith('mmdefocus::')
    ]
    allowed = {f'{name}_{backend}{end}' for name, backend in BACKENDS for end in ('', '_backward')}
    assert names and set(names) <= allowed


@pytest.mark.parametrize(('name', 'backend'), BACKENDS)
def test_a_backend_that_cannot_run_says_why_in_one_line(name, backend):
    for device in map(torch.device, ('cpu', 'cuda', 'meta')):
        reason = operators()[name].backends[backend].why_not(device)
        assert reason is None or (reason and '\n' not in reason)


@of_all
def test_the_last_backend_runs_everywhere_and_suits_all(name):
    *_, (last, backend) = operators()[name].backends.items()
    assert last == 'naive'
    assert backend.why_not(torch.device('cuda')) is None and backend.suits()


@of_available
def test_values_and_gradients_of_the_example_are_those_of_the_naive_backend(name, backend):
    arguments = example(name, dtype=torch.float64)
    found = values_and_gradients(name, arguments, backend=backend)
    torch.testing.assert_close(found, values_and_gradients(name, arguments, backend='naive'))


@of_available
def test_a_call_may_be_computed_again_in_the_backward(name, backend):
    arguments = example(name)

    def gradients(wrap):
        leaves = {
            key: value.detach().requires_grad_() if is_real(value) else value
            for key, value in arguments.items()
        }
        call = partial(operators()[name].function, **leaves, backend=backend)
        wrap(call).sum().backward()
        return [x.grad for x in leaves.values() if is_real(x)]

    expected = gradients(lambda call: call())
    found = gradients(lambda call: checkpoint(call, use_reentrant=False))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.compiler
@of_all
def test_the_exportable_form_gives_what_the_naive_backend_gives(name, monkeypatch):
    monkeypatch.setenv('MMDEFOCUS_BACKEND', 'fused')  # counts for nothing there
    arguments = example(name, dtype=torch.float64)
    function = operators()[name].function
    with exportable(), torch.no_grad():
        found = function(**arguments)
    torch.testing.assert_close(found, function(**arguments, backend='naive'))


@of_all
def test_the_naive_backend_sums_in_float32_at_least(name):
    arguments = example(name, dtype=torch.bfloat16)
    wide = {key: value.float() if is_real(value) else value for key, value in arguments.items()}
    function = operators()[name].function
    expected = function(**wide, backend='naive').bfloat16()
    assert torch.equal(function(**arguments, backend='naive'), expected)


@pytest.mark.parametrize('name', [name for name, backend in AVAILABLE if backend == 'cpu'])
def test_compiled_operators_round_bfloat16_once(name):
    arguments = example(name, LONG, torch.bfloat16)
    wide = {key: value.float() if is_real(value) else value for key, value in arguments.items()}
    y, gradients = values_and_gradients(name, arguments, backend='cpu')
    expected, exact = values_and_gradients(name, wide, backend='cpu')
    assert torch.equal(y, expected.bfloat16())
    for gradient, other in zip(gradients, exact, strict=True):
        assert (gradient - other).norm() < 1e-2 * other.norm()


@of_available
@pytest.mark.parametrize('empty', ['batch', 'length'])
def test_no_tokens_are_no_result_and_gradients_of_zero(name, backend, empty):
    arguments = example(name, SHAPE._replace(**{empty: 0}))
    y, gradients = values_and_gradients(name, arguments, backend=backend)
    expected, _ = values_and_gradients(name, arguments, backend='naive')
    assert y.shape == expected.shape and y.numel() == 0
    assert all(not gradient.any() for gradient in gradients)


@of_available
@pytest.mark.parametrize('dtype', [torch.int64, torch.bool, torch.complex64])
def test_dtypes_that_are_no_real_numbers_are_refused(name, backend, dtype):
    arguments = example(name)
    for key, value in arguments.items():
        if is_real(value):
            with pytest.raises(ValueError, match=f'^{key}: expected one of .*{dtype}'):
                operators()[name].function(**arguments | {key: value.to(dtype)}, backend=backend)


@of_all
def test_sizes_of_none_are_refused_but_for_batch_and_tokens(name):
    arguments = example(name)
    first, value = next(iter(arguments.items()))
    channel = -2 if name == 'selective_scan' else -1
    with pytest.raises(ValueError, match=f'^{first}: expected .* >= 1, got '):
        operators()[name].function(**arguments | {first: value.narrow(channel, 0, 0)})


def test_replacements_run_whatever_backend_is_asked_for_and_then_no_more():
    arguments = example('rms_norm')
    with replaced({'rms_norm': lambda x, weight, eps: x + eps}):
        assert torch.equal(ops.rms_norm(**arguments, eps=2, backend='naive'), arguments['x'] + 2)
        with replaced({'rms_norm': lambda x, weight, eps: x}):
            assert ops.rms_norm(**arguments) is arguments['x']
        assert torch.equal(ops.rms_norm(**arguments, eps=2), arguments['x'] + 2)
    assert not torch.equal(ops.rms_norm(**arguments, eps=2), arguments['x'] + 2)


def test_replacements_of_unknown_operators_are_refused():
    with pytest.raises(ValueError, match=r"^functions: .* got \['scan'\]"), replaced({'scan': abs}):
        pass


class Call(torch.nn.Module):
    """An operator as a module, its options fixed, its tensors by name."""

    def __init__(self, name, options):
        super().__init__()
        self.function = operators()[name].function
        self.options = options

    def forward(self, **tensors):
        return self.function(**tensors, **self.options)


def split(arguments):
    """Returns the tensors and the other arguments."""
    tensors = {key: value for key, value in arguments.items() if is_real(value)}
    return tensors, {key: value for key, value in arguments.items() if key not in tensors}


@pytest.mark.compiler
@of_registered
def test_compiles_without_a_graph_break(name, backend):
    tensors, options = split(example(name, LONG, torch.float64))
    call = Call(name, options | {'backend': backend})
    torch.compiler.reset()  # forgets the others, which have the same `forward`
    compiled = torch.compile(call, fullgraph=True, backend='aot_eager')
    leaves = [value.requires_grad_() for value in tensors.values()]
    expected, found = call(**tensors), compiled(**tensors)
    torch.testing.assert_close(found, expected)
    expected_gradients = torch.autograd.grad(expected.square().sum(), leaves)
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), leaves), expected_gradients
    )


@pytest.mark.compiler
@of_all
def test_exports(name):
    tensors, options = split(example(name, LONG, torch.float64))
    call = Call(name, options)
    program = torch.export.export(call, (), tensors)
    torch.testing.assert_close(program.module()(**tensors), call(**tensors))


def of_first(name, backend):
    """Returns an operator as a function of its first tensor, and that tensor."""
    arguments = example(name, SHAPE._replace(batch=1, length=5, channels=64))
    first = next(key for key, value in arguments.items() if isinstance(value, torch.Tensor))
    call = partial(operators()[name].function, backend=backend)
    return lambda x: call(**arguments | {first: x}), arguments[first]


def in_forward_mode(function, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(function(forward_ad.make_dual(x, x.flip(-1)))).tangent


def twice(function, x):
    leaf = x.requires_grad_()
    gradient, *_ = torch.autograd.grad(function(leaf).square().sum(), leaf, create_graph=True)
    return torch.autograd.grad(gradient.square().sum(), leaf)[0]


transforms = pytest.mark.parametrize(
    'transform',
    [
        lambda function, x: torch.func.vmap(function)(torch.stack([x, x])),
        lambda function, x: torch.func.grad(lambda x: function(x).sum())(x),
        lambda function, x: torch.func.jvp(function, (x,), (x.flip(-1),))[1],
        in_forward_mode,
        twice,
    ],
    ids=['vmap', 'grad', 'jvp', 'forward mode', 'second derivative'],
)


@of_fast
@transforms
def test_transforms_of_fast_backends_are_an_error_that_names_the_naive_one(
    name, backend, transform
):
    with pytest.raises(RuntimeError, match="use backend='naive'"):
        transform(*of_first(name, backend))


@of_all
@transforms
def test_naive_backends_can_be_transformed(name, transform):
    assert transform(*of_first(name, 'naive')).abs().sum() > 0


@of_available
def test_meta_tensors_give_the_shape_from_every_backend(name, backend):
    arguments = example(name)
    expected = operators()[name].function(**arguments)
    meta = {k: x.to('meta') if isinstance(x, torch.Tensor) else x for k, x in arguments.items()}
    found = operators()[name].function(**meta, backend=backend)
    assert found.device.type == 'meta'
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
