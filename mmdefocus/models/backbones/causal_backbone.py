"""What all families share: patches -> order -> CLS last -> blocks -> norm -> outputs."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..layers import MLP, DropPath, PatchEmbed, RasterOrder, SectionOrder, TokenOrder

OUT_TYPES = ('cls_token', 'tokens', 'cls_and_tokens', 'featmap')
DECAYS = {
    'DefocusMamba': ('data_dependent', 'learnable', 'fixed', 'none'),
    'DefocusRetNet': ('learnable', 'fixed', 'none'),
    'DefocusViT': ('learnable', 'fixed', 'none'),
}


class Block(nn.Module):
    """`x + drop_path(mixer(norm(x)))` on `(B, L, C)`."""

    def __init__(self, norm: nn.Module, mixer: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.mixer = mixer
        self.drop_path = DropPath()

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.drop_path(self.mixer(self.norm(tokens)))


class MLPBlock(Block):
    """A block that goes on with `x + drop_path(mlp(mlp_norm(x)))`, both norms layer norms."""

    def __init__(self, embed_dims: int, feedforward_channels: int, mixer: nn.Module) -> None:
        super().__init__(nn.LayerNorm(embed_dims, eps=1e-6), mixer)
        self.mlp_norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.mlp = MLP(embed_dims, feedforward_channels)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = super().forward(tokens)
        return tokens + self.drop_path(self.mlp(self.mlp_norm(tokens)))


class CausalBackbone(BaseModule):
    """Reads an image as a causal sequence of patches with a CLS token at its end.

    The sequence is causal, so the CLS token alone has seen the whole image.

    Args:
        embed_dims: C, channels of a token.
        depth: Number of blocks.
        make_block: Called once a block.
        img_size: Side of the image in pixels, or (height, width). Other sizes are accepted in
            `forward`; this one names the resolution that the model is made for.
        patch_size: Side of a patch in pixels.
        in_channels: Channels of the image.
        pretrain_img_size: Side of the image in pre-training, in pixels; None if `img_size` is it.
        token_order: 'raster', or 'sections' of `pretrain_img_size` (Fig. 7).
        out_type: 'cls_token', 'tokens', 'cls_and_tokens' or 'featmap', see `forward`.
        drop_path_rate: See `set_drop_path_rate`.
        with_cp: Whether to recompute the blocks in the backward to save memory.
        final_norm_eps: Epsilon of the last layer norm.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If an argument is out of its range; the message names it.
    """

    def __init__(
        self,
        embed_dims: int,
        depth: int,
        make_block: Callable[[], Block],
        img_size: int | Sequence[int],
        patch_size: int,
        in_channels: int,
        pretrain_img_size: int | None,
        token_order: str,
        out_type: str,
        drop_path_rate: float,
        with_cp: bool,
        final_norm_eps: float,
        init_cfg: dict | list[dict] | None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        check_choice('out_type', out_type, OUT_TYPES)
        self.patch_size = patch_size
        self.embed_dims = embed_dims
        self.out_type = out_type
        self.with_cp = with_cp
        self.order, pad_to = _token_order(token_order, img_size, pretrain_img_size, patch_size)

        self.patch_embed = PatchEmbed(in_channels, embed_dims, patch_size, pad_to)
        self.cls_token = nn.Parameter(
            nn.init.trunc_normal_(torch.empty(1, 1, embed_dims), std=0.02)
        )
        self.blocks = nn.ModuleList(make_block() for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dims, eps=final_norm_eps)
        self.set_drop_path_rate(drop_path_rate)

    def set_drop_path_rate(self, rate: float) -> None:
        """Drops the branches of layer i of n with probability `rate * i / (n - 1)`.

        Raises:
            ValueError: If `rate` is not in [0, 1).
        """
        if not 0.0 <= rate < 1.0:
            raise ValueError(f'drop_path_rate: expected a number in [0, 1), got {rate}')
        self.drop_path_rate = rate
        last = max(1, len(self.blocks) - 1)
        for index, block in enumerate(self.blocks):
            block.drop_path.rate = rate * index / last

    def init_weights(self) -> None:
        """Applies `init_cfg`, but keeps the initial values of the filters.

        A rule for linear layers in `init_cfg` would overwrite the time steps of Mamba.
        """
        super().init_weights()
        rules = self.init_cfg if isinstance(self.init_cfg, list) else [self.init_cfg or {}]
        if not any(rule.get('type') == 'Pretrained' for rule in rules):
            for block in self.blocks:
                block.mixer.reset_filter()

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the grid of patches, `(B, C, H', W')`, and the CLS token, `(1, 1, C)`."""
        return self.patch_embed(images), self.cls_token

    def forward(self, images: Tensor) -> tuple:
        """Encodes `(B, in_channels, H, W)`; any H and W, padded to whole patches or sections.

        Returns:
            A tuple of one element, by `out_type`, with L image tokens of C channels:

            - 'cls_token': `(B, C)`;
            - 'tokens': `(B, L, C)`, in the order of reading, padding included, CLS not;
            - 'cls_and_tokens': the pair of the two;
            - 'featmap': `(B, C, ceil(H / patch_size), ceil(W / patch_size))`.
        """
        grid, cls_token = self.embed(images)
        tokens = self.order.to_sequence(grid)
        # not len(tokens), which torch.export takes for a constant
        tokens = torch.cat((tokens, cls_token.expand(tokens.shape[0], -1, -1)), dim=1)
        for block in self.blocks:
            if self.with_cp and self.training:
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
        tokens = self.norm(tokens)
        image_tokens, cls_token = tokens[:, :-1], tokens[:, -1]
        if self.out_type == 'cls_token':
            return (cls_token,)
        if self.out_type == 'tokens':
            return (image_tokens,)
        if self.out_type == 'cls_and_tokens':
            return ((cls_token, image_tokens),)
        height, width = (math.ceil(side / self.patch_size) for side in images.shape[-2:])
        featmap = self.order.to_grid(image_tokens, *grid.shape[-2:])
        return (featmap[..., :height, :width].contiguous(),)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raises a ValueError that names the argument if its value is none of the choices."""
    if value not in choices:
        raise ValueError(f'{name}: expected one of {", ".join(choices)}, got {value!r}')


def check_filter(family: str, decay: str, rope: str) -> None:
    """Raises a ValueError if a family cannot have such a filter; it names those that can."""
    able = [other for other, decays in DECAYS.items() if decay in decays]
    if able and family not in able:
        raise ValueError(
            f'decay: {family} has {", ".join(DECAYS[family])}; {decay!r} is for {", ".join(able)}'
        )
    check_choice('decay', decay, DECAYS[family])
    check_choice('rope', rope, ('learnable', 'fixed', 'none'))


def resolve_arch(
    family: str, arch: str | Mapping, table: Mapping[str, Mapping], defaults: Mapping
) -> dict:
    """Returns the settings of an architecture, given by its name or as a dict.

    Args:
        family: Name of the class, for messages.
        arch: A key of `table`, or a dict with the keys of its entries; those of `defaults` may
            be left out.
        table: Named architectures.
        defaults: Optional keys with their values.

    Raises:
        ValueError: If the name is unknown, or a key is missing, unknown, or not a positive int.
    """
    if isinstance(arch, str):
        check_choice(f'arch of {family}', arch, tuple(table))
        return {**defaults, **table[arch]}
    required = next(iter(table.values())).keys() - defaults.keys()
    for key in arch:
        if key not in required | defaults.keys():
            near = difflib.get_close_matches(key, [*required, *defaults], n=1)
            hint = f', did you mean {near[0]!r}?' if near else ''
            raise ValueError(f'arch of {family}: unknown key {key!r}{hint}')
    if missing := sorted(required - arch.keys()):
        raise ValueError(f'arch of {family}: missing {", ".join(missing)}')
    for key, value in arch.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f'arch of {family}: {key} must be a positive integer, got {value!r}')
    return {**defaults, **arch}


def resolution_scales(
    img_size: int | Sequence[int],
    pretrain_img_size: int | None,
    rope_scale: float | None,
    delta_scale: float | None,
) -> tuple[float, float]:
    """Returns what divides positions and decay at another resolution (Appendix B.2).

    By default r² and r with r = img_size / pretrain_img_size; r of a rectangle is taken from its
    area. Explicit numbers win.
    """
    height, width = side_lengths(img_size)
    if pretrain_img_size is not None and pretrain_img_size < 1:
        raise ValueError(f'pretrain_img_size: expected a positive int, got {pretrain_img_size}')
    ratio = math.sqrt(height * width) / (pretrain_img_size or math.sqrt(height * width))
    scales = (
        ratio**2 if rope_scale is None else rope_scale,
        ratio if delta_scale is None else delta_scale,
    )
    for name, scale in zip(('rope_scale', 'delta_scale'), scales, strict=True):
        if scale <= 0:
            raise ValueError(f'{name}: expected a positive number, got {scale}')
    return scales


def side_lengths(img_size: int | Sequence[int]) -> tuple[int, int]:
    """Returns height and width of an image size in pixels, or raises a ValueError."""
    sides = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f'img_size: expected a positive int or (height, width), got {img_size!r}')
    return sides


def _token_order(
    name: str, img_size: int | Sequence[int], pretrain_img_size: int | None, patch_size: int
) -> tuple[TokenOrder, int]:
    """Returns the order and the multiple, in pixels, to which it needs images padded."""
    check_choice('token_order', name, ('raster', 'sections'))
    sides = side_lengths(img_size)
    if not isinstance(patch_size, int) or not 1 <= patch_size <= min(sides):
        raise ValueError(
            f'patch_size: expected an int from 1 to the image size {min(sides)}, got {patch_size!r}'
        )
    if name == 'raster':
        return RasterOrder(), patch_size
    section = pretrain_img_size or (sides[0] if sides[0] == sides[1] else 0)
    if section < 1 or section % patch_size:
        raise ValueError(
            "pretrain_img_size: token_order='sections' needs the side of a square section, a "
            f'multiple of patch_size {patch_size}, got {pretrain_img_size!r} for img_size '
            f'{img_size!r}'
        )
    return SectionOrder(section // patch_size), section
