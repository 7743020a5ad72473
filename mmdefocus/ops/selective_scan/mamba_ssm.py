"""The CUDA scan of the package mamba_ssm, where it is installed and fits this torch.

Only its compiled module `selective_scan_cuda` is used: the package itself does not import without
others. It wants `(B, D, L)` in memory, float32 rates and one dtype for the rest, so u, delta, B and
C are copied; it takes at most 256 states, no float64, and always begins at a state of 0.
"""

import functools
import importlib
from typing import Any

import torch
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import without_autocast

MAX_STATES = 256


@functools.cache
def _module() -> Any:
    """Returns the compiled module, or the reason why there is none."""
    try:
        return importlib.import_module('selective_scan_cuda')
    except ImportError as error:  # also a library built for another torch
        lines = str(error).splitlines() or [type(error).__name__]
        return f'selective_scan_cuda does not import: {lines[0]}'
    except OSError as error:
        return f'selective_scan_cuda does not load: {str(error).splitlines()[0]}'


def why_not(device: torch.device) -> str | None:
    """Returns why the CUDA scan cannot run on a device, or None."""
    if device.type != 'cuda':
        return 'is for CUDA devices'
    if not torch.cuda.is_available():
        return 'there is no CUDA device'
    module = _module()
    return module if isinstance(module, str) else None


def suits(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None = None
) -> bool:
    """Tells whether there is no initial state."""
    return state is None


def mamba_ssm_selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None = None
) -> Tensor:
    """See `selective_scan`.

    Raises:
        ValueError: If u is float64, there are more than 256 states, or an initial one is given.
    """
    if state is not None:
        raise ValueError(
            "initial_state: the backend 'mamba_ssm' takes and returns none, use 'torch' or 'triton'"
        )
    if u.dtype == torch.float64:
        raise ValueError("u: the backend 'mamba_ssm' has no float64, use 'torch' or 'triton'")
    if A.shape[1] > MAX_STATES:
        raise ValueError(f"A: the backend 'mamba_ssm' has {MAX_STATES} states at most")
    delta, B, C = (x.to(u.dtype) for x in (delta, B, C))
    y, _ = _scan(u.contiguous(), delta.contiguous(), A.float(), B.contiguous(), C.contiguous())
    return y


def _outputs(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    chunks = (u.shape[2] + 2047) // 2048
    return torch.empty_like(u), A.new_empty(*u.shape[:2], chunks, 2 * A.shape[1])


@without_autocast
def _forward(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Returns y and what the backward needs, both of contiguous inputs."""
    arguments = (u, delta, A.contiguous(), B.unsqueeze(1), C.unsqueeze(1))
    y, kept, *_ = _module().fwd(*arguments, None, None, None, False)
    return y, kept


@without_autocast
def _backward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, kept: Tensor, dy: Tensor
) -> tuple[Tensor, ...]:
    inputs = (u, delta, A.contiguous(), B.unsqueeze(1), C.unsqueeze(1), None, None, None)
    found = _module().bwd(*inputs, dy.contiguous(), kept, None, None, False, False)
    du, ddelta, dA, dB, dC = found[:5]
    dB, dC = (x.squeeze(1).to(u.dtype, copy=True) for x in (dB, dC))
    return du, ddelta, dA, dB, dC


_scan = custom_operator('selective_scan_mamba_ssm', _forward, _backward, _outputs, kept=1)
