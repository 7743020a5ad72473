"""The selective scan of Mamba, the recurrence of Eq. 2 with a data-dependent decay (Eq. 5)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import check_tensors, state_or_zeros
from ..compiled import build
from ..numerics import wide_dtype
from ..operator import Backend, Operator, Outputs, Shape, register, run
from ..triton_support import triton_backend
from . import mamba_ssm
from .cpu import cpu_selective_scan
from .naive import naive_selective_scan
from .pytorch import pytorch_selective_scan
from .recurrent import recurrent_selective_scan

__all__ = ['selective_scan', 'selective_scan_with_state']

DIMENSIONS = {'u': 'BDL', 'delta': 'BDL', 'A': 'DN', 'B': 'BNL', 'C': 'BNL'}


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, backend: str = 'auto'
) -> Tensor:
    """Runs `h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t`, `y_t = C_t h_t` from `h_0 = 0`.

    Every channel d has N states of its own; B and C are shared by the channels. The state is kept
    in float32 (float64 for float64 inputs). Any strides do, so a transposed view of a `(B, L, D)`
    tensor costs nothing.

    Args:
        u: Input, `(B, D, L)`, float64, float32, bfloat16 or float16.
        delta: Time steps, `(B, D, L)`, positive.
        A: Decay rates per channel and state, `(D, N)`, negative.
        B: Input projections, `(B, N, L)`.
        C: Output projections, `(B, N, L)`.
        backend: A name of `available_backends()['selective_scan']`, or 'auto'.

    Returns:
        `(B, D, L)` in the dtype of `u`.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit, or the backend cannot run.
    """
    check_tensors({'u': u, 'delta': delta, 'A': A, 'B': B, 'C': C}, DIMENSIONS)
    return run('selective_scan', backend, u, delta, A, B, C)


def selective_scan_with_state(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    initial_state: Tensor | None = None,
    *,
    backend: str = 'auto',
) -> tuple[Tensor, Tensor]:
    """Runs `selective_scan` from `h_0 = initial_state`, and returns the last state as well.

    A sequence in pieces, each from the final state of the one before, gives the values and, through
    the states, the gradients of the whole.

    Args:
        u: Input, `(B, D, L)`.
        delta: Time steps, `(B, D, L)`, positive.
        A: Decay rates per channel and state, `(D, N)`, negative.
        B: Input projections, `(B, N, L)`.
        C: Output projections, `(B, N, L)`.
        initial_state: `(B, D, N)`, computed with in float32 (float64 for float64 u); None is 0.
        backend: A name of `available_backends()['selective_scan']`, or 'auto'; 'mamba_ssm' has no
            state.

    Returns:
        y, `(B, D, L)` in the dtype of `u`, and the final state, `(B, D, N)` in float32 (float64 for
        float64 u).

    Raises:
        ValueError: If shapes, dtypes or devices do not fit, or the backend cannot run.
    """
    check_tensors({'u': u, 'delta': delta, 'A': A, 'B': B, 'C': C}, DIMENSIONS)
    state = state_or_zeros(initial_state, (u.shape[0], *A.shape), u)
    return run('selective_scan', backend, u, delta, A, B, C, state)


def flops(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None = None
) -> int:
    """Returns `B L D (7 N + 1)` for u `(B, D, L)` and A `(D, N)`.

    Per state: `exp(Δ A)` 2, `B (Δ u)` 1, the recurrence 2, `y += C h` 2; per channel: `Δ u` 1.
    """
    return u.numel() * (7 * A.shape[1] + 1)


def empty_output(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None = None
) -> Outputs:
    """Returns an output such as u, and from an initial state a final one such as that."""
    y = torch.empty_like(u)
    return y if state is None else (y, torch.empty_like(state))


def example(shape: Shape, dtype: torch.dtype) -> dict[str, object]:
    """Returns views `(B, D, L)` of `(B, L, D)` tensors, with wide time steps and rates."""
    batch, length, channels, state = shape
    wide = wide_dtype(dtype)
    u = torch.randn(batch, length, channels, dtype=dtype).mT
    delta = F.softplus(torch.randn(batch, length, channels, dtype=wide) - 4).mT
    A = -torch.arange(1.0, state + 1, dtype=wide).repeat(channels, 1)
    B, C = (torch.randn(batch, length, state, dtype=dtype).mT for _ in range(2))
    return {'u': u, 'delta': delta, 'A': A, 'B': B, 'C': C}


register(
    Operator(
        selective_scan,
        with_state=selective_scan_with_state,
        backends={
            'cpu': Backend(cpu_selective_scan, build.why_not),
            'triton': triton_backend('selective_scan'),
            'mamba_ssm': Backend(
                mamba_ssm.mamba_ssm_selective_scan, mamba_ssm.why_not, suits=mamba_ssm.suits
            ),
            'torch': Backend(pytorch_selective_scan),
            'naive': Backend(naive_selective_scan),
        },
        exportable=recurrent_selective_scan,
        example=example,
        cost=flops,
        empty_output=empty_output,
    )
)
