"""Text read by the blocks that read pictures."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmdefocus.registry import MODELS
from mmdefocus.utils.captions import CONTEXT_LENGTH, VOCAB_SIZE
from mmdefocus.utils.checks import check_choice

from ..backbones import DefocusMamba, DefocusMamba2, DefocusRetNet, DefocusViT
from ..backbones.arch import resolve_arch
from ..encoder import SequenceEncoder
from ..layers import Filter

FAMILIES = {
    family.__name__: family for family in (DefocusMamba, DefocusMamba2, DefocusRetNet, DefocusViT)
}


@MODELS.register_module()
class SequenceText(SequenceEncoder):
    """A causal sequence of text tokens; the feature is that of the end token, which has seen all.

    The blocks are those of a family of image backbones, so that one architecture reads both. Their
    filters say where a token is; there is no position embedding.

    Args:
        out_dims: E, channels of the feature.
        family: 'DefocusMamba', 'DefocusMamba2', 'DefocusRetNet' or 'DefocusViT'.
        arch: As of the family.
        context_length: L, tokens of a caption.
        vocab_size: Number of different tokens.
        decay: As of the family; None means its usual one.
        rope: See `Filter`.
        drop_path_rate: See `set_drop_path_rate`.
        with_cp: Whether to recompute the blocks in the backward to save memory.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If an argument is out of its range; the message names it.
    """

    def __init__(
        self,
        out_dims: int,
        family: str,
        arch: str | Mapping[str, int],
        context_length: int = CONTEXT_LENGTH,
        vocab_size: int = VOCAB_SIZE,
        decay: str | None = None,
        rope: str = 'learnable',
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        check_choice('family', family, FAMILIES)
        backbone = FAMILIES[family]
        settings = resolve_arch(family, arch, backbone.archs, backbone.arch_defaults)
        filter = Filter(decay=decay or backbone.mixer.decays[0], rope=rope)
        embed_dims, depth = settings.pop('embed_dims'), settings.pop('depth')
        token_embed = nn.Embedding(vocab_size, embed_dims)
        nn.init.normal_(token_embed.weight, std=0.02)
        super().__init__(
            [backbone.make_block(embed_dims, filter, **settings) for _ in range(depth)],
            nn.LayerNorm(embed_dims, eps=1e-6),
            drop_path_rate,
            with_cp,
            init_cfg,
            stem={'token_embed': token_embed},
        )
        self.context_length = context_length
        self.projection = nn.Linear(embed_dims, out_dims, bias=False)
        nn.init.normal_(self.projection.weight, std=embed_dims**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Encodes int64 `(B, L)` as `(B, E)`; what comes after the end token has no influence."""
        encoded = self.encode(self.token_embed(tokens))
        # the end has the highest number of all tokens
        end = encoded[torch.arange(len(tokens), device=tokens.device), tokens.argmax(dim=1)]
        return self.projection(end)
