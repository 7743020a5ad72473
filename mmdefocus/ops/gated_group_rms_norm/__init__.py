"""What the De-focus Mamba mixer does with the output of its scan (Appendix B.2)."""

import torch
from torch import Tensor

from ..arguments import check_eps, check_group_size, check_tensors
from ..compiled import build
from ..operator import Backend, Operator, Shape, like, no_flops, register, run
from ..triton_support import triton_backend
from .cpu import cpu_gated_group_rms_norm
from .naive import naive_gated_group_rms_norm

__all__ = ['gated_group_rms_norm']

DIMENSIONS = {'y': 'BLD', 'u': 'BLD', 'D': 'D', 'z': 'BLD'}
EXAMPLE_GROUP = 64


def gated_group_rms_norm(
    y: Tensor,
    u: Tensor,
    D: Tensor,
    z: Tensor,
    group_size: int,
    eps: float = 1e-6,
    *,
    backend: str = 'auto',
) -> Tensor:
    """Normalises the scan's output in groups, adds the skip and applies the gate.

    `(y / rms(y) + u * D) * silu(z)`, where rms is the root mean square over a group of
    neighbouring channels, eps added to the mean square. Computed in float32 at least.

    Args:
        y: Output of the scan, `(B, L, D)`, any floating dtype.
        u: Input of the scan, `(B, L, D)`.
        D: Weight of the skip, `(D,)`.
        z: Gate before its SiLU, `(B, L, D)`.
        group_size: Channels in a group, a divisor of D.
        eps: Added to the mean square.
        backend: A name of `available_backends()['gated_group_rms_norm']`, or 'auto'.

    Returns:
        `(B, L, D)` in the dtype of `u`.

    Raises:
        ValueError: If shapes or devices do not fit, or the backend cannot run.
    """
    check_tensors({'y': y, 'u': u, 'D': D, 'z': z}, DIMENSIONS)
    check_group_size(group_size, y.shape[2])
    check_eps(eps)
    return run('gated_group_rms_norm', backend, y, u, D, z, group_size, eps)


def example(shape: Shape, dtype: torch.dtype) -> dict[str, object]:
    """Returns the output and the input of a scan, D, and the gate as half of a projection."""
    batch, length, channels, _ = shape
    y, u = (torch.randn(batch, length, channels, dtype=dtype) for _ in range(2))
    z = torch.randn(batch, length, 2 * channels, dtype=dtype)[..., channels:]
    D = torch.ones(channels, dtype=dtype)
    return {'y': y, 'u': u, 'D': D, 'z': z, 'group_size': min(EXAMPLE_GROUP, channels)}


register(
    Operator(
        gated_group_rms_norm,
        backends={
            'cpu': Backend(cpu_gated_group_rms_norm, build.why_not),
            'triton': triton_backend('gated_group_rms_norm'),
            'naive': Backend(naive_gated_group_rms_norm),
        },
        exportable=naive_gated_group_rms_norm,
        example=example,
        cost=no_flops,
        empty_output=like(1),
    )
)
