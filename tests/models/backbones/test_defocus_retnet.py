import pytest
import torch

from mmdefocus.models import DefocusClsHead, DefocusRetNet


def test_parameters_of_table_1_within_one_percent():
    with torch.device('meta'):
        ours, retnet = DefocusRetNet('base'), DefocusRetNet('base', decay='fixed', rope='fixed')
        heads = DefocusClsHead(1000, 768), DefocusClsHead(1000, 768, aux_loss_weight=0.0)
    for backbone, head, millions in zip((ours, retnet), heads, (92.7, 93.6), strict=True):
        count = sum(p.numel() for part in (backbone, head) for p in part.parameters()) / 1e6
        assert count == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize('arch', DefocusRetNet.archs.values(), ids=DefocusRetNet.archs)
def test_heads_have_64_keys_and_128_values(arch):
    assert arch['embed_dims'] == 64 * arch['num_heads']
    assert arch['value_channels'] == 128 * arch['num_heads']
