"""What the tests of the operators share.

A test that asks for `backend` runs with every backend of its module's `OPERATOR`, one that asks for
`fast_backend` with all but the naive one. On a machine without a GPU the Triton backends take part
only where TRITON_INTERPRET=1, see test_triton.py; with a GPU they run on it, marked `gpu`.
"""

import pytest
import torch

from mmdefocus import ops
from mmdefocus.ops.gpu import interpreted

ON_GPU = torch.cuda.is_available() and not interpreted()
GPU_BACKENDS = ('triton', 'mamba_ssm')
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
    y = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device='cuda')
    return y.copy_(x)


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


@pytest.fixture(autouse=True)
def _uninitialised_memory_is_nan():
    """Deterministic mode fills `torch.empty` with NaN, so a kernel that skips a place is seen."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)
