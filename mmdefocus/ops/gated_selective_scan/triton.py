"""Scan and epilogue in Triton, one after the other, as one operator whose parts share memory."""

from typing import Any

import torch
from torch import Tensor

from ..custom_operator import custom_operator, needs_backward, parameters_of
from ..gated_group_rms_norm.triton import epilogue, epilogue_gradients
from ..numerics import empty_contiguous, wide_dtype
from ..operator import Outputs
from ..selective_scan.triton import Scan, scan_gradients, scanned, scanned_outputs
from .arguments import GatedScan


def triton_gated_selective_scan(x: GatedScan) -> Outputs:
    """See `gated_selective_scan`; the scan itself adds the bias and takes the softplus."""
    wide = wide_dtype(x.u.dtype)
    delta, bias = x.delta, x.delta_bias
    if x.delta_softplus:
        bias = (x.D.new_zeros(x.D.shape) if bias is None else bias).to(wide).contiguous()
    elif bias is not None:
        delta, bias = delta + bias.to(wide_dtype(delta.dtype)), None
    x = x._replace(delta=delta, delta_bias=bias, D=x.D.to(wide).contiguous())
    out, final, _, _ = _scan(*x, needs_backward(x))
    return out if x.initial_state is None else (out, final)


def _outputs(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, keep = GatedScan(*arguments[:-1]), arguments[-1]
    y, final, kept = scanned_outputs(_scan_of(x), keep)
    return empty_contiguous(x.u), final, y.mT if keep else x.u.new_empty(0), kept


def _forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the output, the final state and, to `keep` for the backward, y and some states.

    y is the output of the scan; what is not kept is empty. Without an initial state there is no
    final one.
    """
    x, keep = GatedScan(*arguments[:-1]), arguments[-1]
    y, final, kept = scanned(_scan_of(x), keep)
    y = y.mT
    out = epilogue(y, x.u, x.D, x.z, x.group_size, x.eps, empty_contiguous(x.u) if keep else y)
    return out, final, y if keep else x.u.new_empty(0), kept


def _backward(*arguments: Any) -> tuple[Tensor, ...]:
    *fields, _, y, kept, dout, dfinal = arguments
    x = GatedScan(*fields)
    dout = torch.zeros_like(x.u) if dout is None else dout
    dy, du, dD, dz = epilogue_gradients(y, x.u, x.D, x.z, x.group_size, x.eps, dout)
    # the scan adds to the gradient of u, and reads dy where it writes that of delta
    ddelta = dy if dy.dtype == x.delta.dtype else empty_contiguous(x.delta)
    dA, dB, dC, dstate, dbias = scan_gradients(
        _scan_of(x), kept, dy.mT, dfinal, du.mT, ddelta.mT, add_du=True
    )
    return du, ddelta, dA, dB.mT, dC.mT, dD, dz, dbias, dstate


def _scan_of(x: GatedScan) -> Scan:
    return Scan(x.u.mT, x.delta.mT, x.A, x.B.mT, x.C.mT, x.initial_state, x.delta_bias)


_scan = custom_operator(
    'gated_selective_scan_triton',
    _forward,
    _backward,
    _outputs,
    results=2,
    kept=2,
    empty=empty_contiguous,
    schema=f'({parameters_of(GatedScan)}, bool keep) -> (Tensor, Tensor, Tensor, Tensor)',
)
