import pytest
import torch
import torch.nn.functional as F
from mmengine.runner.checkpoint import load_state_dict
from mmpretrain.structures import DataSample

from mmdefocus.models import DefocusClsHead
from mmdefocus.models.backbones import ClsPerStrip

LABELS = torch.tensor([2, 0])


@pytest.fixture
def feats():
    return ((torch.randn(2, 8), torch.randn(2, 5, 8)),)


def samples(soft=False):
    if soft:
        return [DataSample().set_gt_score(F.one_hot(k, 3).float()) for k in LABELS]
    return [DataSample().set_gt_label(k) for k in LABELS]


def test_the_auxiliary_loss_classifies_the_average_token(feats):
    head = DefocusClsHead(3, 8, aux_loss_weight=0.5)
    losses = head.loss(feats, samples())
    (cls, tokens) = feats[0]
    torch.testing.assert_close(losses['loss_cls'], F.cross_entropy(head.fc(cls), LABELS))
    expected = 0.5 * F.cross_entropy(head.aux_fc(tokens.mean(1)), LABELS)
    torch.testing.assert_close(losses['loss_aux'], expected)


def test_hidden_channels_are_averaged_before_the_last_layer(feats):
    head = DefocusClsHead(3, 8, hidden_channels=24)
    torch.testing.assert_close(head.forward_aux(feats), head.aux_fc(feats[0][1]).mean(1))


def test_the_released_target_averages_the_losses_of_all_tokens(feats):
    head = DefocusClsHead(3, 8, aux_target='tokens')
    logits = head.aux_fc(feats[0][1])
    expected = torch.stack([F.cross_entropy(logits[:, t], LABELS) for t in range(5)]).mean()
    torch.testing.assert_close(head.loss(feats, samples())['loss_aux'], expected)


@pytest.mark.parametrize('aux_target', ['pooled', 'tokens'])
def test_soft_targets_of_one_class_equal_labels(feats, aux_target):
    head = DefocusClsHead(
        3, 8, aux_target=aux_target, loss={'type': 'CrossEntropyLoss', 'use_soft': True}
    )
    hard = DefocusClsHead(3, 8, aux_target=aux_target)
    hard.load_state_dict(head.state_dict())
    soft_losses, losses = head.loss(feats, samples(soft=True)), hard.loss(feats, samples())
    for name in ('loss_cls', 'loss_aux'):
        torch.testing.assert_close(soft_losses[name], losses[name])


def test_label_smoothing_loss_takes_labels_and_mixtures(feats):
    head = DefocusClsHead(
        3,
        8,
        aux_target='tokens',
        loss={'type': 'LabelSmoothLoss', 'label_smooth_val': 0.1, 'mode': 'original'},
    )
    assert head.loss(feats, samples())['loss_aux'].isfinite()
    assert head.loss(feats, samples(soft=True))['loss_aux'].isfinite()


def test_accuracies_of_both_classifiers(feats):
    losses = DefocusClsHead(3, 8, cal_acc=True).loss(feats, samples())
    assert {'accuracy_top-1', 'aux_accuracy_top-1'} <= losses.keys()


def test_accuracies_count_right_answers_of_logits_below_zero(feats):
    head = DefocusClsHead(3, 8, cal_acc=True)
    with torch.no_grad():
        for classifier in (head.fc, head.aux_fc):
            classifier.weight.zero_()
            classifier.bias.copy_(-2 + F.one_hot(LABELS[0], 3))
    losses = head.loss(feats, samples())
    right = 100 * LABELS.eq(LABELS[0]).float().mean()
    assert losses['accuracy_top-1'] == losses['aux_accuracy_top-1'] == right


@pytest.fixture
def strips():
    """CLS after each of 5 strips, and the image tokens."""
    return (ClsPerStrip(torch.randn(2, 5, 8), torch.randn(2, 10, 8)),)


@pytest.mark.parametrize(('every', 'read'), [(1, (0, 1, 2, 3, 4)), (2, (1, 3, 4)), (5, (4,))])
def test_early_training_averages_the_losses_of_every_kth_strip_and_the_last(strips, every, read):
    head = DefocusClsHead(3, 8, early_every=every)
    logits = head.fc(strips[0].cls_tokens)
    expected = torch.stack([F.cross_entropy(logits[:, s], LABELS) for s in read]).mean()
    losses = head.loss(strips, samples())
    torch.testing.assert_close(losses['loss_cls'], expected)
    aux_logits = head.aux_fc(strips[0].tokens.mean(1))
    torch.testing.assert_close(losses['loss_aux'], F.cross_entropy(aux_logits, LABELS))


def test_early_training_takes_mixtures_and_logs_the_accuracy_at_the_end(strips):
    loss = {'type': 'CrossEntropyLoss', 'use_soft': True}
    head = DefocusClsHead(3, 8, early_every=2, loss=loss)
    hard = DefocusClsHead(3, 8, early_every=2, cal_acc=True)
    hard.load_state_dict(head.state_dict())
    found, expected = head.loss(strips, samples(soft=True)), hard.loss(strips, samples())
    torch.testing.assert_close(found['loss_cls'], expected['loss_cls'])
    right = head.fc(strips[0].cls_tokens[:, -1]).argmax(1) == LABELS
    assert expected['accuracy_top-1'][0].item() == 100 * right.float().mean().item()


def test_early_training_leaves_predictions_at_the_end(strips):
    head = DefocusClsHead(3, 8, early_every=1)
    at_end = ((strips[0].cls_tokens[:, -1], strips[0].tokens),)
    assert torch.equal(head(strips), head(at_end))
    for found, expected in zip(head.predict(strips), head.predict(at_end), strict=True):
        assert torch.equal(found.pred_score, expected.pred_score)
        assert found.aux_pred_label == expected.aux_pred_label


def test_without_early_training_the_loss_is_that_of_the_end(strips):
    head = DefocusClsHead(3, 8)
    at_end = ((strips[0].cls_tokens[:, -1], strips[0].tokens),)
    found, expected = head.loss(strips, samples()), head.loss(at_end, samples())
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_early_training_needs_cls_after_every_strip(feats, strips):
    with pytest.raises(ValueError, match=r"early_every: .*out_type='cls_per_strip'"):
        DefocusClsHead(3, 8, early_every=1).loss(feats, samples())
    with pytest.raises(ValueError, match='early_every: expected 1 to 5 strips, got 6'):
        DefocusClsHead(3, 8, early_every=6).loss(strips, samples())


def test_predictions_are_those_of_the_cls_token(feats):
    head = DefocusClsHead(3, 8)
    predictions = head.predict(feats)
    expected = head.fc(feats[0][0]).argmax(1)
    assert [p.pred_label.item() for p in predictions] == expected.tolist()
    aux = head.aux_fc(feats[0][1].mean(1)).argmax(1)
    assert [p.aux_pred_label.item() for p in predictions] == aux.tolist()


def test_weight_zero_leaves_the_auxiliary_classifier_out(feats):
    head = DefocusClsHead(3, 8, aux_loss_weight=0.0)
    assert head.loss(feats, samples()).keys() == {'loss_cls'}
    assert not any('aux' in name for name in head.state_dict())


def test_hidden_channels_make_a_classifier_of_two_layers():
    head = DefocusClsHead(3, 8, hidden_channels=24)
    shapes = {name: tuple(w.shape) for name, w in head.fc.state_dict().items()}
    assert shapes == {'0.weight': (24, 8), '0.bias': (24,), '2.weight': (3, 24), '2.bias': (3,)}


def test_weights_published_without_the_auxiliary_classifier_load(feats):
    trained, head = DefocusClsHead(3, 8), DefocusClsHead(3, 8)
    published = {k: v for k, v in trained.state_dict().items() if 'aux' not in k}
    load_state_dict(head, published, strict=True)
    assert torch.equal(head.fc.weight, trained.fc.weight)
    assert 'aux_pred_label' not in head.predict(feats)[0]


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        ({'num_classes': 0}, 'num_classes: expected a positive int, got 0'),
        ({'aux_loss_weight': -1.0}, 'aux_loss_weight: expected 0 or more'),
        ({'aux_target': 'all'}, 'aux_target: expected one of pooled, tokens'),
        ({'early_every': 0}, 'early_every: expected a positive int, got 0'),
        ({'early_every': 1.5}, 'early_every: expected a positive int, got 1.5'),
        ({'early_every': '2'}, "early_every: expected a positive int, got '2'"),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        DefocusClsHead(**{'num_classes': 3, 'in_channels': 8, **kwargs})


def test_features_without_tokens_are_explained():
    with pytest.raises(ValueError, match="give the backbone out_type='cls_and_tokens'"):
        DefocusClsHead(3, 8)((torch.randn(2, 8),))


@pytest.mark.parametrize(
    'sample',
    [
        DataSample().set_gt_label([0, 2]),
        DataSample().set_gt_label([]),
        DataSample().set_gt_score(torch.tensor([1.0, 0.0, 1.0])),
    ],
)
def test_several_labels_an_image_are_refused(feats, sample):
    head = DefocusClsHead(3, 8, loss={'type': 'CrossEntropyLoss', 'use_soft': True})
    with pytest.raises(ValueError, match='expected one label an image'):
        head.loss(feats, [sample, sample])
