"""The epilogue in C++ for CPUs, one pass over memory each way; see csrc/."""

from torch import Tensor

from ..compiled.call import call, contiguous_channels, strided
from ..compiled.structs import Tasks
from ..custom_operator import custom_operator
from ..numerics import empty_contiguous, wide_dtype


def cpu_gated_group_rms_norm(
    y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float
) -> Tensor:
    """See `gated_group_rms_norm`. bfloat16 and float16 are widened to float32 first."""
    dtype = wide_dtype(u.dtype)
    y, wide_u, z = (contiguous_channels(x.to(dtype)) for x in (y, u, z))
    return _norm(y, wide_u, D.to(dtype).contiguous(), z, group_size, eps).to(u.dtype)


def _forward(y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float) -> Tensor:
    out = empty_contiguous(y)
    inputs = (Tasks.of(y), group_size, eps, *strided(y, u), D, *strided(z))
    call('gated_group_rms_norm_forward', y.dtype, *inputs, *strided(out))
    return out


def _backward(
    y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float, dout: Tensor
) -> tuple[Tensor, ...]:
    tasks = Tasks.of(y)
    dout = contiguous_channels(dout)
    dy, du, dz = (empty_contiguous(x) for x in (y, u, z))
    dD = D.new_empty(tasks.number, *D.shape)
    inputs = (tasks, group_size, eps, *strided(y, u), D, *strided(z, dout))
    call('gated_group_rms_norm_backward', y.dtype, *inputs, *strided(dy, du, dz), dD)
    return dy, du, dD.sum(0), dz


_norm = custom_operator(
    'gated_group_rms_norm_cpu',
    _forward,
    _backward,
    empty=empty_contiguous,
    device_types='cpu',
)
