"""Scan and epilogue in one pass over memory each way; see csrc/gated_selective_scan.cpp."""

from typing import Any

from torch import Tensor

from ..compiled.call import call
from ..compiled.structs import PANEL, Sizes, StridedTensor, readable
from ..custom_operator import custom_operator, needs_backward, parameters_of
from ..numerics import empty_contiguous, wide_dtype
from ..operator import Outputs
from ..selective_scan.cpu import end_gradients
from .arguments import GatedScan
from .composed import composed_gated_selective_scan


def cpu_gated_selective_scan(x: GatedScan) -> Outputs:
    """See `gated_selective_scan`. bfloat16 is read and written as it is; float16 is widened first.

    Groups that are not whole panels of channels are left to the operators one by one.
    """
    if x.group_size % PANEL:
        return composed_gated_selective_scan(x, scan='cpu', norm='cpu')
    dtype = wide_dtype(x.u.dtype)
    u, delta, B, C, z = (readable(t, dtype) for t in (x.u, x.delta, x.B, x.C, x.z))
    bias = x.D.new_zeros(x.D.shape) if x.delta_bias is None else x.delta_bias
    A, D, delta_bias = (t.to(dtype).contiguous() for t in (x.A, x.D, bias))
    wide = x._replace(u=u, delta=delta, A=A, B=B, C=C, D=D, z=z, delta_bias=delta_bias)
    if x.initial_state is not None:
        wide = wide._replace(initial_state=x.initial_state.to(dtype).contiguous())
    out, final, _, _ = _scan(*wide, needs_backward(wide))
    out = out.to(x.u.dtype)
    return out if x.initial_state is None else (out, final)


def _outputs(*arguments: Any) -> tuple[Tensor, ...]:
    x, keep = GatedScan(*arguments[:-1]), arguments[-1]
    return _allocated(x, _sizes(x), keep)


def _allocated(x: GatedScan, sizes: Sizes, keep: bool) -> tuple[Tensor, ...]:
    y = x.u.new_empty(x.u.shape if keep else (0, 0, 0))
    final = x.u.new_empty(0) if x.initial_state is None else empty_contiguous(x.initial_state)
    return empty_contiguous(x.u), final, y, x.A.new_empty(sizes.kept_shape if keep else 0)


def _forward(*arguments: Any) -> tuple[Tensor, ...]:
    """Returns the output, the final state and, to `keep` for the backward, y and some states.

    y is the output of the scan. Without an initial state there is no final one.
    """
    x, keep = GatedScan(*arguments[:-1]), arguments[-1]
    sizes = _sizes(x)
    out, final, y, kept = _allocated(x, sizes, keep)
    end = None if x.initial_state is None else final
    outputs = (*map(StridedTensor.of_tokens, (out, y)), end, kept)
    call('gated_selective_scan_forward', x.A.dtype, sizes, *_inputs(x), x.initial_state, *outputs)
    return out, final, y, kept


def _backward(*arguments: Any) -> tuple[Tensor, ...]:
    *fields, _, y, kept, dout, dfinal = arguments
    x = GatedScan(*fields)
    sizes = _sizes(x)
    dout, dfinal, dinitial = end_gradients(x.u, x.initial_state, dout, dfinal)
    du, ddelta, dz = map(empty_contiguous, (x.u, x.delta, x.z))
    dA = x.A.new_empty(sizes.batch, *x.A.shape)
    shares = sizes.groups, sizes.batch, sizes.length, sizes.state
    dB, dC = (x.A.new_empty(shares) for _ in range(2))
    dD, dbias = x.D.new_zeros(sizes.batch, *x.D.shape), x.D.new_empty(sizes.batch, *x.D.shape)
    in_dout, in_y, out_du, out_ddelta, out_dz = map(
        StridedTensor.of_tokens, (dout, y, du, ddelta, dz)
    )
    inputs = (sizes, *_inputs(x), in_dout, dfinal, in_y, kept)
    outputs = (out_du, out_ddelta, dbias, dA, dB, dC, dD, out_dz, dinitial)
    call('gated_selective_scan_backward', x.A.dtype, *inputs, *outputs)
    dA, dB, dC, dD, dbias = (share.sum(0) for share in (dA, dB, dC, dD, dbias))
    dinitial = x.u.new_empty(0) if dinitial is None else dinitial
    return du, ddelta, dA, dB.to(x.B.dtype), dC.to(x.C.dtype), dD, dz, dbias, dinitial


def _sizes(x: GatedScan) -> Sizes:
    return Sizes.of_tokens(x.u, x.A, x.group_size, x.delta_softplus)


def _inputs(x: GatedScan) -> tuple[object, ...]:
    """Returns what both functions in C are given after the sizes."""
    u, delta, B, C, z = map(StridedTensor.of_tokens, (x.u, x.delta, x.B, x.C, x.z))
    return u, delta, x.delta_bias, x.A, B, C, x.D, z, x.eps


_scan = custom_operator(
    'gated_selective_scan_cpu',
    _forward,
    _backward,
    _outputs,
    results=2,
    kept=2,
    empty=empty_contiguous,
    device_types='cpu',
    schema=f'({parameters_of(GatedScan)}, bool keep) -> (Tensor, Tensor, Tensor, Tensor)',
)
