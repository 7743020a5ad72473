"""De-focus RetNet (Eq. 4 with a learned filter)."""

from collections.abc import Mapping, Sequence

from mmdefocus.registry import MODELS

from ..mixers import RetentionMixer
from .causal_backbone import (
    CausalBackbone,
    MLPBlock,
    check_filter,
    resolution_scales,
    resolve_arch,
)


def _arch(embed_dims: int, depth: int, num_heads: int) -> dict[str, int]:
    return {
        'embed_dims': embed_dims,
        'depth': depth,
        'num_heads': num_heads,
        'value_channels': 2 * embed_dims,
        'feedforward_channels': int(2.45 * embed_dims) // 8 * 8,
    }


ARCHS = {
    'tiny': _arch(192, 12, 3),
    'small': _arch(384, 12, 6),
    'base': _arch(768, 12, 12),
    'large': _arch(1024, 24, 16),
}


@MODELS.register_module()
class DefocusRetNet(CausalBackbone):
    """RetNet with a learned decay per head and learned rotary frequencies, no position embedding.

    RetNet itself is this class with `decay='fixed'` and `rope='fixed'`; with `'none'` for both, the
    retention is linear attention.

    The paper names the parameters of its base models, 93.6M for RetNet and 92.7M for De-focus
    RetNet with the auxiliary classifier (Table 1), but not their dimensions. Ours are those of
    ViT in depth, width and heads, for as many filters as there. The retention is RetNet's: values
    twice as wide as keys, 8 C² weights a layer. With RetNet's feed-forward network of 2 C channels
    that would make 86.3M; with 2.45 C, down to a multiple of 8, it makes 92.7M and 93.5M, within
    1 % of both. (One backbone cannot meet both exactly: the paper's second is smaller by 0.9M,
    although it has a classifier of 0.8M more.)

    Args:
        arch: 'tiny', 'small', 'large' (ours), 'base' (Table 1), or a dict: embed_dims, depth,
            num_heads, value_channels, feedforward_channels.
        img_size: See `CausalBackbone`, as all arguments that are not explained here.
        rope_scale: Divides the token positions; None means r², r = img_size / pretrain_img_size.
        delta_scale: Divides λ; None means r.
        decay: 'learnable', 'fixed' or 'none', one λ per head.
        rope: 'learnable', 'fixed' or 'none', one frequency per head and pair of channels.

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
        out_type: str = 'cls_token',
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        final_norm_eps: float = 1e-6,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        check_filter('DefocusRetNet', decay, rope)
        settings = resolve_arch('DefocusRetNet', arch, ARCHS, {})
        embed_dims, depth = settings['embed_dims'], settings.pop('depth')
        feedforward_channels = settings.pop('feedforward_channels')
        rope_scale, delta_scale = resolution_scales(
            img_size, pretrain_img_size, rope_scale, delta_scale
        )

        def make_block() -> MLPBlock:
            mixer = RetentionMixer(
                **settings,
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
