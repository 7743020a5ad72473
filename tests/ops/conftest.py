"""What the tests of the operators share.

A test that asks for `backend` runs with every backend of its module's `OPERATOR`, one that asks for
`fast_backend` with all but the naive one. On a machine without a GPU the Triton backends take part
only where TRITON_INTERPRET=1, see test_triton.py; with a GPU they run on it, marked `gpu`.
"""

import pytest
import torch

from mmdefocus import ops
from mmdefocus.ops.triton_support import interpreted

ON_GPU = torch.cuda.is_available() and not interpreted()
GPU_BACKENDS = ('triton',)  # mamba_ssm takes no float64, see test_mamba_ssm.py
LONGEST_INTERPRETED = 70  # tokens


def pytest_generate_tests(metafunc):
    for argument in {'backend', 'fast_backend'} & set(metafunc.fixturenames):
        if any(
            argument in mark.args[0] for mark in metafunc.definition.iter_markers('parametrize')
        ):
            continue
        states = ops.available_backends('cpu')[metafunc.module.OPERATOR]
        if ON_GPU:
            found = ops.available_backends('cuda')[metafunc.module.OPERATOR]
            states |= {name: found[name] for name in GPU_BACKENDS if name in found}
        names = [name for name, state in states.items() if state == 'available']
        if argument == 'fast_backend':
            names.remove('naive')
        metafunc.parametrize(
            argument,
            [
                pytest.param(name, marks=pytest.mark.gpu if is_on_gpu(name) else ())
                for name in names
            ],
        )


def is_on_gpu(backend: str) -> bool:
    return ON_GPU and backend in GPU_BACKENDS


def on_gpu(x):
    """Copies a tensor to the GPU, differentiably and with its strides."""
    if not isinstance(x, torch.Tensor):
        return x
    held = x[tuple(slice(1 if stride == 0 else None) for stride in x.stride())]
    y = torch.empty_strided(held.shape, held.stride(), dtype=x.dtype, device='cuda')
    return y.copy_(held).expand(x.shape)


@pytest.fixture(autouse=True)
def _calls_go_to_the_device_of_the_backend(request, monkeypatch):
    """Lets a module call its operator with tensors on the CPU, whatever the backend needs."""
    name = getattr(request.module, 'OPERATOR', None)
    if not ON_GPU or name is None:
        return
    operator = getattr(ops, name)

    def call(*args, backend='auto', **options):
        if not is_on_gpu(backend):
            return operator(*args, backend=backend, **options)
        options = {key: on_gpu(value) for key, value in options.items()}
        return operator(*map(on_gpu, args), backend=backend, **options).cpu()

    monkeypatch.setattr(request.module, name, call)


@pytest.fixture
def place():
    """`place(backend, x)`: a tensor where the backend can take it."""
    return lambda backend, x: on_gpu(x) if is_on_gpu(backend) else x


@pytest.fixture
def long() -> int:
    """A number of tokens that fills several blocks, of interpreted kernels fewer."""
    return LONGEST_INTERPRETED if interpreted() else 197


def pytest_collection_modifyitems(config, items):
    """Leaves out what would take an interpreter minutes."""
    if not interpreted():
        return
    slow = [
        item
        for item in items
        if hasattr(item, 'callspec')
        and item.callspec.params.get('sizes', {}).get('length', 0) > LONGEST_INTERPRETED
    ]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


@pytest.fixture
def relative_error():
    """`relative_error(actual, expected)`: the norm of the error over that of the expected."""

    def measure(actual: torch.Tensor, expected: torch.Tensor) -> float:
        error, size = (actual.double() - expected.double()).norm(), expected.double().norm()
        return (error / size if size else error).item()  # one token has no gradient of a decay

    return measure


@pytest.fixture
def differentiate():
    """`differentiate(function, inputs)`: the output and the gradients of all inputs."""

    def run(function, inputs):
        leaves = [x.detach().requires_grad_() for x in inputs]
        y = function(*leaves)
        generator = torch.Generator().manual_seed(3)
        dy = torch.randn(y.shape, generator=generator).bfloat16()  # exact in any dtype
        return y, torch.autograd.grad(y, leaves, dy.to(y.dtype))

    return run


@pytest.fixture
def run_with_gradients(request, differentiate):
    """`run_with_gradients(inputs, backend, **options)`: as `differentiate`, of the OPERATOR."""

    def run(inputs, backend, **options):
        operator = getattr(request.module, request.module.OPERATOR)
        return differentiate(lambda *x: operator(*x, backend=backend, **options), inputs)

    return run


@pytest.fixture
def equals_naive(run_with_gradients, relative_error):
    """Compares a backend with the naive one in float64; gradients may have a tolerance of theirs.

    Output and gradients have the dtypes of the inputs.
    """

    def check(inputs, backend, tolerance, gradient_tolerance=None, **options):
        exact = [x.double() for x in inputs]
        expected, expected_grads = run_with_gradients(exact, 'naive', **options)
        y, grads = run_with_gradients(inputs, backend, **options)
        assert y.dtype == inputs[0].dtype
        assert relative_error(y, expected) < tolerance
        for x, grad, expected_grad in zip(inputs, grads, expected_grads, strict=True):
            assert grad.dtype == x.dtype
            assert relative_error(grad, expected_grad) < (gradient_tolerance or tolerance)

    return check


@pytest.fixture
def strides_do_not_matter(run_with_gradients):
    """Compares inputs whose elements lie three apart with those that are given."""

    def check(inputs, backend, **options):
        scattered = [x.repeat_interleave(3, -1)[..., ::3] for x in inputs]
        assert not any(x.is_contiguous() for x in scattered)
        actual = run_with_gradients(scattered, backend, **options)
        torch.testing.assert_close(actual, run_with_gradients(inputs, backend, **options))

    return check


@pytest.fixture
def kept_for_backward():
    """`kept_for_backward(function, inputs)`: the output, and how many numbers are kept beside it.

    The inputs, which are kept too, do not count.
    """

    def measure(function, inputs):
        kept = 0

        def count(tensor):
            nonlocal kept
            kept += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            y = function(*(x.requires_grad_() for x in inputs))
        return y, kept - sum(x.numel() for x in inputs)

    return measure


@pytest.fixture(
    ids=lambda case: f'{case[0]}-{case[2]}',
    params=[
        ('q', torch.ones(3, 23, 6), r'\(3, 23, 6\)'),
        ('k', torch.ones(2, 3, 23, 7), r'\(2, 3, 23, 6\).*\(2, 3, 23, 7\)'),
        ('v', torch.ones(2, 3, 22, 5), r'\(2, 3, 23, 6\).*\(2, 3, 22, 5\)'),
        ('v', torch.ones(3, 23, 5), r'\(2, 3, 23, 6\).*\(3, 23, 5\)'),
        ('log_decay', torch.ones(4), r'\(2, 3, 23, 6\).*\(4,\)'),
        ('log_decay', torch.ones(3, 1), r'\(3,\).*\(3, 1\)'),
        ('k', torch.ones(2, 3, 23, 6, dtype=torch.int64), 'int64'),
        ('v', torch.ones(2, 3, 23, 5, device='meta'), 'meta'),
    ],
)
def bad_heads(request):
    """An argument that does not fit q `(2, 3, 23, 6)`, its value and what the error must say."""
    return request.param


@pytest.fixture(autouse=True)
def _uninitialised_memory_is_nan():
    """Deterministic mode fills `torch.empty` with NaN, so a kernel that skips a place is seen."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)
