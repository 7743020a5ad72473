"""A sequence in pieces, each from the state after the one before, is the whole sequence."""

import pytest
import torch
from torch.autograd import gradcheck

from mmdefocus import ops
from mmdefocus.ops import available_backends, exportable, operators
from mmdefocus.ops.operator import Shape
from mmdefocus.ops.triton_support import interpreted

from . import shared

# An interpreter takes minutes for what fills a block.
SHAPE = Shape(batch=2, length=23, channels=16 if interpreted() else 128, state=6)
ALONG = {  # the dimension of tokens
    'selective_scan': (2, ('u', 'delta', 'B', 'C')),
    'gated_selective_scan': (1, ('u', 'delta', 'B', 'C', 'z')),
    'retention': (2, ('q', 'k', 'v')),
    'retention of tokens': (2, ('q', 'k', 'v', 'log_decay')),
    'causal_conv1d': (1, ('x',)),
}


def operator_of(name):
    return operators()[name.partition(' ')[0]]


AVAILABLE = [
    (name, backend)
    for name in ALONG
    for backend, state in available_backends('cpu')[operator_of(name).name].items()
    if state == 'available'
]
of_compilable = pytest.mark.parametrize(
    ('name', 'backend'), [pair for pair in AVAILABLE if pair[1] not in ('torch', 'naive')]
)
of_available = pytest.mark.parametrize(('name', 'backend'), AVAILABLE)
of_all = pytest.mark.parametrize('name', ALONG)


def example(name, shape=SHAPE, dtype=torch.float64):
    """Returns arguments by name, tensors as leaves that need a gradient."""
    torch.manual_seed(0)
    arguments = operator_of(name).example(shape, dtype)
    if name == 'retention of tokens':
        log_decay = arguments['log_decay']
        arguments['log_decay'] = shared.of_each_token(log_decay, shape.batch, shape.length)
    return {
        key: value.detach().requires_grad_() if isinstance(value, torch.Tensor) else value
        for key, value in arguments.items()
    }


def cut(name, arguments, start, stop):
    dim, along = ALONG[name]
    pieces = {key: arguments[key].narrow(dim, start, stop - start) for key in along}
    return arguments | pieces


def states_of(name, arguments):
    """Returns an initial state that needs a gradient, and the gradient of a final one."""
    _, state = operator_of(name).with_state(**arguments)
    return torch.randn_like(state).requires_grad_(), torch.randn_like(state)


def run_in_pieces(name, arguments, cuts, state, backend):
    """Returns y of all pieces and the final state."""
    dim, along = ALONG[name]
    stops = [*cuts, arguments[along[0]].shape[dim]]
    outputs = []
    for start, stop in zip((0, *cuts), stops, strict=True):
        piece = cut(name, arguments, start, stop)
        y, state = operator_of(name).with_state(**piece, initial_state=state, backend=backend)
        outputs.append(y)
    return torch.cat(outputs, dim), state


def results(name, arguments, cuts, backend, state, dstate):
    """Returns y, the final state, and the gradients of all tensors and the initial state."""
    y, final = run_in_pieces(name, arguments, cuts, state, backend)
    leaves = [x for x in (*arguments.values(), state) if isinstance(x, torch.Tensor)]
    generator = torch.Generator().manual_seed(3)
    dy = torch.randn(y.shape, generator=generator).bfloat16().to(y.dtype)
    return y, final, *torch.autograd.grad((y, final), leaves, (dy, dstate), materialize_grads=True)


@of_all
def test_the_list_of_operators_tells_which_have_a_state(name):
    assert operator_of(name).with_state is getattr(ops, f'{operator_of(name).name}_with_state')
    with_state = {key for key, operator in operators().items() if operator.with_state}
    assert with_state == {operator_of(key).name for key in ALONG}


@of_available
@pytest.mark.parametrize('length', [1, 23, 71])
def test_two_pieces_give_what_equals_the_whole_at_every_cut(name, backend, length):
    arguments = example(name, SHAPE._replace(length=length))
    ends = states_of(name, arguments)
    expected = results(name, arguments, (), 'naive', *ends)
    few = (0, length // 3, length) if interpreted() else (0, 1, length // 3, length // 2, length)
    places = range(length + 1) if length < 30 and not interpreted() else few
    for place in places:
        found = results(name, arguments, (place,), backend, *ends)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


TOLERANCES = {torch.float32: 5e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}


@of_available
@pytest.mark.parametrize('dtype', TOLERANCES)
def test_pieces_keep_the_accuracy_of_each_dtype(name, backend, dtype, relative_error):
    arguments = example(name, dtype=dtype)
    exact = {
        key: value.detach().double().requires_grad_() if isinstance(value, torch.Tensor) else value
        for key, value in arguments.items()
    }
    state, dstate = states_of(name, arguments)
    exact_state = state.detach().double().requires_grad_()
    expected = results(name, exact, (), 'naive', exact_state, dstate.double())
    found = results(name, arguments, (9,), backend, state, dstate)
    assert found[0].dtype == dtype and found[1].dtype == found[-1].dtype == torch.float32
    for actual, value in zip(found, expected, strict=True):
        assert relative_error(actual, value) < TOLERANCES[dtype]


@of_available
def test_without_a_state_it_equals_the_stateless_function(name, backend):
    arguments = example(name)
    y, _ = operator_of(name).with_state(**arguments, backend=backend)
    torch.testing.assert_close(
        y, operator_of(name).function(**arguments, backend=backend), rtol=1e-12, atol=1e-12
    )


@of_available
def test_the_gradient_of_the_state_alone_is_enough(name, backend):
    arguments = example(name)
    state, dstate = states_of(name, arguments)
    grads = []
    for of in (backend, 'naive'):
        _, final = run_in_pieces(name, arguments, (11,), state, of)
        grads.append(torch.autograd.grad(final, state, dstate))
    torch.testing.assert_close(*grads)


@of_available
def test_gradcheck_in_and_through_both_states(name, backend):
    arguments = example(name, Shape(batch=1, length=5, channels=4, state=2))
    state, _ = states_of(name, arguments)
    keys = [key for key, value in arguments.items() if isinstance(value, torch.Tensor)]

    def run(state, *tensors):
        inputs = arguments | dict(zip(keys, tensors, strict=True))
        return operator_of(name).with_state(**inputs, initial_state=state, backend=backend)

    assert gradcheck(run, (state, *(arguments[key] for key in keys)))


@of_available
def test_inference_gives_what_training_gives(name, backend):
    arguments = example(name)
    state, _ = states_of(name, arguments)
    found = run_in_pieces(name, arguments, (7,), state, backend)
    with torch.no_grad():
        assert all(map(torch.equal, run_in_pieces(name, arguments, (7,), state, backend), found))


@pytest.mark.compiler
@of_compilable
def test_compiles_without_a_graph_break(name, backend):
    arguments = example(name)
    state, dstate = states_of(name, arguments)

    def run(state):
        return operator_of(name).with_state(**arguments, initial_state=state, backend=backend)

    torch.compiler.reset()
    compiled = torch.compile(run, fullgraph=True, backend='aot_eager')
    expected, found = run(state), compiled(state)
    torch.testing.assert_close(found, expected)
    grads = [torch.autograd.grad(x[1], state, dstate) for x in (expected, found)]
    torch.testing.assert_close(*grads)


@pytest.mark.compiler
@of_all
def test_the_exportable_form_equals_the_naive_one(name):
    arguments = example(name)
    state, _ = states_of(name, arguments)
    with exportable(), torch.no_grad():
        found = run_in_pieces(name, arguments, (9,), state, 'auto')
    torch.testing.assert_close(found, run_in_pieces(name, arguments, (), state, 'naive'))


@pytest.mark.compiler
@of_all
def test_exports(name):
    arguments = example(name)
    state, _ = states_of(name, arguments)

    tensors = {
        key: value.detach() for key, value in arguments.items() if isinstance(value, torch.Tensor)
    } | {'initial_state': state.detach()}
    options = {key: value for key, value in arguments.items() if key not in tensors}

    class Step(torch.nn.Module):
        def forward(self, **tensors):
            return operator_of(name).with_state(**tensors, **options)

    with exportable(), torch.no_grad():
        program = torch.export.export(Step(), (), tensors, strict=False)
    assert not [node for node in program.graph.nodes if 'mmdefocus' in str(node.target)]
    torch.testing.assert_close(program.module()(**tensors), Step()(**tensors))


@of_all
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda state: state[1:], r'initial_state: expected \(2, .*\), got \(1, '),
        (lambda state: state.long(), 'initial_state: expected one of float64.*int64'),
        (lambda state: state.to('meta'), 'initial_state: expected the device cpu, got meta'),
    ],
)
def test_a_bad_state_is_named(name, change, message):
    arguments = example(name)
    state, _ = states_of(name, arguments)
    with pytest.raises(ValueError, match=message):
        operator_of(name).with_state(**arguments, initial_state=change(state))


def test_mamba_ssm_says_why_it_has_no_state():
    backend = operators()['selective_scan'].backends['mamba_ssm']
    arguments = [torch.ones(1, 2, 3)] * 2 + [-torch.ones(2, 4)] + [torch.ones(1, 4, 3)] * 2
    state = torch.zeros(1, 2, 4)
    assert backend.suits(*arguments) and not backend.suits(*arguments, state)
    with pytest.raises(ValueError, match=r"initial_state: the backend 'mamba_ssm' takes .* none"):
        backend.run(*arguments, state)


def test_gradients_through_states_are_those_of_backpropagation_through_the_whole():
    """Truncated backpropagation goes piece by piece, from the last, by gradients of states."""
    name, length, piece = 'gated_selective_scan', 40, 8
    arguments = example(name, SHAPE._replace(length=length))
    leaves = [value for value in arguments.values() if isinstance(value, torch.Tensor)]
    whole = operator_of(name).function(**arguments).square().sum()
    expected = torch.autograd.grad(whole, leaves)

    states = [None]
    with torch.no_grad():  # forward: keep the states between the pieces, and nothing else
        for start in range(0, length, piece):
            part = cut(name, arguments, start, start + piece)
            states.append(operator_of(name).with_state(**part, initial_state=states[-1])[1])
    found = [torch.zeros_like(leaf) for leaf in leaves]
    dstate = torch.zeros_like(states[-1])
    for index in reversed(range(length // piece)):  # backward: one piece in memory at a time
        state = states[index]
        state = torch.zeros_like(dstate) if state is None else state
        state.requires_grad_()
        part = cut(name, arguments, index * piece, (index + 1) * piece)
        y, final = operator_of(name).with_state(**part, initial_state=state)
        outputs, gradients = (y.square().sum(), final), (None, dstate)
        *parts, dstate = torch.autograd.grad(outputs, (*leaves, state), gradients)
        found = [a + b for a, b in zip(found, parts, strict=True)]
    torch.testing.assert_close(found, list(expected))
