from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmdefocus import models

TINY = Path(__file__).parents[2] / 'data' / 'tiny_arch.py'
MAMBA = {**Config.fromfile(TINY).arch, 'depth': 3}
MAMBA2 = {
    'embed_dims': 16,
    'depth': 3,
    'intermediate_size': 32,
    'state_size': 8,
    'head_size': 16,
}
HEADS = {'embed_dims': 16, 'depth': 3, 'num_heads': 2, 'feedforward_channels': 24}
ARCHS = {
    'DefocusMamba': MAMBA,
    'DefocusMamba2': MAMBA2,
    'DefocusRetNet': {**HEADS, 'value_channels': 32},
    'DefocusViT': HEADS,
    'BidirectionalMamba': MAMBA,
}


def make_backbone(family: str, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    sizes = {'arch': ARCHS[family], 'img_size': 32, 'patch_size': 8}
    backbone = getattr(models, family)(**{**sizes, **options})
    with torch.no_grad():  # weights so small that a layer would hardly mix
        for block in backbone.blocks:
            for parameter in block.mixer.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(4)
    return backbone


def make_deit() -> torch.nn.Module:
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    arch = {'embed_dims': 16, 'num_layers': 3, 'num_heads': 2, 'feedforward_channels': 24}
    return MODELS.build(
        {'type': 'mmpretrain.VisionTransformer', 'arch': arch, 'img_size': 32, 'patch_size': 8}
    )


@pytest.fixture
def backbone():
    """Builds a tiny backbone of a family: 3 layers, 4 x 4 patches for 32 pixels."""
    return make_backbone


@pytest.fixture
def deit():
    """A tiny `VisionTransformer` of MMPretrain, CLS first."""
    return make_deit()


@pytest.fixture(params=[*ARCHS, 'DeiT'])
def any_backbone(request):
    return make_deit() if request.param == 'DeiT' else make_backbone(request.param)


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
