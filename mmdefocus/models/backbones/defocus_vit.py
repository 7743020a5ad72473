"""De-focus ViT (Eq. 8)."""

from collections.abc import Mapping, Sequence

from mmdefocus.registry import MODELS

from ..mixers import AttentionMixer
from .arch import VIT_SIZES
from .image_backbone import ImageBackbone


@MODELS.register_module()
class DefocusViT(ImageBackbone):
    """ViT with a learned decay per head and learned rotary frequencies in its logits.

    Causal DeiT is this class with `decay='none'` and `rope='none'`. The absolute position embedding
    of DeiT stays: the parameters of Table 1 (87.4M) count it.

    All arguments but these are those of `ImageBackbone`; `decay` is 'learnable' by default, one λ
    per head, and `rope` has one frequency per head and pair of channels.

    Args:
        arch: 'tiny', 'large' (ours), 'small', 'base' (Table 1), or a dict: embed_dims, depth,
            num_heads, feedforward_channels.
        causal: Whether tokens attend to those before them alone. If not, the decay is one of
            |t - s|.
    """

    mixer = AttentionMixer
    has_pos_embed = True
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
        rope: str | None = None,
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
