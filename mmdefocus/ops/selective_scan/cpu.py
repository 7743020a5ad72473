"""The selective scan in C++ for CPUs, see csrc/selective_scan.cpp and README.md."""

import ctypes
import math

import torch
from torch import Tensor

from ..native import call, num_threads, strided

VECTOR_BYTES = 64
MAX_CHUNK = 32


class _Sizes(ctypes.Structure):
    """`Sizes` of the C++ source."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ('batch', 'channels', 'length', 'state')),
        ('chunk', ctypes.c_int64),
        ('groups', ctypes.c_int64),
        ('threads', ctypes.c_int),
    ]


def cpu_selective_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """See `selective_scan`. bfloat16 and float16 are widened to float32 first."""
    dtype = torch.promote_types(u.dtype, torch.float32)
    A = A.to(dtype).contiguous()
    y, _ = _scan(u.to(dtype), delta.to(dtype), A, B.to(dtype), C.to(dtype))
    return y.to(u.dtype)


@torch.library.custom_op('mmdefocus::selective_scan_cpu', mutates_args=(), device_types='cpu')
def _scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Returns y and the states kept for the backward, lanes of channels last."""
    sizes = _sizes(u, A)
    y = _empty_like(u)
    kept = u.new_empty(_kept_shape(sizes, u.dtype))
    inputs = (*strided(u, delta), A, *strided(B, C))
    call('selective_scan_forward', u.dtype, sizes, *inputs, *strided(y), kept)
    return y, kept


@_scan.register_fake
def _(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    return _empty_like(u), u.new_empty(_kept_shape(_sizes(u, A), u.dtype))


@torch.library.custom_op(
    'mmdefocus::selective_scan_cpu_backward', mutates_args=(), device_types='cpu'
)
def _scan_backward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, dy: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of u, delta, A, B and C."""
    sizes = _sizes(u, A)
    du, ddelta = _empty_like(u), _empty_like(delta)
    dA = u.new_empty(sizes.batch, *A.shape)
    dB, dC = (u.new_empty(sizes.groups, sizes.batch, sizes.length, sizes.state) for _ in range(2))
    inputs = (*strided(u, delta), A, *strided(B, C, dy), kept)
    outputs = (*strided(du, ddelta), dA, dB, dC)
    call('selective_scan_backward', u.dtype, sizes, *inputs, *outputs)
    return du, ddelta, dA.sum(0), dB.sum(0).mT, dC.sum(0).mT


@_scan_backward.register_fake
def _(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, dy: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    dB, dC = (_empty_like(x) for x in (B, C))
    return _empty_like(u), _empty_like(delta), torch.empty_like(A), dB, dC


def _setup_context(ctx, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    ctx.set_materialize_grads(False)  # the kept states have no gradient, and zeros cost memory
    ctx.save_for_backward(*inputs, output[1])


def _backward(ctx, dy: Tensor | None, _dkept: None) -> tuple[Tensor | None, ...]:
    u, delta, A, B, C, kept = ctx.saved_tensors
    if dy is None:
        return (None,) * 5
    return _scan_backward(u, delta, A, B, C, dy, kept)


_scan.register_autograd(_backward, setup_context=_setup_context)


def _empty_like(x: Tensor) -> Tensor:
    """Returns `(B, D, L)` in memory that is `(B, L, D)`, the layout of the mixer."""
    batch, channels, length = x.shape
    return x.new_empty(batch, length, channels).mT


def _sizes(u: Tensor, A: Tensor) -> _Sizes:
    batch, channels, length = u.shape
    blocks = math.ceil(channels * u.element_size() / VECTOR_BYTES)
    return _Sizes(
        batch=batch,
        channels=channels,
        length=length,
        state=A.shape[1],
        chunk=min(MAX_CHUNK, max(1, math.isqrt(length))),
        # enough work for 32 threads; of the shapes alone, so that sums are the same on any machine
        groups=min(blocks, math.ceil(32 / batch)),
        threads=num_threads(),
    )


def _kept_shape(sizes: _Sizes, dtype: torch.dtype) -> tuple[int, ...]:
    lanes = VECTOR_BYTES // dtype.itemsize
    blocks, chunks = math.ceil(sizes.channels / lanes), math.ceil(sizes.length / sizes.chunk)
    return sizes.batch, blocks, chunks, sizes.state, lanes
