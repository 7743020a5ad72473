import pytest
import torch
from mmengine.registry import MODELS

pytest.importorskip('open_clip')
CONTEXT = 16
VISION = {
    'DefocusMamba': dict(embed_dims=32, depth=2, intermediate_size=64, time_step_rank=4),
    'DefocusMamba2': dict(embed_dims=32, depth=2, intermediate_size=64, state_size=4),
    'DefocusRetNet': dict(
        embed_dims=32, depth=2, num_heads=2, value_channels=64, feedforward_channels=64
    ),
    'DefocusViT': dict(embed_dims=32, depth=2, num_heads=2, feedforward_channels=64),
}


@pytest.fixture
def make_clip():
    """Builds a tiny model, by the family of its image tower and of its text tower, or CLIP's."""

    def make(
        family: str = 'DefocusMamba', text: str | None = None, out_type='cls_token', **settings
    ):
        torch.manual_seed(0)
        vision = dict(
            type='OpenCLIPViT', img_size=32, patch_size=8, embed_dims=64, num_heads=2, depth=2
        )
        if family != 'OpenCLIPViT':
            vision = dict(
                type=family, arch=VISION[family], img_size=32, patch_size=8, out_type=out_type
            )
        encoder = dict(type='OpenCLIPText', width=64, num_heads=2, depth=2, context_length=CONTEXT)
        if text:
            encoder = dict(
                type='SequenceText', family=text, arch=VISION[text], context_length=CONTEXT
            )
        model = dict(
            type='DefocusCLIP',
            vision_backbone=vision,
            text_encoder=encoder,
            embed_dims=16,
            **settings,
        )
        return MODELS.build(model)

    return make
