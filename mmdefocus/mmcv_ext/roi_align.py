"""RoIAlign of torchvision with the arguments of mmcv's, on any device."""

import torch
import torchvision  # noqa: F401  registers torch.ops.torchvision
from torch import Tensor

from .missing import not_replaced

_AVERAGE = 1


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Averages bilinear samples of each bin of each region (arXiv 1703.06870, section 3).

    Args:
        input: Feature maps, `(B, C, H, W)`.
        rois: Index of the image, x1, y1, x2, y2, `(R, 5)`.
        output: Is overwritten, `(R, C, aligned_height, aligned_width)`.
        argmax_y: Unused; of pooling by maximum.
        argmax_x: Unused, likewise.
        aligned_height: Bins of a region.
        aligned_width: Likewise.
        spatial_scale: Pixels of the feature map per unit of the regions.
        sampling_ratio: Samples of a bin in each direction; 0 for as many as it has pixels.
        pool_mode: 1, the average.
        aligned: Whether the centre of a pixel is at half a pixel.

    Raises:
        RuntimeError: If bins are to be pooled by their maximum.
    """
    _check(pool_mode)
    bins = (aligned_height, aligned_width)
    values = torch.ops.torchvision.roi_align(
        input, rois, spatial_scale, *bins, sampling_ratio, aligned
    )
    output.copy_(values)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Overwrites `grad_input` `(B, C, H, W)`; the other arguments are those of the forward."""
    _check(pool_mode)
    bins = (aligned_height, aligned_width)
    gradient = torch.ops.torchvision._roi_align_backward(
        grad_output, rois, spatial_scale, *bins, *grad_input.shape, sampling_ratio, aligned
    )
    grad_input.copy_(gradient)


def _check(pool_mode: int) -> None:
    if pool_mode != _AVERAGE:
        raise not_replaced("roi_align with pool_mode='max'")
