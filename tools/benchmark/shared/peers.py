"""Functions of other packages that compute what an operator does.

Each takes the arguments of the operator by name, without `backend`. It is loaded by a function of
its own, which raises what the import raises.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdefocus.ops.gated_selective_scan.arguments import GatedScan
from mmdefocus.ops.gated_selective_scan.composed import composed_gated_selective_scan

Function = Callable[..., Tensor]


def load_mambapy() -> Function:
    """The parallel scan of mambapy, in its layout `(B, L, D)`."""
    from mambapy.pscan import pscan

    def selective_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        step = delta.mT.unsqueeze(-1)
        inputs = step * B.mT.unsqueeze(2) * u.mT.unsqueeze(-1)
        return (pscan(torch.exp(step * A), inputs) @ C.mT.unsqueeze(-1)).squeeze(-1).mT

    return selective_scan


def load_mamba_ssm() -> Function:
    """The reference of mamba_ssm in plain torch; its module needs the compiled one to import."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_ref

    return selective_scan_ref


def load_conv1d() -> Function:
    """The depthwise convolution of torch, in its layout `(B, D, L)`, and SiLU."""

    def conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        channels, width = weight.shape
        y = F.conv1d(x.mT, weight.unsqueeze(1), bias, padding=width - 1, groups=channels)
        return F.silu(y[..., : x.shape[1]]).mT

    return conv1d


def load_parts() -> Function:
    """The gated scan as its parts, one after the other, each with the backend it prefers."""

    def parts(**arguments: Any) -> Tensor:
        return composed_gated_selective_scan(GatedScan(eps=1e-6, **arguments))

    return parts


def load_simple_gla() -> Function:
    """Linear attention with a decay per head, in chunks, of fla 0.6.0 (flash-linear-attention).

    It reads `(B, L, H, K)`, multiplies by `1 / sqrt(K)` unless told otherwise and takes the log
    decays in float32, either as `g` `(B, L, H)` or as `g_gamma` `(H,)`.
    """
    from fla.ops.simple_gla import chunk_simple_gla

    def attend(q: Tensor, k: Tensor, v: Tensor, **decay: Tensor) -> Tensor:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        y, _ = chunk_simple_gla(q, k, v, **decay, scale=1.0)
        return y.transpose(1, 2)

    return attend


def load_fla() -> Function:
    """A decay for each token, so that there are gradients, which autograd sums for each head."""
    attend = load_simple_gla()

    def retention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
        batch, heads, length, _ = q.shape
        return attend(q, k, v, g=log_decay.float().expand(batch, length, heads))

    return retention


def load_fla_fixed_decay() -> Function:
    """As fla's own retention: a decay for each head, for which there is no gradient."""
    attend = load_simple_gla()
    return lambda q, k, v, log_decay: attend(q, k, v, g_gamma=log_decay.float())


def load_mmcv() -> Function:
    """The deformable attention of mmcv in plain torch, which serves there on a CPU."""
    from mmcv.ops import multi_scale_deform_attn

    # ours takes its place where `mmdefocus.models` is imported, and keeps it wrapped
    attend = inspect.unwrap(multi_scale_deform_attn.multi_scale_deformable_attn_pytorch)

    def ms_deform_attn(
        value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
    ) -> Tensor:
        return attend(value, spatial_shapes, sampling_locations, attention_weights)

    return ms_deform_attn


PEERS: dict[str, dict[str, Callable[[], Function]]] = {
    'selective_scan': {'mambapy': load_mambapy, 'mamba_ssm_ref': load_mamba_ssm},
    'causal_conv1d': {'Conv1d': load_conv1d},
    'gated_selective_scan': {'parts': load_parts},
    'retention': {'fla': load_fla, 'fla_fixed_decay': load_fla_fixed_decay},
    'ms_deform_attn': {'mmcv': load_mmcv},
}
