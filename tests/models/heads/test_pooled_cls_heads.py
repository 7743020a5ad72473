import pytest
import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample

from mmdefocus.models.heads import AverageClsHead, ClsAndAverageClsHead

LABELS = torch.tensor([2, 0])


@pytest.fixture
def feats():
    return ((torch.randn(2, 8), torch.randn(2, 5, 8)),)


def samples():
    return [DataSample().set_gt_label(label) for label in LABELS]


def test_average_head_classifies_the_average_token_alone(feats):
    head = AverageClsHead(3, 8)
    losses = head.loss(feats, samples())
    expected = F.cross_entropy(head.fc(feats[0][1].mean(1)), LABELS)
    assert losses.keys() == {'loss'}
    torch.testing.assert_close(losses['loss'], expected)


def test_joint_head_classifies_cls_and_average_side_by_side(feats):
    head = ClsAndAverageClsHead(3, 8)
    (cls, tokens) = feats[0]
    weight, bias = head.fc.weight, head.fc.bias
    expected = cls @ weight[:, :8].T + tokens.mean(1) @ weight[:, 8:].T + bias
    torch.testing.assert_close(head(feats), expected)


@pytest.mark.parametrize('head_type', [AverageClsHead, ClsAndAverageClsHead])
def test_weights_begin_with_a_deviation_of_a_fiftieth(head_type):
    torch.manual_seed(0)
    head = head_type(100, 64)
    head.init_weights()
    assert head.fc.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not head.fc.bias.any()


@pytest.mark.parametrize('head_type', [AverageClsHead, ClsAndAverageClsHead])
def test_features_without_tokens_are_explained(head_type):
    with pytest.raises(ValueError, match="give the backbone out_type='cls_and_tokens'"):
        head_type(3, 8)((torch.randn(2, 8),))
