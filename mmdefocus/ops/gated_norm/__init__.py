"""What the De-focus Mamba mixer does with the output of its scan (Appendix B.2)."""

from torch import Tensor

from .. import dispatch, gpu, native
from .cpu import cpu_gated_group_rms_norm
from .naive import naive_gated_group_rms_norm

__all__ = ['gated_group_rms_norm']

dispatch.register(
    'gated_group_rms_norm',
    {
        'cpu': dispatch.Backend(cpu_gated_group_rms_norm, native.why_not),
        'triton': dispatch.Backend(
            gpu.lazy(f'{__name__}.triton', 'triton_gated_group_rms_norm'),
            gpu.why_not,
            auto_on='cuda',
        ),
        'naive': dispatch.Backend(naive_gated_group_rms_norm, dispatch.always),
    },
)


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
    if y.dim() != 3 or y.shape[2] % group_size:
        raise ValueError(
            f'y: expected (B, L, D) with D a multiple of group_size {group_size}, '
            f'got shape {tuple(y.shape)}'
        )
    for name, tensor, shape in (('u', u, y.shape), ('z', z, y.shape), ('D', D, y.shape[2:])):
        if tensor.shape != shape:
            raise ValueError(
                f'{name}: expected {tuple(shape)} for y {tuple(y.shape)}, got {tuple(tensor.shape)}'
            )
        if tensor.device != y.device:
            raise ValueError(f'{name}: is on {tensor.device}, but y is on {y.device}')
    run = dispatch.select('gated_group_rms_norm', backend, y.device)
    return run(y, u, D, z, group_size, eps)
