"""Mirrors of structures in ../csrc: how compiled functions see tensors and cut their work.

The library reports its sizes and offsets, and a test compares them with these, see layouts.cpp.
"""

import ctypes
import math

import torch
from torch import Tensor

from .call import num_threads

MAX_CHUNK = 20  # tokens; the backward of a longer one overflows a first cache of 32 KiB
PANEL = 64  # channels; the states are kept in whole panels, of so many channels or a fraction


class Tasks(ctypes.Structure):
    """`Tasks` of rows.h: rows of a `(B, L, D)` tensor, cut into pieces of work."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ('batch', 'length', 'channels', 'rows')),
        ('threads', ctypes.c_int),
    ]

    @classmethod
    def of(cls, x: Tensor, rows: int = 64) -> 'Tasks':
        """Cuts `(B, L, D)` into tasks of at most `rows` rows of one image."""
        return cls(*x.shape[:2], x.shape[2], rows, num_threads())

    @property
    def number(self) -> int:
        """The number of tasks."""
        return self.batch * -(-self.length // self.rows)


class Sizes(ctypes.Structure):
    """`Sizes` of scan_layout.h: what a selective scan reads, and how its work is cut."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ('batch', 'channels', 'length', 'state')),
        *((name, ctypes.c_int64) for name in ('chunk', 'groups', 'norm', 'softplus')),
        ('threads', ctypes.c_int),
    ]

    @classmethod
    def of(cls, u: Tensor, A: Tensor) -> 'Sizes':
        """Cuts u `(B, D, L)` for rates A `(D, N)`, whose shapes alone matter."""
        return cls.of_tokens(u.mT, A)

    @classmethod
    def of_tokens(cls, u: Tensor, A: Tensor, norm: int = 0, softplus: bool = False) -> 'Sizes':
        """Cuts u `(B, L, D)` for rates A `(D, N)`.

        Args:
            u: Its shape alone matters.
            A: Likewise.
            norm: Channels that are normalised together, a multiple of PANEL; 0 if none are.
            softplus: Whether the time steps are the softplus of what is given.
        """
        batch, length, channels = u.shape
        return cls(
            batch=batch,
            channels=channels,
            length=length,
            state=A.shape[1],
            chunk=min(MAX_CHUNK, max(1, math.isqrt(length))),
            # work for 32 threads; of the shapes alone, so that sums are the same on any machine
            groups=min(math.ceil(channels / (norm or PANEL)), math.ceil(32 / max(1, batch))),
            norm=norm,
            softplus=softplus,
            threads=num_threads(),
        )

    @property
    def kept_shape(self) -> tuple[int, ...]:
        """The shape of the states that are kept, one every `chunk` tokens."""
        chunks, panels = math.ceil(self.length / self.chunk), math.ceil(self.channels / PANEL)
        return self.batch, chunks, panels * self.state, PANEL


class StridedTensor(ctypes.Structure):
    """`StridedTensor` of panels.h, `(B, D, L)` or `(B, N, L)` of any strides."""

    _fields_ = [
        ('data', ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ('batch', 'channel', 'time', 'is_bfloat16')),
    ]

    @classmethod
    def of(cls, x: Tensor) -> 'StridedTensor':
        """Describes `(B, D, L)`, which must live as long as what is returned is used."""
        return cls(x.data_ptr(), *x.stride(), x.dtype == torch.bfloat16)

    @classmethod
    def of_tokens(cls, x: Tensor) -> 'StridedTensor':
        """Likewise `(B, L, D)`."""
        batch, time, channel = x.stride()
        return cls(x.data_ptr(), batch, channel, time, x.dtype == torch.bfloat16)


def readable(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns a tensor that a computation in `dtype` can read: bfloat16 as it is for float32."""
    as_it_is = x.dtype == torch.bfloat16 and dtype == torch.float32
    return x if as_it_is else x.to(dtype)
