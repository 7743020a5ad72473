import pytest
import torch

from mmdefocus.models import DefocusClsHead, DefocusMamba


def count(backbone, **head):
    """Returns the millions of parameters of a classifier of 1,000 classes."""
    head = DefocusClsHead(1000, backbone.embed_dims, **head)
    return sum(p.numel() for part in (backbone, head) for p in part.parameters()) / 1e6


@pytest.mark.parametrize(('arch', 'millions'), [('small', 25.1), ('base', 92.7)])
def test_parameters_of_table_1(arch, millions):
    """The paper counts the auxiliary classifier."""
    with torch.device('meta'):
        assert round(count(DefocusMamba(arch)), 1) == millions


@pytest.mark.parametrize(('arch', 'millions'), [('small', 24.7), ('base', 91.9)])
def test_parameters_of_the_causal_mamba_baselines(arch, millions):
    with torch.device('meta'):
        model = DefocusMamba(arch, rope='none')
        assert round(count(model, aux_loss_weight=0.0), 1) == millions


def test_parameters_of_the_large_model_with_its_classifiers_of_two_layers():
    with torch.device('meta'):
        model = DefocusMamba('large', img_size=384, pretrain_img_size=192)
        assert round(count(model, hidden_channels=3 * 1024), 1) == 330.1


def test_the_large_model_goes_from_192_to_384_pixels():
    with torch.device('meta'):
        source = DefocusMamba('large', img_size=192)
        target = DefocusMamba('large', img_size=384, pretrain_img_size=192, token_order='sections')
        target.load_state_dict(source.state_dict(), assign=True)
    assert target.order.section == 192 // 16
    assert {block.mixer.rope.scale for block in target.blocks} == {4.0}
    assert {block.mixer.delta_scale for block in target.blocks} == {2.0}
