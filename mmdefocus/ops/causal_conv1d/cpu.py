"""The convolution in C++ for CPUs, see csrc/causal_conv1d.cpp."""

from torch import Tensor

from ..compiled.call import call, contiguous_channels, strided
from ..compiled.structs import Tasks, readable
from ..custom_operator import custom_operator
from ..numerics import empty_contiguous, wide_dtype


def cpu_causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """See `causal_conv1d`. bfloat16 is read and written as it is; float16 is widened first."""
    dtype = wide_dtype(x.dtype)
    taps = weight.to(dtype).T.contiguous()  # (K, D)
    wide_x = contiguous_channels(readable(x, dtype))
    y = _convolve(wide_x, taps, bias.to(dtype).contiguous())
    return y.to(x.dtype)


def _forward(x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    y = empty_contiguous(x)
    inputs = (Tasks.of(x), taps.shape[0], *strided(x), taps, bias)
    call('causal_conv1d_forward', x.dtype, *inputs, *strided(y))
    return y


def _backward(x: Tensor, taps: Tensor, bias: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
    tasks = Tasks.of(x)
    dx = empty_contiguous(x)
    dtaps, dbias = (w.new_empty(tasks.number, *w.shape) for w in (taps, bias))
    inputs = (tasks, taps.shape[0], *strided(x), taps, bias, *strided(contiguous_channels(dy)))
    call('causal_conv1d_backward', x.dtype, *inputs, *strided(dx), dtaps, dbias)
    return dx, dtaps.sum(0), dbias.sum(0)


_convolve = custom_operator(
    'causal_conv1d_cpu', _forward, _backward, empty=empty_contiguous, device_types='cpu'
)
