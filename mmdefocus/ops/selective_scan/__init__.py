"""The selective scan of Mamba, the recurrence of Eq. 2 with a data-dependent decay (Eq. 5)."""

from torch import Tensor

from .. import dispatch, gpu, native
from .cpu import cpu_selective_scan
from .mamba_ssm import mamba_ssm_selective_scan
from .mamba_ssm import why_not as why_not_mamba_ssm
from .naive import naive_selective_scan
from .pytorch import pytorch_selective_scan

__all__ = ['selective_scan']

dispatch.register(
    'selective_scan',
    {
        'cpu': dispatch.Backend(cpu_selective_scan, native.why_not),
        'triton': dispatch.Backend(
            gpu.lazy(f'{__name__}.triton', 'triton_selective_scan'), gpu.why_not, auto_on='cuda'
        ),
        'mamba_ssm': dispatch.Backend(mamba_ssm_selective_scan, why_not_mamba_ssm),
        'torch': dispatch.Backend(pytorch_selective_scan, dispatch.always),
        'naive': dispatch.Backend(naive_selective_scan, dispatch.always),
    },
)


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
    _check_arguments(u, delta, A, B, C)
    return dispatch.select('selective_scan', backend, u.device)(u, delta, A, B, C)


def _check_arguments(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> None:
    if u.dim() != 3:
        raise ValueError(f'u: expected (B, D, L), got shape {tuple(u.shape)}')
    batch, channels, length = u.shape
    if A.dim() != 2 or A.shape[0] != channels:
        raise ValueError(
            f'A: expected ({channels}, N) for u {tuple(u.shape)}, got {tuple(A.shape)}'
        )
    state = (batch, A.shape[1], length)
    for name, tensor, shape in (('delta', delta, tuple(u.shape)), ('B', B, state), ('C', C, state)):
        if tuple(tensor.shape) != shape:
            raise ValueError(
                f'{name}: expected {shape} for u {tuple(u.shape)} and A {tuple(A.shape)}, '
                f'got {tuple(tensor.shape)}'
            )
    for name, tensor in (('u', u), ('delta', delta), ('A', A), ('B', B), ('C', C)):
        if not tensor.is_floating_point():
            raise ValueError(f'{name}: expected a floating dtype, got {tensor.dtype}')
        if tensor.device != u.device:
            raise ValueError(f'{name}: is on {tensor.device}, but u is on {u.device}')
