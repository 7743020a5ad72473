"""Lets mmcv's deformable attention compute with ours.

mmcv's `MultiScaleDeformableAttention`, of which mmdet's DINO, Deformable DETR and others are built,
calls a function of its module in plain torch on a CPU, and on a GPU for bfloat16. The layers name
that class in code, out of reach of a registry, so the function is what can be exchanged.
"""

from functools import wraps

from mmcv.ops import multi_scale_deform_attn
from torch import Tensor

from ...ops import ms_deform_attn

_theirs = multi_scale_deform_attn.multi_scale_deformable_attn_pytorch


@wraps(_theirs)
def deformable_attention(
    value: Tensor,
    value_spatial_shapes: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    """See `mmdefocus.ops.ms_deform_attn`; the names of the arguments are those of mmcv."""
    return ms_deform_attn(value, value_spatial_shapes, sampling_locations, attention_weights)


def serve_mmcv() -> None:
    """Puts `deformable_attention` in the place of mmcv's function, which it keeps wrapped."""
    multi_scale_deform_attn.multi_scale_deformable_attn_pytorch = deformable_attention
