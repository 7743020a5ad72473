"""The operators of the mixers as calls to measure, with their backends and their peers."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdefocus.ops import ms_deform_attn
from mmdefocus.ops.operator import Shape, operators
from mmdefocus.utils.errors import one_line

from .measure import Output
from .peers import PEERS

MATRIX_PRODUCTS = 'matrix_products'


class Call(NamedTuple):
    """Arguments of an operator by name, those that get a gradient, and the gradient of the output.

    The inputs are among the arguments.
    """

    arguments: dict[str, object]
    inputs: list[Tensor]
    gradient: list[Tensor]

    def of(self, function: Callable[..., Output]) -> Callable[[], Output]:
        """Returns the call of an operator with a backend, or of a peer."""
        return partial(function, **self.arguments)

    def double(self) -> 'Call':
        """Returns a copy in float64."""
        exact = {id(x): x.detach().double().requires_grad_() for x in self.inputs}
        arguments = {name: exact.get(id(x), x) for name, x in self.arguments.items()}
        return Call(arguments, [*exact.values()], [y.double() for y in self.gradient])


class Subject(NamedTuple):
    """A function to measure and what makes its arguments by name, see `mmdefocus.ops.operator`."""

    function: Callable[..., Output]
    example: Callable[[Shape, torch.dtype], dict[str, object]]

    def call(self, shape: Shape, dtype: torch.dtype, device: str, seed: int = 0) -> Call:
        """Returns a random call, the same for the same arguments."""
        torch.manual_seed(seed)
        with torch.device(device):
            arguments = self.example(shape, dtype)
        tensors = [x for x in arguments.values() if isinstance(x, Tensor)]
        with torch.no_grad():
            outputs = as_list(self.function(**arguments))
        inputs = [x.requires_grad_() for x in tensors if x.is_floating_point()]
        return Call(arguments, inputs, [torch.randn_like(y) for y in outputs])


def matrix_example(shape: Shape, dtype: torch.dtype) -> dict[str, object]:
    """Returns inputs and weights of a mixer's linear layers, with C = D/2 and rank = D/32."""
    batch, length, channels, state = shape
    embed, rank = channels // 2, max(1, channels // 32)
    tokens, u, time_step = (
        torch.randn(batch, length, size, dtype=dtype) for size in (embed, channels, rank)
    )
    return {
        'tokens': tokens,
        'in_proj': torch.randn(2 * channels, embed, dtype=dtype),
        'u': u,
        'x_proj': torch.randn(rank + 2 * state, channels, dtype=dtype),
        'time_step': time_step,
        'dt_proj': torch.randn(channels, rank, dtype=dtype),
        'y': torch.randn(batch, length, channels, dtype=dtype),
        'out_proj': torch.randn(embed, channels, dtype=dtype),
    }


def matrix_products(
    tokens: Tensor,
    in_proj: Tensor,
    u: Tensor,
    x_proj: Tensor,
    time_step: Tensor,
    dt_proj: Tensor,
    y: Tensor,
    out_proj: Tensor,
) -> tuple[Tensor, ...]:
    """Computes the four projections of a mixer, the work that no other operator can hide."""
    pairs = ((tokens, in_proj), (u, x_proj), (time_step, dt_proj), (y, out_proj))
    return tuple(F.linear(x, weight) for x, weight in pairs)


def detector_example(shape: Shape, dtype: torch.dtype) -> dict[str, object]:
    """Returns DINO's maps of 800 x 1333 and random points of as many queries as there are tokens.

    Heads, channels and points are those of DINO, whatever the shape says.
    """
    sizes = torch.tensor([[100, 167], [50, 84], [25, 42], [13, 21]])
    points = (shape.batch, shape.length, 8, len(sizes), 4)
    wide = torch.promote_types(dtype, torch.float32)
    weights = torch.randn(points, dtype=wide).flatten(3).softmax(-1)
    return {
        'value': torch.randn(shape.batch, int(sizes.prod(1).sum()), 8, 32, dtype=dtype),
        'spatial_shapes': sizes,
        'sampling_locations': torch.rand(*points, 2, dtype=wide),
        'attention_weights': weights.view(points),
    }


def as_list(output: Output) -> list[Tensor]:
    """Returns the outputs of an operator, of which most have one."""
    return [output] if isinstance(output, Tensor) else list(output)


SUBJECTS = {
    **{name: Subject(found.function, found.example) for name, found in operators().items()},
    'ms_deform_attn': Subject(ms_deform_attn, detector_example),
    MATRIX_PRODUCTS: Subject(matrix_products, matrix_example),
}


def candidates(name: str, device: str = 'cpu') -> dict[str, Callable[..., Output] | str]:
    """Returns the backends of an operator and its peers: the function, or why there is none."""
    if name == MATRIX_PRODUCTS:
        return {'torch': matrix_products}
    operator = operators()[name]
    found = {
        backend: entry.why_not(torch.device(device)) or partial(operator.function, backend=backend)
        for backend, entry in operator.backends.items()
    }
    for peer, load in PEERS.get(name, {}).items():
        try:
            found[peer] = load()
        except Exception as error:  # a broken installation may raise anything
            found[peer] = one_line(error)
    return found
