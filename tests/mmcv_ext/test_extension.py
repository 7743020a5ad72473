"""The operators that stand in for mmcv's, against what mmcv's compiled ones computed."""

import numpy as np
import pytest
import torch
from torch.nn.functional import log_softmax, logsigmoid

from mmdefocus.mmcv_ext import extension
from mmdefocus.ops import ms_deform_attn

METHODS = ('naive', 'linear', 'gaussian')
SCALE, BINS = 0.25, (3, 2)


@pytest.fixture(scope='module')
def recorded(request):
    with np.load(request.config.rootpath / 'tests/data/mmcv_ops.npz') as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.3, 0.6])
def test_nms_keeps_the_boxes_of_mmcv(recorded, threshold, offset):
    kept = extension.nms(recorded['boxes'], recorded['scores'], threshold, offset)
    assert torch.equal(kept, recorded[f'nms/{threshold}/{offset}'])


def test_nms_of_no_boxes():
    assert extension.nms(torch.zeros(0, 4), torch.zeros(0), 0.5, 0).shape == (0,)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.3, 0.6])
@pytest.mark.parametrize('method', METHODS)
def test_soft_nms_keeps_and_lowers_as_mmcv(recorded, method, threshold, offset):
    boxes, scores = recorded['boxes'], recorded['scores']
    dets = boxes.new_empty(len(boxes), 5)
    arguments = (boxes, scores, dets, threshold, 0.5, 0.1, METHODS.index(method), offset)
    kept = extension.softnms(*arguments)
    name = f'softnms/{threshold}/{offset}/{method}'
    assert torch.equal(kept, recorded[f'{name}/kept'])
    torch.testing.assert_close(dets[: len(kept)], recorded[f'{name}/dets'])


def test_soft_nms_leaves_its_scores_as_they_are(recorded):
    scores = recorded['scores'].clone()
    dets = scores.new_empty(len(scores), 5)
    extension.softnms(recorded['boxes'], scores, dets, 0.3, 0.5, 0.1, 1, 0)
    assert torch.equal(scores, recorded['scores'])


def test_nms_match_groups_as_mmcv(recorded):
    dets = torch.cat([recorded['boxes'], recorded['scores'][:, None]], 1)
    sizes = recorded['nms_match/sizes'].tolist()
    expected = [group.tolist() for group in recorded['nms_match/members'].split(sizes)]
    assert extension.nms_match(dets, 0.4) == expected


def pool(recorded, ratio, aligned, mode=1):
    """Options of `roi_align_forward` and `roi_align_backward`."""
    return dict(
        rois=recorded['regions'],
        argmax_y=torch.empty(0),
        argmax_x=torch.empty(0),
        aligned_height=BINS[0],
        aligned_width=BINS[1],
        spatial_scale=SCALE,
        sampling_ratio=ratio,
        pool_mode=mode,
        aligned=aligned,
    )


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 2])
def test_roi_align_equals_mmcv(recorded, ratio, aligned):
    y = torch.zeros_like(recorded['grad'])
    options = pool(recorded, ratio, aligned)
    extension.roi_align_forward(recorded['maps'], output=y, **options)
    torch.testing.assert_close(y, recorded[f'roi_align/{ratio}/{aligned}'])
    grad = torch.zeros_like(recorded['maps'])
    extension.roi_align_backward(recorded['grad'], grad_input=grad, **options)
    torch.testing.assert_close(grad, recorded[f'roi_align/{ratio}/{aligned}/grad'])


@pytest.mark.parametrize('direction', ['forward', 'backward'])
def test_roi_align_by_maximum_is_not_replaced(recorded, direction):
    maps, bins = recorded['maps'], recorded['grad']
    options = pool(recorded, 0, True, mode=0)
    with pytest.raises(RuntimeError, match=r"roi_align with pool_mode='max' .* MMCV_OPS=1"):
        if direction == 'forward':
            extension.roi_align_forward(maps, output=bins, **options)
        else:
            extension.roi_align_backward(bins, grad_input=maps, **options)


@pytest.fixture
def logits():
    return torch.randn(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 4


WEIGHTS = [torch.empty(0).double(), torch.tensor([0.5, 1, 2, 3, 4]).double()]


@pytest.mark.parametrize('weight', WEIGHTS, ids=['alike', 'weighted'])
@pytest.mark.parametrize('gamma', [2.0, 0.5])
def test_sigmoid_focal_loss_follows_its_formula(logits, weight, gamma):
    target, alpha = torch.arange(9) % 5, 0.25
    x = logits.requires_grad_()
    true = torch.nn.functional.one_hot(target, 5).bool()
    positive = -alpha * (1 - x.sigmoid()) ** gamma * logsigmoid(x)
    negative = -(1 - alpha) * x.sigmoid() ** gamma * logsigmoid(-x)
    expected = torch.where(true, positive, negative)
    if len(weight):
        expected = expected * weight[target, None]
    output, grad = torch.zeros_like(x), torch.zeros_like(x)
    extension.sigmoid_focal_loss_forward(x.detach(), target, weight, output, gamma, alpha)
    extension.sigmoid_focal_loss_backward(x.detach(), target, weight, grad, gamma, alpha)
    torch.testing.assert_close(output, expected.detach())
    torch.testing.assert_close(grad, torch.autograd.grad(expected.sum(), x)[0])


def test_sigmoid_focal_loss_of_a_sample_of_no_class_counts_all_as_others(logits):
    output = torch.zeros_like(logits)
    none = torch.full((9,), 5)
    extension.sigmoid_focal_loss_forward(logits, none, WEIGHTS[0], output, 2.0, 0.25)
    torch.testing.assert_close(output, -0.75 * logits.sigmoid() ** 2 * logsigmoid(-logits))


@pytest.mark.parametrize('size', [200.0, -200.0])
def test_sigmoid_focal_loss_of_extreme_logits_is_finite(size):
    logits, target = torch.full((1, 2), size), torch.tensor([0])
    for function in (extension.sigmoid_focal_loss_forward, extension.sigmoid_focal_loss_backward):
        output = torch.zeros(1, 2)
        function(logits, target, torch.empty(0), output, 2.0, 0.25)
        assert output.isfinite().all()


@pytest.mark.parametrize('weight', WEIGHTS, ids=['alike', 'weighted'])
@pytest.mark.parametrize('gamma', [2.0, 0.5])
def test_softmax_focal_loss_follows_its_formula(logits, weight, gamma):
    target, alpha = torch.tensor([0, 1, 2, 3, 4, -1, 1, 1, 0]), 0.25
    x = logits.requires_grad_()
    place = target.clamp(min=0)
    log_p = log_softmax(x, 1).gather(1, place[:, None])[:, 0]
    expected = -alpha * (1 - log_p.exp()) ** gamma * log_p * (target >= 0)
    if len(weight):
        expected = expected * weight[place]
    p = x.detach().softmax(1)
    output, buffer, grad = torch.zeros(9).double(), torch.zeros(9).double(), torch.zeros_like(p)
    extension.softmax_focal_loss_forward(p, target, weight, output, gamma, alpha)
    extension.softmax_focal_loss_backward(p, target, weight, buffer, grad, gamma, alpha)
    torch.testing.assert_close(output, expected.detach())
    torch.testing.assert_close(grad, torch.autograd.grad(expected.sum(), x)[0])


@pytest.mark.parametrize('gamma', [2.0, 0.5])
def test_softmax_focal_loss_of_certainty_is_finite(gamma):
    p, target = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])
    grad = torch.zeros(2, 2)
    arguments = (p, target, torch.empty(0), torch.zeros(2), grad, gamma, 0.25)
    extension.softmax_focal_loss_backward(*arguments)
    assert grad.isfinite().all()


def test_deformable_attention_is_ours_both_ways():
    generator = torch.Generator().manual_seed(3)
    shapes, starts = torch.tensor([[4, 5], [2, 3]]), torch.tensor([0, 20])
    value = torch.randn(2, 26, 2, 8, generator=generator)
    places = torch.rand(2, 7, 2, 2, 3, 2, generator=generator)
    weights = torch.rand(2, 7, 2, 2, 3, generator=generator)
    inputs = (value, shapes, starts, places, weights)
    output = extension.ms_deform_attn_forward(*inputs, im2col_step=64)
    leaves = [x.clone().requires_grad_() for x in (value, places, weights)]
    expected = ms_deform_attn(leaves[0], shapes, *leaves[1:])
    assert torch.equal(output, expected.detach())
    grad = torch.randn(output.shape, generator=generator)
    found = [torch.zeros_like(x) for x in (value, places, weights)]
    with torch.no_grad():  # as in the backward of a torch function
        extension.ms_deform_attn_backward(*inputs, grad, *found, im2col_step=64)
    torch.testing.assert_close(found, list(torch.autograd.grad(expected, leaves, grad)))


def test_any_other_operator_is_named_with_the_cure_when_it_is_called():
    operator = extension.carafe_forward
    with pytest.raises(RuntimeError, match=r'carafe_forward is an operator .* MMCV_OPS=1$'):
        operator(torch.ones(1), scale_factor=2)


def test_special_attributes_are_not_operators():
    assert not hasattr(extension, '__wrapped__')
