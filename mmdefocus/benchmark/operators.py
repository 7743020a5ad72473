"""The operators of the mixers, and what other packages have that computes the same."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import ops
from ..ops.gated_selective_scan.arguments import GatedScan
from ..ops.gated_selective_scan.composed import composed_gated_selective_scan
from ..utils.errors import one_line

CONV_KERNEL = 4
GROUP_SIZE = 64
# of an image of 800 x 1333 in a detector of the DETR family, as its heads and points are
PYRAMID = torch.tensor([[100, 167], [50, 84], [25, 42], [13, 21]])
DEFORMABLE_HEADS, DEFORMABLE_WIDTH, DEFORMABLE_POINTS = 8, 32, 4
HEAD_SIZE = 64
DTYPES = {name: getattr(torch, name) for name in ('float64', 'float32', 'bfloat16', 'float16')}


class Shape(NamedTuple):
    """Batch, tokens, channels inside the mixer, states per channel (of Mamba)."""

    batch: int
    length: int
    channels: int
    state: int


class Operator(NamedTuple):
    """How to call an operator, and functions of other packages that compute the same.

    `arguments(shape, dtype)` returns the inputs and the gradient of the output; a peer is loaded
    by a function, which raises what its import raises.
    """

    arguments: Callable[[Shape, torch.dtype], tuple[list[Tensor], Tensor | list[Tensor]]]
    call: Callable[..., Tensor | tuple[Tensor, ...]]
    peers: dict[str, Callable[[], Callable[..., Tensor]]]


def scan_arguments(shape: Shape, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """Views `(B, D, L)` of `(B, L, D)` tensors, as the mixer has them."""
    batch, length, channels, state = shape
    wide = torch.promote_types(dtype, torch.float32)
    u, dy = (torch.randn(batch, length, channels, dtype=dtype).mT for _ in range(2))
    delta = F.softplus(torch.randn(batch, length, channels, dtype=wide) - 4).mT
    A = -torch.arange(1.0, state + 1, dtype=wide).repeat(channels, 1)
    B, C = (torch.randn(batch, length, state, dtype=dtype).mT for _ in range(2))
    return [u, delta, A, B, C], dy


def conv_arguments(shape: Shape, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """The input is one half of a projection's output, as in the mixer."""
    batch, length, channels, _ = shape
    x = torch.randn(batch, length, 2 * channels, dtype=dtype)[..., :channels]
    weight, bias = torch.randn(channels, CONV_KERNEL), torch.randn(channels)
    return [x, weight.to(dtype), bias.to(dtype)], torch.randn(batch, length, channels, dtype=dtype)


def norm_arguments(shape: Shape, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """Scan output, scan input, D and the gate."""
    batch, length, channels, _ = shape
    y, u, dy = (torch.randn(batch, length, channels, dtype=dtype) for _ in range(3))
    z = torch.randn(batch, length, 2 * channels, dtype=dtype)[..., channels:]
    return [y, u, torch.ones(channels, dtype=dtype), z], dy


def gated_norm(*inputs: Tensor, backend: str) -> Tensor:
    group_size = min(GROUP_SIZE, inputs[0].shape[-1])
    return ops.gated_group_rms_norm(*inputs, group_size, backend=backend)


def rms_norm_arguments(shape: Shape, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """Tokens outside the mixer, of D/2 channels, and their weight."""
    batch, length, channels, _ = shape
    x, dy = (torch.randn(batch, length, channels // 2, dtype=dtype) for _ in range(2))
    return [x, torch.ones(channels // 2, dtype=dtype)], dy


def gated_scan_arguments(shape: Shape, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """As those of its parts, in `(B, L, D)`, with time steps before their softplus."""
    batch, length, channels, state = shape
    u, dy = (torch.randn(batch, length, channels, dtype=dtype) for _ in range(2))
    delta = torch.randn(batch, length, channels, dtype=dtype)
    A = -torch.arange(1.0, state + 1, dtype=torch.promote_types(dtype, torch.float32))
    B, C = (torch.randn(batch, length, state, dtype=dtype) for _ in range(2))
    z = torch.randn(batch, length, 2 * channels, dtype=dtype)[..., channels:]
    D, bias = torch.ones(channels, dtype=dtype), torch.randn(channels, dtype=dtype) - 4
    return [u, delta, A.repeat(channels, 1), B, C, D, z, bias], dy


def gated_scan(*inputs: Tensor, backend: str) -> Tensor:
    *tensors, bias = inputs
    group_size = min(GROUP_SIZE, inputs[0].shape[-1])
    options = {'delta_bias': bias, 'delta_softplus': True, 'backend': backend}
    return ops.gated_selective_scan(*tensors, group_size, **options)


def heads_arguments(shape: Shape, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """Queries, keys, values `(B, H, L, K)` with K = 64 and H = D / K, as views, and log decays."""
    batch, length, channels, _ = shape
    size = min(HEAD_SIZE, channels)
    q, k, v, dy = (
        torch.randn(batch, length, channels // size, size, dtype=dtype).transpose(1, 2)
        for _ in range(4)
    )
    log_decay = -torch.logspace(-1, -4, channels // size, dtype=dtype)
    return [q, k, v, log_decay], dy


def deformable_arguments(shape: Shape, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """Maps of 800 x 1333, random points of as many queries as there are tokens, their weights.

    Heads and channels are those of DINO, whatever the shape says. Locations are float32 at least.
    """
    batch, queries, _, _ = shape
    sizes = (batch, queries, DEFORMABLE_HEADS, len(PYRAMID), DEFORMABLE_POINTS)
    wide = torch.promote_types(dtype, torch.float32)
    pixels = int(PYRAMID.prod(1).sum())
    value = torch.randn(batch, pixels, DEFORMABLE_HEADS, DEFORMABLE_WIDTH, dtype=dtype)
    weights = torch.randn(sizes, dtype=wide).flatten(3).softmax(-1).view(sizes)
    gradient = torch.randn(batch, queries, DEFORMABLE_HEADS * DEFORMABLE_WIDTH, dtype=dtype)
    return [value, torch.rand(*sizes, 2, dtype=wide), weights], gradient


def deformable(value: Tensor, locations: Tensor, weights: Tensor, backend: str) -> Tensor:
    """Calls our operator with the levels of `PYRAMID`."""
    shapes = PYRAMID.to(value.device)
    return ops.ms_deform_attn(value, shapes, locations, weights, backend=backend)


def matrix_arguments(shape: Shape, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and weights of in_proj, x_proj, dt_proj and out_proj, with C = D/2, rank = D/32."""
    batch, length, channels, state = shape
    embed, rank = channels // 2, max(1, channels // 32)
    sizes = ((embed, 2 * channels), (channels, rank + 2 * state), (rank, channels))
    inputs, gradients = [], []
    for before, after in (*sizes, (channels, embed)):
        inputs.append(torch.randn(batch, length, before, dtype=dtype))
        inputs.append(torch.randn(after, before, dtype=dtype))
        gradients.append(torch.randn(batch, length, after, dtype=dtype))
    return inputs, gradients


def matrix_products(*inputs: Tensor, backend: str) -> tuple[Tensor, ...]:
    return tuple(map(F.linear, inputs[::2], inputs[1::2]))


def load_mambapy() -> Callable[..., Tensor]:
    """The parallel scan of mambapy, in its layout `(B, L, D)`."""
    from mambapy.pscan import pscan

    def selective_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        step = delta.mT.unsqueeze(-1)
        inputs = step * B.mT.unsqueeze(2) * u.mT.unsqueeze(-1)
        return (pscan(torch.exp(step * A), inputs) @ C.mT.unsqueeze(-1)).squeeze(-1).mT

    return selective_scan


def load_mamba_ssm() -> Callable[..., Tensor]:
    """The reference of mamba_ssm in plain torch; its module needs the compiled one to import."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_ref

    return selective_scan_ref


def load_conv1d() -> Callable[..., Tensor]:
    """Depthwise convolution as torch.nn.Conv1d computes it, `(B, D, L)`."""

    def conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        channels, width = weight.shape
        y = F.conv1d(x.mT, weight.unsqueeze(1), bias, padding=width - 1, groups=channels)
        return F.silu(y[..., : x.shape[1]]).mT

    return conv1d


def load_parts() -> Callable[..., Tensor]:
    """The operators that the gated scan is made of, one after the other."""

    def parts(*inputs: Tensor) -> Tensor:
        *tensors, bias = inputs
        group_size = min(GROUP_SIZE, inputs[0].shape[-1])
        return composed_gated_selective_scan(GatedScan(*tensors, group_size, 1e-6, bias, True))

    return parts


def load_mmcv() -> Callable[..., Tensor]:
    """Deformable attention of mmcv in plain torch, which serves there on a CPU."""
    from mmcv.ops import multi_scale_deform_attn

    attend = inspect.unwrap(multi_scale_deform_attn.multi_scale_deformable_attn_pytorch)

    def ms_deform_attn(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return attend(value, PYRAMID.to(value.device), locations, weights)

    return ms_deform_attn


def load_simple_gla() -> Callable[..., Tensor]:
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


def load_fla() -> Callable[..., Tensor]:
    """A decay for each token, so that there are gradients, which autograd sums for each head."""
    attend = load_simple_gla()

    def retention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
        batch, heads, length, _ = q.shape
        return attend(q, k, v, g=log_decay.float().expand(batch, length, heads))

    return retention


def load_fla_fixed_decay() -> Callable[..., Tensor]:
    """As fla's own retention: a decay for each head, for which there is no gradient."""
    attend = load_simple_gla()
    return lambda q, k, v, log_decay: attend(q, k, v, g_gamma=log_decay.float())


OPERATORS = {
    'selective_scan': Operator(
        scan_arguments,
        ops.selective_scan,
        {'mambapy': load_mambapy, 'mamba_ssm': load_mamba_ssm},
    ),
    'causal_conv1d': Operator(conv_arguments, ops.causal_conv1d, {'Conv1d': load_conv1d}),
    'gated_group_rms_norm': Operator(norm_arguments, gated_norm, {}),
    'gated_selective_scan': Operator(gated_scan_arguments, gated_scan, {'parts': load_parts}),
    'rms_norm': Operator(rms_norm_arguments, ops.rms_norm, {}),
    'retention': Operator(
        heads_arguments,
        ops.retention,
        {'fla': load_fla, 'fla_fixed_decay': load_fla_fixed_decay},
    ),
    'decayed_attention': Operator(heads_arguments, ops.decayed_attention, {}),
    'ms_deform_attn': Operator(deformable_arguments, deformable, {'mmcv': load_mmcv}),
    'matrix_products': Operator(matrix_arguments, matrix_products, {}),
}


def candidates(name: str, device: str = 'cpu') -> dict[str, Callable[..., Tensor] | str]:
    """Returns the backends of an operator and its peers: the function, or why there is none."""
    operator = OPERATORS[name]
    found = {}
    for backend, state in ops.available_backends(device).get(name, {'torch': 'available'}).items():
        call = partial(operator.call, backend=backend)
        found[backend] = call if state == 'available' else state
    for peer, load in operator.peers.items():
        try:
            found[peer] = load()
        except Exception as error:  # a broken installation may raise anything
            found[peer] = one_line(error)
    return found
