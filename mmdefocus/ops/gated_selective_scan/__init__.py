"""The core of the De-focus Mamba mixer: selective scan, group normalisation, skip and gate."""

from functools import partial

import torch
from torch import Tensor

from ..arguments import state_or_zeros
from ..compiled import build
from ..numerics import wide_dtype
from ..operator import Backend, Operator, Outputs, Shape, register, run
from ..selective_scan.mamba_ssm import why_not as why_not_mamba_ssm
from ..triton_support import triton_backend
from .arguments import GatedScan
from .composed import composed_gated_selective_scan
from .cpu import cpu_gated_selective_scan
from .naive import naive_gated_selective_scan

__all__ = ['gated_selective_scan', 'gated_selective_scan_with_state']

EXAMPLE_GROUP = 64


def gated_selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    group_size: int,
    eps: float = 1e-6,
    *,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    backend: str = 'auto',
) -> Tensor:
    """Scans u, normalises the result in groups, adds the skip and applies the gate.

    `y = selective_scan(u, delta, A, B, C)`, then `(y / rms(y) + u * D) * silu(z)` as in
    `gated_group_rms_norm` (Eq. 9 and Appendix B.2). The state is float32 (float64 for float64
    inputs). Any strides do.

    Args:
        u: Input, `(B, L, D)`, float64, float32, bfloat16 or float16.
        delta: Time steps, `(B, L, D)`, positive; or any number, see `delta_softplus`.
        A: Decay rates per channel and state, `(D, N)`, negative.
        B: Input projections, `(B, L, N)`.
        C: Output projections, `(B, L, N)`.
        D: Weight of the skip, `(D,)`.
        z: Gate before its SiLU, `(B, L, D)`.
        group_size: Channels in a group, a divisor of D.
        eps: Added to the mean square.
        delta_bias: `(D,)`, added to `delta` in float32 at least; or None.
        delta_softplus: Whether the time steps are the softplus of that sum, in float32 at least.
        backend: A name of `available_backends()['gated_selective_scan']`, or 'auto'.

    Returns:
        `(B, L, D)` in the dtype of `u`.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit, or the backend cannot run.
    """
    inputs = GatedScan(u, delta, A, B, C, D, z, group_size, eps, delta_bias, delta_softplus)
    inputs.check()
    return run('gated_selective_scan', backend, inputs)


def gated_selective_scan_with_state(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    group_size: int,
    eps: float = 1e-6,
    initial_state: Tensor | None = None,
    *,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    backend: str = 'auto',
) -> tuple[Tensor, Tensor]:
    """Runs `gated_selective_scan` from an initial state, and returns the final one as well.

    See `selective_scan_with_state` for sequences in pieces.

    Args:
        u: Input, `(B, L, D)`.
        delta: Time steps, `(B, L, D)`, positive; or any number, see `delta_softplus`.
        A: Decay rates per channel and state, `(D, N)`, negative.
        B: Input projections, `(B, L, N)`.
        C: Output projections, `(B, L, N)`.
        D: Weight of the skip, `(D,)`.
        z: Gate before its SiLU, `(B, L, D)`.
        group_size: Channels in a group, a divisor of D.
        eps: Added to the mean square.
        initial_state: The state of the scan, `(B, D, N)`, computed with in float32 (float64 for
            float64 u); None is 0.
        delta_bias: `(D,)`, added to `delta` in float32 at least; or None.
        delta_softplus: Whether the time steps are the softplus of that sum.
        backend: A name of `available_backends()['gated_selective_scan']`, or 'auto'; 'mamba_ssm'
            has no state.

    Returns:
        The output, `(B, L, D)` in the dtype of `u`, and the final state, `(B, D, N)` in float32
        (float64 for float64 u).

    Raises:
        ValueError: If shapes, dtypes or devices do not fit, or the backend cannot run.
    """
    inputs = GatedScan(
        *(u, delta, A, B, C, D, z, group_size, eps, delta_bias, delta_softplus, initial_state)
    )
    inputs.check()
    state = state_or_zeros(initial_state, (u.shape[0], *A.shape), u)
    return run('gated_selective_scan', backend, inputs._replace(initial_state=state))


def example(shape: Shape, dtype: torch.dtype) -> dict[str, object]:
    """Returns what the parts are given, with the time steps before their bias and softplus."""
    batch, length, channels, state = shape
    u, delta = (torch.randn(batch, length, channels, dtype=dtype) for _ in range(2))
    A = -torch.arange(1.0, state + 1, dtype=wide_dtype(dtype)).repeat(channels, 1)
    B, C = (torch.randn(batch, length, state, dtype=dtype) for _ in range(2))
    z = torch.randn(batch, length, 2 * channels, dtype=dtype)[..., channels:]
    tensors = {'u': u, 'delta': delta, 'A': A, 'B': B, 'C': C}
    return tensors | {
        'D': torch.ones(channels, dtype=dtype),
        'z': z,
        'group_size': min(EXAMPLE_GROUP, channels),
        'delta_bias': torch.randn(channels, dtype=dtype) - 4,
        'delta_softplus': True,
    }


def _parts(scan: str) -> partial[Outputs]:
    """Returns the operator as its parts, with a backend of the scan."""
    return partial(composed_gated_selective_scan, scan=scan)


def _without_state(x: GatedScan) -> bool:
    return x.initial_state is None


register(
    Operator(
        gated_selective_scan,
        with_state=gated_selective_scan_with_state,
        backends={
            'cpu': Backend(cpu_gated_selective_scan, build.why_not),
            'triton': triton_backend('gated_selective_scan'),
            'mamba_ssm': Backend(_parts('mamba_ssm'), why_not_mamba_ssm, suits=_without_state),
            'torch': Backend(_parts('torch')),
            'naive': Backend(naive_gated_selective_scan),
        },
        exportable=composed_gated_selective_scan,
        example=example,
    )
)
