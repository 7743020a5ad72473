import torch
from mmpretrain.structures import DataSample

from mmdefocus.models import DefocusClsHead
from mmdefocus.models.heads import ShuffledAuxClsHead


def losses(kind, seed):
    """Returns the losses of eight images of eight classes, of equal weights for every kind."""
    torch.manual_seed(0)
    head = kind(8, 4)
    feats = ((torch.randn(8, 4), torch.randn(8, 5, 4)),)
    torch.manual_seed(seed)
    return head.loss(feats, [DataSample().set_gt_label(label) for label in range(8)])


def test_the_labels_of_the_auxiliary_loss_alone_are_shuffled():
    true, shuffled = losses(DefocusClsHead, 1), losses(ShuffledAuxClsHead, 1)
    assert torch.equal(true['loss_cls'], shuffled['loss_cls'])
    assert not torch.isclose(true['loss_aux'], shuffled['loss_aux'])


def test_every_step_has_another_order_and_a_seed_the_same():
    one, other, again = (losses(ShuffledAuxClsHead, seed)['loss_aux'] for seed in (1, 2, 1))
    assert torch.equal(one, again)
    assert not torch.isclose(one, other)


def test_the_labels_of_a_batch_keep_their_frequencies():
    target = torch.tensor([0, 0, 1, 2])
    assert ShuffledAuxClsHead(3, 4).aux_targets(target).sort().values.tolist() == [0, 0, 1, 2]
