"""An image as a sequence: patches -> order -> CLS last -> blocks -> norm -> outputs."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.registry import MODELS
from mmdefocus.utils.checks import check_choice

from ..encoder import SequenceEncoder
from ..layers import MLP, Block, Filter, Grid, Mixer, OnGrid, PatchEmbed, RasterOrder, SwiGLU
from .arch import resolve_arch
from .outputs import ClsAndTokens, ClsPerStrip
from .resolution import make_token_order, resolution_ratio, side_lengths

OUT_TYPES = ('cls_token', 'tokens', 'cls_and_tokens', 'cls_per_strip', 'featmap')


class ImageBackbone(SequenceEncoder):
    """Reads an image as a sequence of patches with a CLS token at its end.

    In a causal sequence the CLS token alone has seen the whole image. A family is a subclass: its
    mixer, its table of architectures and its docstring. `has_cls_token = False` leaves CLS out:
    the average of the tokens, those of padding included, takes its place. `has_pos_embed = True`
    adds a position embedding, which covers the patches of `pretrain_img_size` in raster order,
    whatever the token order, and the CLS token last. Grids of another size get it bicubically
    interpolated, so that weights of the pre-training fit at every resolution. `has_patch_norm =
    True` normalises the patches.

    Args:
        arch: A name out of `archs` of the family, or a dict with the keys of its entries.
        img_size: Side of the image in pixels, or (height, width). Other sizes are accepted in
            `forward`; this one names the resolution that the model is made for.
        patch_size: Side of a patch in pixels.
        in_channels: Channels of the image.
        pretrain_img_size: Side of the image in pre-training, in pixels; None if `img_size` is it.
        token_order: 'raster', or 'sections' of `pretrain_img_size` (Fig. 7).
        rope_scale: Divides the token positions; None means r², r = img_size / pretrain_img_size
            (Appendix B.2).
        delta_scale: Divides the decay λ, in Mamba the time steps Δ; None means r.
        decay: Out of `decays` of the mixer, see `Filter`; None means the first of them.
        rope: Out of `ropes` of the mixer, see `Filter`; None means the first of them, which is
            'learnable' in most.
        out_type: 'cls_token', 'tokens', 'cls_and_tokens', 'cls_per_strip' or 'featmap', see
            `forward`.
        drop_path_rate: See `set_drop_path_rate`.
        with_cp: Whether to recompute the blocks in the backward to save memory.
        final_norm_eps: Epsilon of the last layer norm.
        init_cfg: As in MMEngine.
        frozen_stages: Number of blocks that do not learn, from the first on. The embeddings (of
            patches, positions and CLS) are frozen with them, and the final norm with the last
            block. 0 freezes the embeddings alone, -1 nothing.

    Raises:
        ValueError: If an argument is out of its range; the message names it.
    """

    mixer: ClassVar[type[Mixer]]
    mlp: ClassVar[type[MLP] | type[SwiGLU]] = MLP
    archs: ClassVar[Mapping[str, Mapping[str, int]]]
    arch_defaults: ClassVar[Mapping[str, int]] = {}
    has_cls_token: ClassVar[bool] = True
    has_pos_embed: ClassVar[bool] = False
    has_patch_norm: ClassVar[bool] = False

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
        out_type: str = 'cls_token',
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        final_norm_eps: float = 1e-6,
        init_cfg: dict | list[dict] | None = None,
        frozen_stages: int = -1,
    ) -> None:
        check_choice('out_type', out_type, OUT_TYPES)
        settings = resolve_arch(type(self).__name__, arch, self.archs, self.arch_defaults)
        ratio = resolution_ratio(img_size, pretrain_img_size)
        filter = Filter(
            decay=self._own_decay(decay),
            rope=self.mixer.ropes[0] if rope is None else rope,
            rope_scale=ratio**2 if rope_scale is None else rope_scale,
            delta_scale=ratio if delta_scale is None else delta_scale,
        )
        embed_dims, depth = settings.pop('embed_dims'), settings.pop('depth')
        if not -1 <= frozen_stages <= depth:
            raise ValueError(
                f'frozen_stages: expected a number from -1 to {depth}, got {frozen_stages}'
            )
        order, pad_to = make_token_order(token_order, img_size, pretrain_img_size, patch_size)
        # created in the order in which a seed draws their weights
        patch_embed = PatchEmbed(in_channels, embed_dims, patch_size, pad_to, self.has_patch_norm)
        if self.has_cls_token:
            cls_token = nn.init.trunc_normal_(torch.empty(1, 1, embed_dims), std=0.02)
        super().__init__(
            [self.make_block(embed_dims, filter, **settings) for _ in range(depth)],
            nn.LayerNorm(embed_dims, eps=final_norm_eps),
            drop_path_rate,
            with_cp,
            init_cfg,
            stem={'patch_embed': patch_embed},
        )
        learns = frozen_stages < 0
        if self.has_cls_token:
            self.cls_token = nn.Parameter(cls_token, requires_grad=learns)
        if self.has_pos_embed:
            sides = side_lengths(pretrain_img_size or img_size)
            self.pos_grid = tuple(math.ceil(side / patch_size) for side in sides)
            positions = torch.empty(1, math.prod(self.pos_grid) + self.has_cls_token, embed_dims)
            nn.init.trunc_normal_(positions, std=0.02)
            self.pos_embed = nn.Parameter(positions, requires_grad=learns)
        for index, block in enumerate(self.blocks):
            for part in (block, *block.children()):
                if isinstance(part, OnGrid):
                    part.set_layer(index, depth)
        self.patch_size = patch_size
        self.embed_dims = embed_dims
        self.out_type = out_type
        self.order = order
        self.frozen_stages = frozen_stages
        for module in self._frozen_modules():
            module.requires_grad_(False).eval()
        self._check_out_type()

    @staticmethod
    def block_norm(embed_dims: int) -> nn.Module:
        """Returns the norm before a mixer or an MLP."""
        return nn.LayerNorm(embed_dims, eps=1e-6)

    @classmethod
    def make_block(
        cls, embed_dims: int, filter: Filter, feedforward_channels: int | None = None, **sizes: int
    ) -> Block:
        """Returns a block of the family, with an MLP if its architectures name the channels."""
        try:
            # the sizes are those of the mixer of the family
            mixer = cls.mixer(embed_dims=embed_dims, filter=filter, **sizes)  # type: ignore[call-arg]
        except ValueError as error:
            raise ValueError(f'arch of {cls.__name__}: {error}') from error
        if feedforward_channels is None:
            return Block(cls.block_norm(embed_dims), mixer)
        mlp = cls.mlp(embed_dims, feedforward_channels)
        return Block(cls.block_norm(embed_dims), mixer, cls.block_norm(embed_dims), mlp)

    @classmethod
    def _own_decay(cls, decay: str | None) -> str:
        """Returns the decay, or raises a ValueError that names the families that have it."""
        own = cls.mixer.decays
        if decay is None:
            return own[0]
        families = [family for family in MODELS.module_dict.values() if _is_family(family)]
        able = [family.__name__ for family in families if decay in family.mixer.decays]
        if able and decay not in own:
            raise ValueError(
                f'decay: {cls.__name__} has {", ".join(own)}; {decay!r} is for {", ".join(able)}'
            )
        check_choice('decay', decay, own)
        return decay

    def _check_out_type(self) -> None:
        """Raises a ValueError if CLS shall be read after every strip, but the model looks ahead."""
        if self.out_type == 'cls_per_strip':
            try:
                self.initial_state(1)
            except ValueError as error:
                raise ValueError(f'out_type: cls_per_strip: {error}') from error

    def _frozen_modules(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        last = [self.norm] if self.frozen_stages == len(self.blocks) else []
        return [self.patch_embed, *self.blocks[: self.frozen_stages], *last]

    def train(self, mode: bool = True) -> 'ImageBackbone':
        """Sets the mode; frozen modules stay in evaluation."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def no_weight_decay(self) -> set[str]:
        """Returns the parameters of the backbone itself that must not shrink to zero."""
        own = {'cls_token': self.has_cls_token, 'pos_embed': self.has_pos_embed}
        return {name for name, exists in own.items() if exists}

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Returns the depth of a parameter and the number of depths, for layer-wise decay.

        The embeddings have depth 0 and the blocks 1 to n. The final norm has n + 1, as has every
        parameter without the prefix, such as those of a head.
        """
        part, _, rest = param_name.removeprefix(prefix).partition('.')
        after = len(self.blocks) + 1
        if not param_name.startswith(prefix) or part == 'norm':
            depth = after
        else:
            depth = int(rest.partition('.')[0]) + 1 if part == 'blocks' else 0
        return depth, after + 1

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns the grid of patches, `(B, C, H', W')`, and the CLS token, `(1, 1, C)`, if any."""
        grid = self.patch_embed(images)
        positions = self.grid_positions(*grid.shape[-2:])
        cls_token = self.cls_input() if self.has_cls_token else None
        return grid if positions is None else grid + positions, cls_token

    def grid_positions(self, height: int, width: int) -> Tensor | None:
        """Returns what is added to a grid of patches, `(1, C, height, width)`; None if nothing."""
        if not self.has_pos_embed:
            return None
        of_patches = self.pos_embed[:, :-1] if self.has_cls_token else self.pos_embed
        of_grid = RasterOrder().to_grid(of_patches, *self.pos_grid)
        if (height, width) != self.pos_grid:
            of_grid = F.interpolate(of_grid, (height, width), mode='bicubic')
        return of_grid

    def cls_input(self) -> Tensor:
        """Returns the CLS token as it comes into the blocks, `(1, 1, C)`."""
        return self.cls_token + self.pos_embed[:, -1:] if self.has_pos_embed else self.cls_token

    # an image is encoded by its sequence, by inheritance so that no weight is renamed
    def forward(  # type: ignore[override]
        self, images: Tensor
    ) -> tuple[Tensor] | tuple[ClsAndTokens] | tuple[ClsPerStrip]:
        """Encodes `(B, in_channels, H, W)`; any H and W, padded to whole patches or sections.

        Returns:
            A tuple of one element, by `out_type`, with L image tokens of C channels:

            - 'cls_token': `(B, C)`, or the average of the tokens where there is no CLS;
            - 'tokens': `(B, L, C)`, in the order of reading, padding included, CLS not;
            - 'cls_and_tokens': `ClsAndTokens`, the pair of the two;
            - 'cls_per_strip': `ClsPerStrip`, where CLS is read after every row of patches, for
              `token_order='sections'` after every row of sections;
            - 'featmap': `(B, C, ceil(H / patch_size), ceil(W / patch_size))`.
        """
        grid, cls_token = self.embed(images)
        tokens = self.order.to_sequence(grid)
        strips = self._strips(grid) if self.out_type == 'cls_per_strip' else None
        if cls_token is not None:
            # not len(tokens), which torch.export takes for a constant
            cls_tokens = cls_token.expand(tokens.shape[0], strips or 1, -1)
            tokens = torch.cat((tokens, cls_tokens), dim=1)
        on_grid = issubclass(self.mixer, OnGrid)
        where = Grid(self.order, *grid.shape[-2:]) if on_grid else None
        tokens = self.encode(tokens, where, strips)
        if strips is not None:
            return (ClsPerStrip(tokens[:, -strips:], tokens[:, :-strips]),)
        if self.has_cls_token:
            image_tokens, cls_token = tokens[:, :-1], tokens[:, -1]
        else:
            image_tokens, cls_token = tokens, tokens.mean(1)
        if self.out_type == 'cls_token':
            return (cls_token,)
        if self.out_type == 'tokens':
            return (image_tokens,)
        if self.out_type == 'cls_and_tokens':
            return (ClsAndTokens(cls_token, image_tokens),)
        height, width = (math.ceil(side / self.patch_size) for side in images.shape[-2:])
        featmap = self.order.to_grid(image_tokens, *grid.shape[-2:])
        return (featmap[..., :height, :width].contiguous(),)

    def _strips(self, grid: Tensor) -> int:
        """Returns how many rows of patches or sections a grid has, `(B, C, H', W')`."""
        return grid.shape[2] * self.patch_size // self.patch_embed.pad_to


def _is_family(registered: object) -> TypeGuard[type[ImageBackbone]]:
    return isinstance(registered, type) and issubclass(registered, ImageBackbone)
