from pathlib import Path

import pytest
import torch

from mmdefocus.analysis.config_backbone import config_backbone
from mmdefocus.utils.errors import InputError

CONFIGS = Path(__file__).parents[2] / 'configs' / 'imagenet'


@pytest.mark.parametrize('config', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)
def test_every_model_reads_images_of_another_size(config):
    backbone = config_backbone(config, 64, tiny_depth=1)
    output = backbone(torch.randn(2, 3, 64, 64))[0]
    assert output.shape == (2, backbone.embed_dims)


def test_model_is_that_of_the_config_without_drop_path():
    backbone = config_backbone(CONFIGS / 'defocus-mamba-small_8xb128_in1k.py', 32)
    assert (backbone.embed_dims, len(backbone.blocks)) == (384, 24)
    assert all(block.drop_path.rate == 0 for block in backbone.blocks)


def test_size_in_pre_training_keeps_its_ratio():
    name = 'defocus-mamba-large_in21k-pre_32xb32_in1k-384px.py'
    assert (
        config_backbone(CONFIGS / name, 128, tiny_depth=1).order.section == 4
    )  # patches: 64 of 128


def test_config_without_a_backbone_is_refused(tmp_path):
    config = tmp_path / 'data.py'
    config.write_text("model = dict(type='ImageClassifier')\n")
    with pytest.raises(
        InputError, match=r'data\.py: expected the config of a model with a backbone'
    ):
        config_backbone(config, 32)
