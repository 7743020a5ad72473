import cv2
import pytest
import torch
from torch import nn

from mmdefocus.analysis.focus.class_activation import METHODS, class_activation
from mmdefocus.analysis.focus.layers import layers_of, on_grid

pytest.importorskip('pytorch_grad_cam', reason='grad-cam is not installed')


class LastToken(nn.Module):
    """A head over the CLS token of any family."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 5)

    def forward(self, features):
        return self.fc(features[-1])


class Classifier(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone, self.head = backbone, LastToken()


def by_hand(model, image, number, layer):
    """Grad-CAM of an image `(1, 3, H, W)` from its definition, on the grid of patches."""
    model.eval()
    layers = layers_of(model)
    kept = []
    handle = layers.norm_of(layer).register_forward_hook(lambda *call: kept.append(call[2]))
    score = model.head(model.backbone(image))[0, number]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    shape = image.shape[-2:]
    features, slopes = (
        on_grid(model.backbone, x[0, layers.image].mT.detach(), shape) for x in (kept[0], gradient)
    )
    return torch.relu((slopes.mean((1, 2), keepdim=True) * features).sum(0)).numpy()


def scaled(map):
    map = map - map.min()
    return map / (1e-7 + map.max())


@pytest.mark.parametrize('layer', [1, 3])
def test_the_map_is_that_of_the_definition(layer, any_backbone):
    model = Classifier(any_backbone)
    image = torch.randn(1, 3, 24, 32, generator=torch.Generator().manual_seed(2))
    (found,) = class_activation(model, image, torch.tensor([3]), layer)
    expected = cv2.resize(scaled(by_hand(model, image, 3, layer)), (32, 24))
    torch.testing.assert_close(found.numpy(), scaled(expected), rtol=1e-3, atol=1e-4)


def test_section_order_is_undone(backbone):
    sections = backbone('DefocusMamba', token_order='sections', pretrain_img_size=16)
    model = Classifier(sections)
    image = torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(2))
    (found,) = class_activation(model, image, torch.tensor([1]), 2)
    expected = cv2.resize(scaled(by_hand(model, image, 1, 2)), (48, 32))
    torch.testing.assert_close(found.numpy(), scaled(expected), rtol=1e-3, atol=1e-4)


def test_padding_is_cut_off(any_backbone):
    model = Classifier(any_backbone)
    image = torch.randn(1, 3, 21, 27)
    padded = nn.functional.pad(image, (0, 5, 0, 3))
    found, whole = (class_activation(model, x, torch.tensor([0])) for x in (image, padded))
    torch.testing.assert_close(found, whole[:, :21, :27])


@pytest.mark.parametrize('method', METHODS)
def test_every_method_draws_from_0_to_1(method, backbone, images):
    found = class_activation(
        Classifier(backbone('DefocusMamba')), images, torch.tensor([0, 4]), method=method
    )
    assert found.shape == (2, 32, 32)
    assert found.min() >= 0 and found.max() == pytest.approx(1, abs=1e-3)


def test_mode_and_hooks_of_the_model_stay(backbone, images):
    model = Classifier(backbone('DefocusViT')).train()
    class_activation(model, images, torch.tensor([0, 1]))
    assert model.training and model.backbone.blocks[0].training
    assert all(not x._forward_hooks for x in model.modules())


def test_bad_input_is_named(backbone, images):
    model = Classifier(backbone('DefocusMamba'))
    with pytest.raises(ValueError, match=r'classes: expected numbers from 0 to 4, got \[0, 5\]'):
        class_activation(model, images, torch.tensor([0, 5]))
    with pytest.raises(ValueError, match='layer: expected a number from 1 to 3, got 4'):
        class_activation(model, images, torch.tensor([0, 1]), 4)
    with pytest.raises(ValueError, match='model: expected a classifier with a head'):
        class_activation(model.backbone, images, torch.tensor([0, 1]))
