"""Adventurer, a causal model that is shown the average of the image first (arXiv 2410.07599)."""

import torch
from torch import Tensor

from mmdefocus.registry import MODELS

from ..layers import Block, Grid, OnGrid, SwiGLU
from ..mixers import HeadedMamba2Mixer
from .defocus_mamba2 import DefocusMamba2

SIZES = {'tiny': (256, 12), 'small': (512, 12), 'base': (768, 12), 'large': (1024, 24)}


class AdventurerBlock(OnGrid, Block):
    """A block before whose tokens the average patch is put, and taken away after it.

    Every other layer reads the patches from the last to the first; CLS is last in all.
    """

    backwards = False

    def set_layer(self, index: int, depth: int) -> None:
        """Chooses the direction of layer `index`, counted from 0."""
        self.backwards = index % 2 == 1

    def forward(
        self, tokens: Tensor, grid: Grid | None = None, strips: int | None = None
    ) -> Tensor:
        """Takes and returns `(B, H * W + 1, C)`, CLS at the end."""
        tokens = self._turned(tokens)
        head = tokens[:, :-1].mean(1, keepdim=True)
        return self._turned(super().forward(torch.cat((head, tokens), 1), grid, strips)[:, 1:])

    def _turned(self, tokens: Tensor) -> Tensor:
        if not self.backwards:
            return tokens
        return torch.cat((tokens[:, :-1].flip(1), tokens[:, -1:]), 1)


@MODELS.register_module()
class Adventurer(DefocusMamba2):
    """Mamba-2 mixers and SwiGLU networks in turn, on patches headed by their average.

    Adventurer itself is this class with `rope='none'`; its base has 99M parameters. It is not
    causal: the average shows every token all of the image. Arguments are those of `DefocusMamba2`;
    an architecture has `feedforward_channels` as well.
    """

    mixer = HeadedMamba2Mixer
    block = AdventurerBlock
    mlp = SwiGLU
    has_pos_embed = True
    archs = {
        name: {
            'embed_dims': width,
            'depth': depth,
            'intermediate_size': 2 * width,
            'feedforward_channels': 5 * width // 2,
        }
        for name, (width, depth) in SIZES.items()
    }
    arch_defaults = {**DefocusMamba2.arch_defaults, 'state_size': 64}
