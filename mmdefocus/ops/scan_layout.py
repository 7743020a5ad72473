"""How the compiled selective scans see tensors and cut their work, see csrc/scan_layout.h."""

import ctypes
import math

import torch
from torch import Tensor

from .native import num_threads

MAX_CHUNK = 20  # tokens; the backward of a longer one overflows a first cache of 32 KiB
PANEL = 64  # channels; the states are kept in whole panels, of so many channels or a fraction


class Sizes(ctypes.Structure):
    """`Sizes` of the C++ source."""

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
            groups=min(math.ceil(channels / (norm or PANEL)), math.ceil(32 / batch)),
            norm=norm,
            softplus=softplus,
            threads=num_threads(),
        )

    @property
    def kept_shape(self) -> tuple[int, ...]:
        """The shape of the states that are kept, one every `chunk` tokens."""
        chunks, panels = math.ceil(self.length / self.chunk), math.ceil(self.channels / PANEL)
        return self.batch, chunks, panels * self.state, PANEL


class Sequence(ctypes.Structure):
    """`Sequence` of the C++ source, `(B, D, L)` or `(B, N, L)` of any strides."""

    _fields_ = [
        ('data', ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ('batch', 'channel', 'time', 'is_bfloat16')),
    ]

    @classmethod
    def of(cls, x: Tensor) -> 'Sequence':
        """Describes `(B, D, L)`, which must live as long as what is returned is used."""
        return cls(x.data_ptr(), *x.stride(), x.dtype == torch.bfloat16)

    @classmethod
    def of_tokens(cls, x: Tensor) -> 'Sequence':
        """Likewise `(B, L, D)`."""
        batch, time, channel = x.stride()
        return cls(x.data_ptr(), batch, channel, time, x.dtype == torch.bfloat16)


def readable(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns a tensor that a computation in `dtype` can read: bfloat16 as it is for float32."""
    as_it_is = x.dtype == torch.bfloat16 and dtype == torch.float32
    return x if as_it_is else x.to(dtype)


def empty_like(x: Tensor) -> Tensor:
    """Returns `(B, D, L)` in memory that is `(B, L, D)`, the layout of the mixer."""
    batch, channels, length = x.shape
    return x.new_empty(batch, length, channels).mT
