"""Deformable attention of this package with the arguments of mmcv's, on any device."""

import torch
from torch import Tensor

from ..ops import ms_deform_attn


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """See `mmdefocus.ops.ms_deform_attn`; the first pixel of a level follows from the shapes."""
    return ms_deform_attn(value, value_spatial_shapes, sampling_locations, attention_weights)


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Overwrites the three gradients, each in the shape of its argument."""
    with torch.enable_grad():
        inputs = [
            x.detach().requires_grad_() for x in (value, sampling_locations, attention_weights)
        ]
        output = ms_deform_attn(inputs[0], value_spatial_shapes, *inputs[1:])
    gradients = torch.autograd.grad(output, inputs, grad_output)
    for place, gradient in zip(
        (grad_value, grad_sampling_loc, grad_attn_weight), gradients, strict=True
    ):
        place.copy_(gradient)
