"""De-focus ViT (Eq. 8)."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.registry import MODELS

from ..layers import RasterOrder
from ..mixers import AttentionMixer
from .causal_backbone import (
    CausalBackbone,
    MLPBlock,
    check_filter,
    resolution_scales,
    resolve_arch,
    side_lengths,
)


def _arch(embed_dims: int, depth: int, num_heads: int) -> dict[str, int]:
    return {
        'embed_dims': embed_dims,
        'depth': depth,
        'num_heads': num_heads,
        'feedforward_channels': 4 * embed_dims,
    }


ARCHS = {
    'tiny': _arch(192, 12, 3),
    'small': _arch(384, 12, 6),
    'base': _arch(768, 12, 12),
    'large': _arch(1024, 24, 16),
}


@MODELS.register_module()
class DefocusViT(CausalBackbone):
    """ViT with a learned decay per head and learned rotary frequencies in its logits.

    Causal DeiT is this class with `decay='none'` and `rope='none'`. The absolute position embedding
    of DeiT stays: the parameters of Table 1 (87.4M) count it. It covers the patches of
    `pretrain_img_size` in raster order, whatever the token order, and the CLS token last; grids of
    another size get it bicubically interpolated, so that weights of the pre-training fit at every
    resolution.

    Args:
        arch: 'tiny', 'large' (ours), 'small', 'base' (Table 1), or a dict: embed_dims, depth,
            num_heads, feedforward_channels.
        img_size: See `CausalBackbone`, as all arguments that are not explained here.
        rope_scale: Divides the token positions; None means r², r = img_size / pretrain_img_size.
        delta_scale: Divides λ; None means r.
        decay: 'learnable', 'fixed' or 'none', one λ per head.
        rope: 'learnable', 'fixed' or 'none', one frequency per head and pair of channels.
        causal: Whether tokens attend to those before them alone. If not, the decay is one of
            |t - s|.

    Raises:
        ValueError: If an argument is out of its range; the message names it.
    """

    def __init__(
        self,
        arch: str | Mapping[str, int],
        img_size: int | Sequence[int] = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        pretrain_img_size: int | None = None,
        token_order: str = 'raster',
        rope_scale: float | None = None,
        delta_scale: float | None = None,
        decay: str = 'learnable',
        rope: str = 'learnable',
        causal: bool = True,
        out_type: str = 'cls_token',
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        final_norm_eps: float = 1e-6,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        check_filter('DefocusViT', decay, rope)
        settings = resolve_arch('DefocusViT', arch, ARCHS, {})
        embed_dims, depth = settings['embed_dims'], settings.pop('depth')
        feedforward_channels = settings.pop('feedforward_channels')
        rope_scale, delta_scale = resolution_scales(
            img_size, pretrain_img_size, rope_scale, delta_scale
        )

        def make_block() -> MLPBlock:
            mixer = AttentionMixer(
                **settings,
                causal=causal,
                decay=decay,
                rope=rope,
                rope_scale=rope_scale,
                delta_scale=delta_scale,
            )
            return MLPBlock(embed_dims, feedforward_channels, mixer)

        super().__init__(
            embed_dims=embed_dims,
            depth=depth,
            make_block=make_block,
            img_size=img_size,
            patch_size=patch_size,
            in_channels=in_channels,
            pretrain_img_size=pretrain_img_size,
            token_order=token_order,
            out_type=out_type,
            drop_path_rate=drop_path_rate,
            with_cp=with_cp,
            final_norm_eps=final_norm_eps,
            init_cfg=init_cfg,
        )
        sides = side_lengths(pretrain_img_size or img_size)
        self.pos_grid = tuple(math.ceil(side / patch_size) for side in sides)
        self.pos_embed = nn.Parameter(torch.empty(1, math.prod(self.pos_grid) + 1, embed_dims))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns patches and CLS token as `CausalBackbone.embed`, with their positions."""
        grid, cls_token = super().embed(images)
        of_patches, of_cls = self.pos_embed.split((math.prod(self.pos_grid), 1), dim=1)
        of_grid = RasterOrder().to_grid(of_patches, *self.pos_grid)
        if grid.shape[-2:] != self.pos_grid:
            of_grid = F.interpolate(of_grid, grid.shape[-2:], mode='bicubic')
        return grid + of_grid, cls_token + of_cls
