"""The two towers of OpenAI's CLIP, as open_clip computes them."""

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdefocus.registry import MODELS
from mmdefocus.utils.captions import CONTEXT_LENGTH, VOCAB_SIZE, open_clip

TEXT_PARTS = (
    'token_embedding.',
    'positional_embedding',
    'transformer.',
    'ln_final.',
    'text_projection',
)


@MODELS.register_module()
class OpenCLIPText(BaseModule):
    """A causal transformer on the tokens of captions; the feature is that of the end token.

    It also loads the weights of a whole model of open_clip, of which it takes the text tower.

    Args:
        out_dims: E, channels of the feature.
        width: Channels of a token.
        num_heads: Heads of the attention, divide `width`.
        depth: Number of blocks.
        context_length: L, tokens of a caption.
        vocab_size: Number of different tokens.
        init_cfg: As in MMEngine.
    """

    def __init__(
        self,
        out_dims: int,
        width: int = 512,
        num_heads: int = 8,
        depth: int = 12,
        context_length: int = CONTEXT_LENGTH,
        vocab_size: int = VOCAB_SIZE,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.context_length = context_length
        self.tower = open_clip().transformer.TextTransformer(
            context_length=context_length,
            vocab_size=vocab_size,
            width=width,
            heads=num_heads,
            layers=depth,
            output_dim=out_dims,
        )
        self.register_load_state_dict_pre_hook(_accept_open_clip)

    def no_weight_decay(self) -> set[str]:
        """Returns the parameters of the tower itself that must not shrink to zero."""
        return {'tower.positional_embedding'}

    def forward(self, tokens: Tensor) -> Tensor:
        """Encodes int64 `(B, L)` as `(B, E)`."""
        return self.tower(tokens)


@MODELS.register_module()
class OpenCLIPViT(BaseModule):
    """The vision transformer of CLIP, without its projection, which `DefocusCLIP` has.

    Args:
        img_size: Side of the image in pixels.
        patch_size: Side of a patch in pixels.
        embed_dims: C, channels of a token.
        num_heads: Heads of the attention, divide `embed_dims`.
        depth: Number of blocks.
        init_cfg: As in MMEngine.
    """

    def __init__(
        self,
        img_size: int = 224,
        patch_size: int = 32,
        embed_dims: int = 768,
        num_heads: int = 12,
        depth: int = 12,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.embed_dims = embed_dims
        self.tower = open_clip().transformer.VisionTransformer(
            image_size=img_size,
            patch_size=patch_size,
            width=embed_dims,
            layers=depth,
            heads=num_heads,
            mlp_ratio=4.0,
        )
        self.tower.proj = None

    def no_weight_decay(self) -> set[str]:
        """Returns the parameters of the tower itself that must not shrink to zero."""
        return {'tower.positional_embedding', 'tower.class_embedding'}

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Encodes `(B, 3, img_size, img_size)` as `((B, C),)`."""
        return (self.tower(images),)


def _accept_open_clip(
    module: nn.Module, state_dict: dict[str, Any], prefix: str, *_bookkeeping: object
) -> None:
    """Renames the weights of a model of open_clip, in place, and takes out its other parts."""
    if f'{prefix}token_embedding.weight' not in state_dict:
        return
    for name in [name for name in state_dict if name.startswith(prefix)]:
        weight, part = state_dict.pop(name), name.removeprefix(prefix)
        if part.startswith(TEXT_PARTS):
            state_dict[f'{prefix}tower.{part}'] = weight
