"""De-focus Mamba (Eq. 9)."""

from collections.abc import Mapping, Sequence

from mmdefocus.registry import MODELS

from ..layers import RMSNorm
from ..mixers import MambaMixer
from .causal_backbone import (
    Block,
    CausalBackbone,
    check_filter,
    resolution_scales,
    resolve_arch,
)

DEFAULTS = {'state_size': 16, 'conv_kernel': 4, 'time_step_rank': 48, 'group_norm_size': 64}
ARCHS = {
    'tiny': {'embed_dims': 192, 'depth': 24, 'intermediate_size': 384},
    'small': {'embed_dims': 384, 'depth': 24, 'intermediate_size': 768},
    'base': {'embed_dims': 768, 'depth': 24, 'intermediate_size': 1536},
    'large': {'embed_dims': 1024, 'depth': 48, 'intermediate_size': 2048},
}


@MODELS.register_module()
class DefocusMamba(CausalBackbone):
    """Mamba with rotary embedding on B and C, group RMS normalisation and no position embedding.

    The paper's causal Mamba baseline is this class with `rope='none'`.

    Args:
        arch: 'tiny' (ours), 'small', 'base', 'large' (Table 1), or a dict: embed_dims, depth,
            intermediate_size, state_size=16, conv_kernel=4, time_step_rank=48,
            group_norm_size=64.
        img_size: See `CausalBackbone`, as all arguments that are not explained here.
        rope_scale: Divides the token positions; None means r², r = img_size / pretrain_img_size.
        delta_scale: Divides the time steps Δ; None means r. (The released detector uses 20.0
            and 4.57 at 1024 pixels from 224.)
        decay: 'data_dependent', 'learnable', 'fixed' or 'none', see `MambaMixer` (Table 4a).
        rope: 'learnable', 'fixed' or 'none' (Table 4a).

    Raises:
        ValueError: If an argument is out of its range; the message names it.
    """

    mixer = MambaMixer

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
        decay: str = 'data_dependent',
        rope: str = 'learnable',
        out_type: str = 'cls_token',
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        final_norm_eps: float = 1e-6,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        check_filter('DefocusMamba', decay, rope)
        settings = resolve_arch('DefocusMamba', arch, ARCHS, DEFAULTS)
        if settings['intermediate_size'] % settings['group_norm_size']:
            raise ValueError(
                'arch of DefocusMamba: group_norm_size {group_norm_size} does not divide '
                'intermediate_size {intermediate_size}'.format(**settings)
            )
        if settings['state_size'] % 2 and rope != 'none':
            raise ValueError(
                'arch of DefocusMamba: state_size must be even to form the pairs of the rotary '
                f'embedding, got {settings["state_size"]}'
            )
        embed_dims, depth = settings['embed_dims'], settings.pop('depth')
        rope_scale, delta_scale = resolution_scales(
            img_size, pretrain_img_size, rope_scale, delta_scale
        )

        def make_block() -> Block:
            mixer = self.mixer(
                **settings,
                decay=decay,
                rope=rope,
                rope_scale=rope_scale,
                delta_scale=delta_scale,
            )
            return Block(RMSNorm(embed_dims, eps=1e-5), mixer)

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
