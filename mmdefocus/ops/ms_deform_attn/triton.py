"""Deformable attention in Triton for GPUs, without atomic additions (derivation in README.md)."""

import torch
import triton
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import empty_contiguous, wide_dtype
from ..triton_support import cdiv
from .layout import empty_output
from .triton_kernels import attend, point_gradients, value_gradients

ELEMENTS = 1024  # in a program: queries times channels
MAX_CHANNELS = 64  # in a program
POINTS = 16  # of a cell at once, about as many as there are in an encoder


def triton_ms_deform_attn(
    value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """See `ms_deform_attn`."""
    wide = wide_dtype(value.dtype)
    places, weights = (x.to(wide).contiguous() for x in (sampling_locations, attention_weights))
    return _attend(value.contiguous(), spatial_shapes.contiguous(), places, weights)


def _forward(
    value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    out = empty_output(value, spatial_shapes, sampling_locations, attention_weights)
    batch, pixels, heads, channels = value.shape
    _, queries, _, levels, points, _ = sampling_locations.shape
    if out.numel() == 0:
        return out
    tile = _tile(channels)
    with torch.cuda.device_of(value):
        attend[cdiv(queries, tile['BLOCK_Q']), heads * cdiv(channels, tile['BLOCK_C']), batch](
            *(value, spatial_shapes, sampling_locations, attention_weights, out),
            *(pixels, heads, channels, queries, levels, points),
            **tile,
        )
    return out


def _backward(
    value: Tensor,
    spatial_shapes: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    dout: Tensor,
) -> tuple[Tensor, ...]:
    inputs = (value, sampling_locations, attention_weights)
    if dout.numel() == 0:
        return tuple(torch.zeros_like(x) for x in inputs)
    dvalue, dlocations, dweights = (empty_contiguous(x) for x in inputs)
    dout = dout.contiguous()
    batch, pixels, heads, channels = value.shape
    _, queries, _, levels, points, _ = sampling_locations.shape
    most = 2 * (pixels + levels)  # (h + 1) (w + 1) <= 2 (h w + 1): no size has to be waited for
    cells = spatial_shapes.new_empty(attention_weights.shape)
    tile = _tile(channels)
    with torch.cuda.device_of(value):
        point_gradients[cdiv(queries, tile['BLOCK_Q']), heads, batch](
            *(value, spatial_shapes, sampling_locations, attention_weights, dout),
            *(dlocations, dweights, cells),
            *(pixels, heads, channels, queries, levels, points, most),
            **tile,
        )
        by_cell, order = torch.sort(cells.flatten(), stable=True)
        every = torch.arange(batch * heads * most + 1, device=cells.device)
        starts = torch.searchsorted(by_cell, every)
        value_gradients[pixels, heads * cdiv(channels, tile['BLOCK_C']), batch](
            *(spatial_shapes, sampling_locations, attention_weights, dout, order, starts, dvalue),
            *(pixels, heads, channels, levels, points, most),
            BLOCK=POINTS,
            BLOCK_C=tile['BLOCK_C'],
            num_warps=1,
        )
    return dvalue, dlocations, dweights


_attend = custom_operator(
    'ms_deform_attn_triton',
    _forward,
    _backward,
    empty_output,
    empty=empty_contiguous,
    constant=(1,),
)


def _tile(channels: int) -> dict[str, int]:
    width = min(MAX_CHANNELS, triton.next_power_of_2(channels))
    return {'BLOCK_Q': max(1, ELEMENTS // width), 'BLOCK_C': width}
