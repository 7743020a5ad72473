"""The core of the De-focus Mamba mixer: selective scan, group normalisation, skip and gate."""

from functools import partial

from torch import Tensor

from .. import dispatch, gpu, native
from ..selective_scan.mamba_ssm import why_not as why_not_mamba_ssm
from .composed import composed_gated_scan
from .cpu import cpu_gated_scan

__all__ = ['gated_selective_scan']

dispatch.register(
    'gated_selective_scan',
    {
        'cpu': dispatch.Backend(cpu_gated_scan, native.why_not),
        'triton': dispatch.Backend(
            partial(composed_gated_scan, scan='triton', norm='triton'), gpu.why_not, auto_on='cuda'
        ),
        'mamba_ssm': dispatch.Backend(
            partial(composed_gated_scan, scan='mamba_ssm'), why_not_mamba_ssm
        ),
        'torch': dispatch.Backend(partial(composed_gated_scan, scan='torch'), dispatch.always),
        'naive': dispatch.Backend(
            partial(composed_gated_scan, scan='naive', norm='naive'), dispatch.always
        ),
    },
)


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
    _check_arguments(u, delta, A, B, C, D, z, delta_bias, group_size)
    run = dispatch.select('gated_selective_scan', backend, u.device)
    return run(u, delta, A, B, C, D, z, delta_bias, group_size, eps, delta_softplus)


def _check_arguments(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor | None,
    group_size: int,
) -> None:
    if u.dim() != 3 or u.shape[2] % group_size:
        raise ValueError(
            f'u: expected (B, L, D) with D a multiple of group_size {group_size}, '
            f'got shape {tuple(u.shape)}'
        )
    batch, length, channels = u.shape
    if A.dim() != 2 or A.shape[0] != channels:
        raise ValueError(
            f'A: expected ({channels}, N) for u {tuple(u.shape)}, got {tuple(A.shape)}'
        )
    projection = (batch, length, A.shape[1])
    inputs = {
        'u': (u, u.shape),
        'A': (A, A.shape),
        'delta': (delta, u.shape),
        'B': (B, projection),
        'C': (C, projection),
        'D': (D, (channels,)),
        'z': (z, u.shape),
    }
    if delta_bias is not None:
        inputs['delta_bias'] = delta_bias, (channels,)
    for name, (tensor, shape) in inputs.items():
        if tensor.shape != shape:
            raise ValueError(
                f'{name}: expected {tuple(shape)} for u {tuple(u.shape)} and A {tuple(A.shape)}, '
                f'got {tuple(tensor.shape)}'
            )
        if not tensor.is_floating_point():
            raise ValueError(f'{name}: expected a floating dtype, got {tensor.dtype}')
        if tensor.device != u.device:
            raise ValueError(f'{name}: is on {tensor.device}, but u is on {u.device}')
