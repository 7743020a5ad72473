"""Multi-scale deformable attention, which detectors of the DETR family read their features with."""

import torch
from torch import Tensor

from ..arguments import check_tensors
from ..compiled import build
from ..operator import Backend, Operator, Shape, has_values, register, run
from ..triton_support import triton_backend
from .cpu import cpu_ms_deform_attn
from .layout import check_levels, empty_output
from .naive import naive_ms_deform_attn
from .pytorch import grid_sample_ms_deform_attn

__all__ = ['ms_deform_attn']

DIMENSIONS = {
    'value': 'BSHC',
    'sampling_locations': 'BQHNP2',
    'attention_weights': 'BQHNP',
}
EXAMPLE_HEADS = 4
EXAMPLE_SHAPES = ((5, 7), (3, 4))
EXAMPLE_POINTS = 4


def ms_deform_attn(
    value: Tensor,
    spatial_shapes: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    *,
    backend: str = 'auto',
) -> Tensor:
    """Sums points of feature maps of several levels, read bilinearly (Eq. 3 of Deformable DETR).

    A pixel of a level of height h and width w covers 1/w by 1/h; the centre of the first is at
    (0.5/w, 0.5/h). All outside [0, 1] is zero, as in `grid_sample` with `align_corners=False`.
    A location that is not finite makes the sum NaN. Sums are float32, or float64 for float64 value;
    locations are computed with in that dtype, and better given in it: bfloat16 is off by pixels.
    No gradient depends on the number of threads or on the order in which a GPU works.

    Args:
        value: Feature maps, one level behind the other and each row by row, `(B, S, H, C)`,
            float64, float32, bfloat16 or float16.
        spatial_shapes: Height and width of each level, `(N, 2)`, int64, S pixels in all. On a
            GPU that sum is not checked, because it would have to wait; nothing beyond `value` is
            read there.
        sampling_locations: `(B, Q, H, N, P, 2)`, x and y, any floating dtype.
        attention_weights: `(B, Q, H, N, P)`, any floating dtype; they need not sum to 1.
        backend: A name of `available_backends()['ms_deform_attn']`, or 'auto'.

    Returns:
        `(B, Q, H * C)` in the dtype of `value`.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit, or the backend cannot run.
    """
    tensors = {
        'value': value,
        'sampling_locations': sampling_locations,
        'attention_weights': attention_weights,
    }
    check_tensors(tensors, DIMENSIONS)
    levels, _, coordinates = sampling_locations.shape[3:]
    if coordinates != 2:
        raise ValueError(f'sampling_locations: expected x and y, got {coordinates} coordinates')
    if not isinstance(spatial_shapes, Tensor):
        raise ValueError(f'spatial_shapes: expected a tensor, got {type(spatial_shapes).__name__}')
    if spatial_shapes.shape != (levels, 2) or spatial_shapes.dtype != torch.int64:
        raise ValueError(
            f'spatial_shapes: expected ({levels}, 2) of int64 for sampling_locations '
            f'{tuple(sampling_locations.shape)}, got {tuple(spatial_shapes.shape)} of '
            f'{spatial_shapes.dtype}'
        )
    if spatial_shapes.device != value.device:
        raise ValueError(
            f'spatial_shapes: expected the device of value, {value.device}, '
            f'got {spatial_shapes.device}'
        )
    if value.device.type == 'cpu' and not torch.compiler.is_compiling():
        check_levels(spatial_shapes, value.shape[1])
    inputs = (value, spatial_shapes, sampling_locations, attention_weights)
    return run('ms_deform_attn', backend, *inputs)


def flops(
    value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> int:
    """Returns `8 B Q H N P C` for weights `(B, Q, H, N, P)` and value `(B, S, H, C)`.

    A multiplication and an addition for each channel of the four pixels of a point; to find these
    pixels and their shares does not depend on C and does not count.
    """
    return 8 * attention_weights.numel() * value.shape[3]


def example(shape: Shape, dtype: torch.dtype) -> dict[str, object]:
    """Returns heads of two small maps and as many queries as there are tokens."""
    batch, length, channels, _ = shape
    sizes = torch.tensor(EXAMPLE_SHAPES)
    width = max(1, channels // EXAMPLE_HEADS)
    value = torch.randn(batch, int(sizes.prod(1).sum()), EXAMPLE_HEADS, width, dtype=dtype)
    points = (batch, length, EXAMPLE_HEADS, len(sizes), EXAMPLE_POINTS)
    locations, weights = torch.rand(*points, 2), torch.randn(points)
    return {
        'value': value,
        'spatial_shapes': sizes,
        'sampling_locations': locations.to(dtype),
        'attention_weights': weights.flatten(3).softmax(-1).view(points).to(dtype),
    }


register(
    Operator(
        ms_deform_attn,
        backends={
            'cpu': Backend(cpu_ms_deform_attn, build.why_not),
            'triton': triton_backend('ms_deform_attn'),
            'torch': Backend(grid_sample_ms_deform_attn, suits=has_values),
            'naive': Backend(naive_ms_deform_attn),
        },
        exportable=naive_ms_deform_attn,
        example=example,
        cost=flops,
        empty_output=empty_output,
    )
)
