"""Deformable attention in plain torch, differentiated by autograd.

No step depends on the values of `spatial_shapes`, so this form can be exported.
"""

import torch
from torch import Tensor


def naive_ms_deform_attn(
    value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """See `ms_deform_attn`."""
    wide = torch.promote_types(value.dtype, torch.float32)
    heads = value.to(wide).transpose(1, 2)  # (B, H, S, C)
    sizes = spatial_shapes.flip(1)  # (width, height)
    ends = sizes.prod(1).cumsum(0)
    out = heads.new_zeros(())
    for level in range(len(sizes)):
        size = sizes[level]
        start = ends[level] - size.prod()
        weights = attention_weights[:, :, :, level].to(wide).transpose(1, 2)  # (B, H, Q, P)
        locations = sampling_locations[:, :, :, level].to(wide).transpose(1, 2)
        places = locations * size - 0.5  # in pixels, from the centre of the first
        before = places.detach().floor()
        behind = places - before
        for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
            step = before.new_tensor(corner)
            pixel = before + step
            inside = ((pixel >= 0) & (pixel < size)).all(-1, keepdim=True)  # False for NaN
            x, y = torch.where(inside, pixel, 0).long().unbind(-1)
            read = torch.where(inside, _rows(heads, start + y * size[0] + x), 0)
            share = (1 - step + (2 * step - 1) * behind).prod(-1) * weights
            out = out + (read * share.unsqueeze(-1)).sum(3)
    return out.transpose(1, 2).flatten(2).to(value.dtype)


def _rows(heads: Tensor, index: Tensor) -> Tensor:
    """Returns the rows `(B, H, Q, P, C)` of `(B, H, S, C)` that `index` `(B, H, Q, P)` names."""
    flat = index.flatten(2).unsqueeze(-1).expand(-1, -1, -1, heads.shape[3])
    return heads.gather(2, flat).unflatten(2, index.shape[2:])
