import pytest
import torch
from torch import nn

from mmdefocus.analysis.focus import maps
from mmdefocus.analysis.focus.layers import layer_inputs, layers_of
from mmdefocus.analysis.focus.maps import attention_map, gradient_map, receptive_field


def block_jacobian(backbone, images, layer):
    """The jacobian of a block for the first image, `(T, C, T, C)`, and its output."""
    backbone.eval()
    tokens = layer_inputs(backbone, images[:1], layer)
    block = layers_of(backbone).block(layer)
    jacobian = torch.autograd.functional.jacobian(block, tokens)
    return jacobian[0, :, :, 0], block(tokens)[0]


def test_the_attention_map_is_that_of_the_jacobian(any_backbone, images):
    jacobian, output = block_jacobian(any_backbone, images, 2)
    direction = output / output.norm(dim=-1, keepdim=True)
    expected = torch.einsum('qc,qckd->qkd', direction, jacobian).norm(dim=-1)
    image = layers_of(any_backbone).image
    expected = expected[image, image].fill_diagonal_(0)
    found = attention_map(any_backbone, images, 2)[0]
    torch.testing.assert_close(found, expected / expected.max(), rtol=1e-4, atol=1e-6)


def test_the_receptive_field_is_the_row_of_cls(any_backbone, images):
    jacobian, output = block_jacobian(any_backbone, images, 3)
    layers = layers_of(any_backbone)
    direction = output[layers.cls] / output[layers.cls].norm()
    expected = torch.einsum('c,ckd->kd', direction, jacobian[layers.cls]).norm(dim=-1)
    expected = expected[layers.image]
    found = receptive_field(any_backbone, images, 3)
    torch.testing.assert_close(found[0], expected / expected.max(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('family', ['DefocusMamba', 'DefocusMamba2', 'DefocusRetNet', 'DefocusViT'])
def test_a_causal_map_is_strictly_lower_triangular(family, backbone, images):
    found = attention_map(backbone(family), images, 1)
    assert torch.equal(found, found.tril(-1))
    assert (found[:, 1:].amax(-1) > 0).all()


def test_the_map_does_not_depend_on_how_many_queries_go_at_once(backbone, images, monkeypatch):
    model = backbone('DefocusMamba')
    whole = attention_map(model, images, 2)
    monkeypatch.setattr(maps, 'TOKENS_AT_ONCE', 3 * 17)
    torch.testing.assert_close(attention_map(model, images, 2), whole)


def test_progress_reaches_the_number_of_queries(backbone, images):
    seen = []
    attention_map(backbone('DefocusMamba'), images, 1, lambda *numbers: seen.append(numbers))
    assert seen[-1] == (32, 32)


def test_mode_and_gradients_of_the_model_stay(backbone, images):
    model = backbone('DefocusViT', drop_path_rate=0.9).train()
    model.blocks[0].eval()
    first = receptive_field(model, images, 2)
    assert torch.equal(first, receptive_field(model, images, 2))
    assert model.training and not model.blocks[0].training
    assert all(parameter.grad is None for parameter in model.parameters())


class Classifier(nn.Module):
    def __init__(self, backbone, head):
        super().__init__()
        self.backbone, self.head = backbone, head


@pytest.mark.parametrize('aux_target', ['pooled', 'tokens'])
def test_the_gradient_map_is_that_of_the_training_loss(aux_target, backbone, images):
    from mmpretrain.structures import DataSample

    from mmdefocus.models import DefocusClsHead

    model = Classifier(
        backbone('DefocusMamba', out_type='cls_and_tokens', drop_path_rate=0.5),
        DefocusClsHead(5, 16, aux_loss_weight=0.7, aux_target=aux_target),
    )
    targets = torch.tensor([3, 1])
    found = gradient_map(model, images, targets, 2)

    model.eval()
    for index in range(2):
        with model.backbone.tapped() as taps:
            features = model.backbone(images[index : index + 1])
            sample = DataSample().set_gt_label(targets[index])
            loss = sum(model.head.loss(features, [sample]).values())
        (gradient,) = torch.autograd.grad(loss, taps['layer2.input'])
        expected = gradient[0, :-1].norm(dim=-1)
        torch.testing.assert_close(found[index], expected / expected.max())


@pytest.mark.parametrize('layer', [0, 4])
def test_a_layer_that_does_not_exist_is_refused(layer, backbone, images):
    with pytest.raises(ValueError, match=f'layer: expected a number from 1 to 3, got {layer}'):
        receptive_field(backbone('DefocusMamba'), images, layer)


def test_another_model_is_refused(images):
    with pytest.raises(ValueError, match=r'model: expected a backbone of mmdefocus .* got Conv2d'):
        attention_map(nn.Conv2d(3, 3, 1), images, 1)


def test_a_gradient_map_needs_a_head(backbone, images):
    with pytest.raises(ValueError, match='model: expected a classifier with a head'):
        gradient_map(backbone('DefocusMamba'), images, torch.tensor([0, 1]), 1)


def test_each_image_needs_a_label(backbone, images):
    with pytest.raises(ValueError, match='targets: expected a label for each of 2 images, got 1'):
        gradient_map(backbone('DefocusMamba'), images, torch.tensor([0]), 1)


def test_weights_in_half_precision_are_refused(backbone, images):
    with pytest.raises(ValueError, match=r'model: expected weights in float32, got torch.bfloat16'):
        receptive_field(backbone('DefocusMamba').bfloat16(), images.bfloat16(), 1)
