"""Floating point operations of our operators, by formula, since no counter sees inside them.

A multiplication, an addition and an exponential count as one operation each, so that a matrix
product of `(M, K)` and `(K, N)` counts `2 M K N`, as in `torch.utils.flop_counter`. Like there,
norms, activations and the rotary embedding (elementwise) do not count.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ...ops import dispatch
from ...ops.gated_scan.composed import composed_gated_scan
from ...ops.retention.chunkwise import CHUNK


def selective_scan_flops(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> int:
    """Returns `B L D (7 N + 1)` for u `(B, D, L)` and A `(D, N)`.

    Per state: `exp(Δ A)` 2, `B (Δ u)` 1, the recurrence 2, `y += C h` 2; per channel: `Δ u` 1.
    """
    return u.numel() * (7 * A.shape[1] + 1)


def retention_flops(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> int:
    """Returns the cheaper of the dense and the chunkwise form, as the operator chooses.

    For q, k `(B, H, L, K)` and v `(B, H, L, V)`: a row of S tokens costs `2 S (K + V)` in products
    and S to apply the decay. It is all L tokens in the dense form; or those of a chunk, where the
    state between chunks adds `4 K V` to read and write it. A table of the decay costs 2 a head and
    distance.
    """
    batch, heads, length, keys = q.shape
    values = v.shape[-1]
    widths = 2 * (keys + values) + 1
    row = min(length * widths, CHUNK * widths + 4 * keys * values)
    return heads * length * (batch * row + 2)


def decayed_attention_flops(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool
) -> int:
    """Returns `B H L² (2 (K + V) + 1) + 2 H L` for q, k `(B, H, L, K)` and v `(B, H, L, V)`.

    Products of all pairs (as the counter has it for causal attention too), 1 a pair to apply the
    decay, and 2 a head and distance for the table of it.
    """
    batch, heads, length, keys = q.shape
    pairs = batch * heads * length**2
    return pairs * (2 * (keys + v.shape[-1]) + 1) + 2 * heads * length


def causal_conv1d_flops(x: Tensor, weight: Tensor, bias: Tensor) -> int:
    """Returns `2 B L D W` for x `(B, L, D)` and weight `(D, W)`."""
    return 2 * x.numel() * weight.shape[1]


def norm_flops(x: Tensor, *others: object) -> int:
    """Returns 0: norms and gates do not count."""
    return 0


@dataclass(frozen=True)
class Operator:
    """The formula of an operator, and the position of the argument that its output looks like."""

    flops: Callable[..., int]
    output_like: int = 0


OPERATORS = {
    'selective_scan': Operator(selective_scan_flops),
    'retention': Operator(retention_flops, output_like=2),
    'decayed_attention': Operator(decayed_attention_flops, output_like=2),
    'causal_conv1d': Operator(causal_conv1d_flops),
    'gated_group_rms_norm': Operator(norm_flops),
    'rms_norm': Operator(norm_flops),
}


class OperatorCounter:
    """Sums the operations of the calls within `count_operators`."""

    def __init__(self) -> None:
        self.flops = 0

    def backend(self, operator: Operator) -> Callable[..., Tensor]:
        """Returns a backend that counts instead of computing."""

        def run(*args: object) -> Tensor:
            self.flops += operator.flops(*args)
            return _KeepInputs.apply(operator.output_like, *args)

        return run


class _KeepInputs(torch.autograd.Function):
    """What a fused kernel keeps for its backward: its inputs; states are computed again."""

    @staticmethod
    def forward(ctx, output_like: int, *args: object) -> Tensor:
        ctx.save_for_backward(*(arg for arg in args if isinstance(arg, Tensor)))
        return torch.empty_like(args[output_like])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> None:
        raise RuntimeError('operators that are counted compute nothing')


@contextmanager
def count_operators() -> Iterator[OperatorCounter]:
    """Replaces all backends of our operators; their outputs have a shape, but no values."""
    counter = OperatorCounter()
    before = dict(dispatch._OPERATORS)
    runs = {name: counter.backend(operator) for name, operator in OPERATORS.items()}
    runs['gated_selective_scan'] = composed_gated_scan  # its parts are counted
    for name, backends in before.items():
        counting = dispatch.Backend(runs[name], dispatch.always)
        dispatch._OPERATORS[name] = dict.fromkeys(backends, counting)
    try:
        yield counter
    finally:
        dispatch._OPERATORS.update(before)


class FusedAttention(TorchFunctionMode):
    """Lets torch's own attention keep what its fused kernels keep, as ours do.

    On the meta device torch takes the plain form, which keeps the weights of all pairs of tokens.
    """

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        if func is F.scaled_dot_product_attention:
            query, key, value = args[:3]
            return _KeepInputs.apply(0, query, key, value)
        return func(*args, **(kwargs or {}))
