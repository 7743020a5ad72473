"""RMS normalisation in C++ for CPUs, one pass over memory each way; see csrc/rms_norm.cpp."""

from torch import Tensor

from ..compiled.call import call, contiguous_channels, strided
from ..compiled.structs import Tasks, readable
from ..custom_operator import custom_operator
from ..numerics import empty_contiguous, wide_dtype


def cpu_rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See `rms_norm`. bfloat16 is read and written as it is; float16 is widened first."""
    dtype = wide_dtype(x.dtype)
    wide_x, weight = contiguous_channels(readable(x, dtype)), weight.to(dtype).contiguous()
    return _norm(wide_x, weight, eps).to(x.dtype)


def _forward(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    y = empty_contiguous(x)
    call('rms_norm_forward', x.dtype, Tasks.of(x), eps, *strided(x), weight, *strided(y))
    return y


def _backward(x: Tensor, weight: Tensor, eps: float, dy: Tensor) -> tuple[Tensor, ...]:
    tasks = Tasks.of(x)
    dx, dweight = empty_contiguous(x), weight.new_empty(tasks.number, *weight.shape)
    inputs = (tasks, eps, *strided(x), weight, *strided(contiguous_channels(dy)))
    call('rms_norm_backward', x.dtype, *inputs, *strided(dx), dweight)
    return dx, dweight.sum(0)


_norm = custom_operator(
    'rms_norm_cpu', _forward, _backward, empty=empty_contiguous, device_types='cpu'
)
