"""De-focus ViT (Eq. 8)."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.registry import MODELS

from ..layers import RasterOrder
from ..mixers import AttentionMixer
from .arch import VIT_SIZES
from .image_backbone import ImageBackbone
from .resolution import side_lengths


@MODELS.register_module()
class DefocusViT(ImageBackbone):
    """ViT with a learned decay per head and learned rotary frequencies in its logits.

    Causal DeiT is this class with `decay='none'` and `rope='none'`. The absolute position embedding
    of DeiT stays: the parameters of Table 1 (87.4M) count it. It covers the patches of
    `pretrain_img_size` in raster order, whatever the token order, and the CLS token last; grids of
    another size get it bicubically interpolated, so that weights of the pre-training fit at every
    resolution.

    All arguments but these are those of `ImageBackbone`; `decay` is 'learnable' by default, one λ
    per head, and `rope` has one frequency per head and pair of channels.

    Args:
        arch: 'tiny', 'large' (ours), 'small', 'base' (Table 1), or a dict: embed_dims, depth,
            num_heads, feedforward_channels.
        causal: Whether tokens attend to those before them alone. If not, the decay is one of
            |t - s|.
    """

    mixer = AttentionMixer
    archs = {
        name: {**size, 'feedforward_channels': 4 * size['embed_dims']}
        for name, size in VIT_SIZES.items()
    }

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
        decay: str | None = None,
        rope: str = 'learnable',
        causal: bool = True,
        out_type: str = 'cls_token',
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        final_norm_eps: float = 1e-6,
        init_cfg: dict | list[dict] | None = None,
        frozen_stages: int = -1,
    ) -> None:
        super().__init__(
            arch=arch,
            img_size=img_size,
            patch_size=patch_size,
            in_channels=in_channels,
            pretrain_img_size=pretrain_img_size,
            token_order=token_order,
            rope_scale=rope_scale,
            delta_scale=delta_scale,
            decay=decay,
            rope=rope,
            out_type=out_type,
            drop_path_rate=drop_path_rate,
            with_cp=with_cp,
            final_norm_eps=final_norm_eps,
            init_cfg=init_cfg,
            frozen_stages=frozen_stages,
        )
        for block in self.blocks:
            block.mixer.causal = causal  # type: ignore[assignment]
        self._check_out_type()
        sides = side_lengths(pretrain_img_size or img_size)
        self.pos_grid = tuple(math.ceil(side / patch_size) for side in sides)
        positions = torch.empty(1, math.prod(self.pos_grid) + 1, self.embed_dims)
        nn.init.trunc_normal_(positions, std=0.02)
        self.pos_embed = nn.Parameter(positions, requires_grad=frozen_stages < 0)

    def no_weight_decay(self) -> set[str]:
        """Returns the parameters of the backbone itself that must not shrink to zero."""
        return super().no_weight_decay() | {'pos_embed'}

    def grid_positions(self, height: int, width: int) -> Tensor:
        """Returns the position embedding of a grid of patches, `(1, C, height, width)`."""
        of_patches = self.pos_embed[:, :-1]
        of_grid = RasterOrder().to_grid(of_patches, *self.pos_grid)
        if (height, width) != self.pos_grid:
            of_grid = F.interpolate(of_grid, (height, width), mode='bicubic')
        return of_grid

    def cls_input(self) -> Tensor:
        """Returns the CLS token with its position, `(1, 1, C)`."""
        return self.cls_token + self.pos_embed[:, -1:]
