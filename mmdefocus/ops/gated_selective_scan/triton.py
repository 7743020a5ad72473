"""The operator in Triton: a scan that adds the bias to the time steps as it reads them, a norm."""

from ..gated_group_rms_norm.triton import triton_gated_group_rms_norm
from ..numerics import wide_dtype
from ..operator import Outputs
from ..selective_scan.triton import triton_selective_scan
from .arguments import GatedScan


def triton_gated_selective_scan(x: GatedScan) -> Outputs:
    """See `gated_selective_scan`."""
    delta, bias = x.delta, x.delta_bias
    if x.delta_softplus:
        bias = x.D.new_zeros(x.D.shape) if bias is None else bias
    elif bias is not None:
        delta, bias = delta + bias.to(wide_dtype(delta.dtype)), None
    scanned = triton_selective_scan(*(x.u.mT, delta.mT, x.A, x.B.mT, x.C.mT), x.initial_state, bias)
    y, final = scanned if isinstance(scanned, tuple) else (scanned, None)
    y = triton_gated_group_rms_norm(y.mT, x.u, x.D, x.z, x.group_size, x.eps)
    return y if final is None else (y, final)
