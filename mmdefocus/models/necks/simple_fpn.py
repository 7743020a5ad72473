"""The simple feature pyramid of ViTDet, for backbones with maps of one scale (Appendix B.3)."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdefocus.registry import MODELS

from ..layers import LN2d

# mmcv's build_norm_layer gives the released neck this epsilon, not LN2d's own default
NORM_EPS = 1e-5


class ConvNorm(nn.Module):
    """A convolution without bias, then layer normalisation over the channels."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=False)
        # as mmcv's ConvModule, of which the released neck is made: std 0.088 and 0.029
        nn.init.kaiming_normal_(self.conv.weight, mode='fan_out', nonlinearity='relu')
        self.norm = LN2d(out_channels, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Halve(nn.Module):
    """Halves a map by the maxima of 2 x 2 cells, rounded down; a side of 1 stays."""

    def forward(self, x: Tensor) -> Tensor:
        """Takes `(B, C, H, W)` and returns `(B, C, H / 2, W / 2)`."""
        cell = [min(2, side) for side in x.shape[-2:]]
        return F.max_pool2d(x, cell)


@MODELS.register_module()
class SimpleFPN(BaseModule):
    """Makes a pyramid out of the last map, by deconvolution and pooling.

    Args:
        in_channels: Channels of the map.
        out_channels: Channels of every level.
        scales: Size of each level relative to the map, out of 4, 2, 1 and 0.5; a patch size of
            16 pixels makes the default strides 4, 8, 16 and 32.
        num_outs: Number of levels; those beyond `scales` halve the last one by subsampling.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If a scale is not supported or `num_outs` is smaller than their number.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scales: Sequence[float] = (4, 2, 1, 0.5),
        num_outs: int = 4,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if num_outs < len(scales):
            raise ValueError(f'num_outs: expected {len(scales)} or more, as scales, got {num_outs}')
        self.num_outs = num_outs
        self.lateral_convs = nn.ModuleList()
        self.fpn_convs = nn.ModuleList()
        for level, scale in enumerate(scales, start=1):
            resample, channels = _resample(scale, in_channels)
            self.add_module(f'fpn{level}', resample)
            self.lateral_convs.append(ConvNorm(channels, out_channels, kernel_size=1))
            self.fpn_convs.append(ConvNorm(out_channels, out_channels, kernel_size=3))

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Takes the maps of a backbone and uses the last, `(B, C, H, W)`.

        Returns:
            `num_outs` maps `(B, out_channels, scale * H, scale * W)`, rounded down, sides of at
            least 1.
        """
        outs = []
        stages = zip(self.lateral_convs, self.fpn_convs, strict=True)
        for level, (lateral_conv, fpn_conv) in enumerate(stages, start=1):
            resampled = self.get_submodule(f'fpn{level}')(inputs[-1])
            outs.append(fpn_conv(lateral_conv(resampled)))
        while len(outs) < self.num_outs:
            outs.append(F.max_pool2d(outs[-1], 1, stride=2))
        return tuple(outs)


def _resample(scale: float, channels: int) -> tuple[nn.Sequential, int]:
    """Returns the layers that resize a map by `scale`, and the channels they leave."""
    half, quarter = channels // 2, channels // 4
    if scale == 4:
        layers = (
            nn.ConvTranspose2d(channels, half, 2, stride=2),
            LN2d(half, eps=NORM_EPS),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, stride=2),
        )
        return nn.Sequential(*layers), quarter
    if scale == 2:
        return nn.Sequential(nn.ConvTranspose2d(channels, half, 2, stride=2)), half
    if scale == 1:
        return nn.Sequential(nn.Identity()), channels
    if scale == 0.5:
        return nn.Sequential(Halve()), channels
    raise ValueError(f'scales: expected numbers out of 4, 2, 1 and 0.5, got {scale}')
