"""Deformable attention with torch's `grid_sample`, level by level, differentiated by autograd."""

import torch.nn.functional as F
from torch import Tensor

from ..numerics import wide_dtype
from ..transforms import differentiable_once
from .layout import check_levels


def grid_sample_ms_deform_attn(
    value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """See `ms_deform_attn`. Waits for the device of `spatial_shapes`, since it cuts by sizes."""
    check_levels(spatial_shapes, value.shape[1])
    inputs = (value, sampling_locations, attention_weights)
    value, sampling_locations, attention_weights = differentiable_once('ms_deform_attn', *inputs)
    wide = wide_dtype(value.dtype)
    batch, _, heads, channels = value.shape
    sizes = spatial_shapes.tolist()
    grids = (2 * sampling_locations.to(wide) - 1).transpose(1, 2).flatten(0, 1)  # (B H, Q, N, P, 2)
    weights = attention_weights.to(wide).transpose(1, 2).flatten(0, 1).unsqueeze(1)
    out = value.new_zeros(batch * heads, channels, grids.shape[1], dtype=wide)
    levels = value.to(wide).split([height * width for height, width in sizes], dim=1)
    for index, (size, pixels) in enumerate(zip(sizes, levels, strict=True)):
        maps = pixels.permute(0, 2, 3, 1).reshape(batch * heads, channels, *size)
        points = F.grid_sample(maps, grids[:, :, index], align_corners=False)  # (B H, C, Q, P)
        out = out + (points * weights[:, :, :, index]).sum(-1)
    return out.view(batch, heads * channels, sampling_locations.shape[1]).mT.to(value.dtype)
