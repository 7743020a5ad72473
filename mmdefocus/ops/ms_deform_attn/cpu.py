"""Deformable attention in C++ for CPUs, one pass each way; see csrc/."""

import torch
from torch import Tensor

from ..compiled.call import call, num_threads
from ..custom_operator import custom_operator
from ..numerics import empty_contiguous, wide_dtype
from .layout import check_levels, empty_output


def cpu_ms_deform_attn(
    value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """See `ms_deform_attn`. bfloat16 is read as it is, float16 is widened to float32 first."""
    wide = wide_dtype(value.dtype)
    read = value if value.dtype == torch.bfloat16 else value.to(wide)
    places, weights = (x.to(wide).contiguous() for x in (sampling_locations, attention_weights))
    out = _attend(read.contiguous(), spatial_shapes.contiguous(), places, weights)
    return out.to(value.dtype)


def _forward(
    value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    check_levels(spatial_shapes, value.shape[1])
    out = empty_output(value, spatial_shapes, sampling_locations, attention_weights)
    inputs = (value, sampling_locations, attention_weights)
    sizes = _sizes(value, sampling_locations)
    call('ms_deform_attn_forward', value.dtype, sizes, spatial_shapes, *inputs, out)
    return out


def _backward(
    value: Tensor,
    spatial_shapes: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    dout: Tensor,
) -> tuple[Tensor, ...]:
    inputs = (value, sampling_locations, attention_weights)
    gradients = tuple(empty_contiguous(x) for x in inputs)
    tensors = (spatial_shapes, *inputs, dout.contiguous(), *gradients)
    sizes = _sizes(value, sampling_locations)
    call('ms_deform_attn_backward', value.dtype, sizes, *tensors)
    return gradients


def _sizes(value: Tensor, sampling_locations: Tensor) -> tuple[int, ...]:
    _, queries, _, levels, points, _ = sampling_locations.shape
    return *value.shape, queries, levels, points, num_threads()


_attend = custom_operator(
    'ms_deform_attn_cpu',
    _forward,
    _backward,
    empty_output,
    empty=empty_contiguous,
    device_types='cpu',
    constant=(1,),
)
