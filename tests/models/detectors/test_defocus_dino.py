"""DINO on what real data brings: no objects, crowds, boxes outside, mixed precision."""

import sys
from pathlib import Path

import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmengine.config import Config

CONFIGS = Path(__file__).parents[3] / 'configs'
INSIDE = [10.0, 20.0, 40.0, 60.0]
PLAIN = {'type': 'DINO', 'bbox_head.type': 'DINOHead'}  # mmdet's own


def total(losses):
    return sum(loss.float().sum() for loss in losses.values())


def both(build, losses, images):
    """The losses of ours and of mmdet's detector, with the same weights."""
    ours, plain = build(), build(**PLAIN)
    plain.load_state_dict(ours.state_dict())
    return losses(ours, images), losses(plain, images)


def gradients(model):
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    'boxes',
    [
        ([], []),
        ([], [INSIDE]),
        ([[-30.0, -20.0, 40.0, 50.0]], [[80.0, 70.0, 130.0, 120.0]]),
        ([[200.0, 300.0, 250.0, 400.0]], [[-90.0, -80.0, -10.0, -20.0]]),
        ([[10.0, 10.0, 10.0, 10.0]], [[0.0, 0.0, 96.0, 96.0]]),
    ],
    ids=['no boxes', 'no boxes in one image', 'partly outside', 'wholly outside', 'empty box'],
)
def test_losses_and_gradients_are_finite(build, batch, losses, boxes):
    model = build()
    found = losses(model, batch(*boxes))
    total(found).backward()
    assert all(value.isfinite().all() for value in found.values()), found
    assert all(grad.isfinite().all() for grad in gradients(model).values())
    assert model.backbone.patch_embed.projection.weight.grad.abs().sum() > 0


def test_image_with_300_boxes_trains(build, batch, losses, scattered):
    model = build()
    found = losses(model, batch(scattered(300), [INSIDE]))
    total(found).backward()
    assert all(value.isfinite().all() for value in found.values()), found
    assert all(grad.isfinite().all() for grad in gradients(model).values())


def test_an_image_may_have_fewer_tokens_than_queries(build, batch, losses):
    model = build(num_queries=300)  # 12 x 12 patches and a quarter of them
    found = losses(model, batch([INSIDE], []))
    total(found).backward()
    assert all(value.isfinite().all() for value in found.values()), found
    assert all(grad.isfinite().all() for grad in gradients(model).values())
    with torch.no_grad():
        predictions = model.eval().predict(*batch([INSIDE]), rescale=False)
    assert len(predictions[0].pred_instances) > 0


@pytest.mark.parametrize('count', [1, 7, 30, 31, 300, 5000])
def test_denoising_queries_are_capped(build, batch, scattered, count):
    generator = build().dn_query_generator
    limit = 2 * generator.num_dn_queries
    labels, boxes, mask, meta = generator(batch(scattered(count), [INSIDE])[1])
    assert labels.shape[:2] == boxes.shape[:2] == (2, meta['num_denoising_queries'])
    assert limit // 2 < meta['num_denoising_queries'] <= limit
    assert len(mask) == meta['num_denoising_queries'] + 10


def test_denoising_queries_of_mmdet_grow_with_the_crowd(build, batch, scattered):
    """What the cap is for; if this fails, mmdet has a cap of its own."""
    generator = build(**PLAIN).dn_query_generator
    *_, meta = generator(batch(scattered(5000))[1])
    assert meta['num_denoising_queries'] == 10000


def test_drawn_objects_are_the_targets_of_denoising_and_change(build, batch, scattered):
    generator = build().dn_query_generator
    generator.box_noise_scale = 1e-6
    _, samples = batch(scattered(100))
    drawn = []
    for _ in range(2):
        _, boxes, _, meta = generator(samples)
        (instances,) = meta['instances']
        assert len(instances) == 30
        corners = instances.bboxes / 96
        expected = torch.cat(
            ((corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]), dim=1
        )
        torch.testing.assert_close(boxes[0, :30].sigmoid(), expected, rtol=0, atol=1e-4)
        drawn.append(instances.bboxes)
    assert not torch.equal(*drawn)


def test_equals_mmdet_where_no_image_is_crowded(build, batch, losses, scattered):
    images = batch(scattered(30), [INSIDE])
    ours, plain = both(build, losses, images)
    assert ours.keys() == plain.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], plain[name], rtol=0, atol=0)


def test_matching_part_learns_all_objects_of_a_crowd(build, batch, losses, scattered):
    ours, plain = both(build, losses, batch(scattered(300)))
    for name in ('enc_loss_cls', 'enc_loss_bbox', 'enc_loss_iou'):
        torch.testing.assert_close(ours[name], plain[name], rtol=0, atol=0)


def test_losses_under_autocast_are_close_to_those_of_float32(build, batch, losses, scattered):
    images = batch(scattered(20), [INSIDE])
    model = build()
    expected = total(losses(model, images))
    with torch.autocast('cpu', torch.bfloat16):
        found = losses(model, images)
    total(found).backward()
    assert all(value.isfinite().all() for value in found.values())
    assert all(grad.isfinite().all() for grad in gradients(model).values())
    torch.testing.assert_close(total(found), expected, rtol=0.01, atol=0)


def test_deformable_attention_stays_in_float32_under_autocast(build, batch):
    model = build()
    dtypes = []
    for module in model.modules():
        if isinstance(module, MultiScaleDeformableAttention):
            for projection in (module.value_proj, module.sampling_offsets, module.output_proj):
                projection.register_forward_hook(lambda m, x, y: dtypes.append(y.dtype))
        if type(module).__name__ == 'FFN':
            module.layers[0][0].register_forward_hook(lambda m, x, y: others.append(y.dtype))
    others = []
    with torch.autocast('cpu', torch.bfloat16):
        model.loss(*batch([INSIDE]))
    assert set(dtypes) == {torch.float32}
    assert len(dtypes) == 9  # three attentions
    assert set(others) == {torch.bfloat16}


@pytest.mark.parametrize('part', ['backbone.with_cp', 'with_cp'])
def test_activation_checkpointing_changes_nothing(build, batch, losses, part):
    images = batch([INSIDE], [])
    results = []
    for is_on in (False, True):
        model = build(**{part: is_on})
        loss = total(losses(model, images))
        loss.backward()
        results.append((loss, gradients(model)))
    torch.testing.assert_close(results[1], results[0], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize('part', ['backbone.with_cp', 'with_cp'])
def test_activation_checkpointing_keeps_less_for_the_backward(build, batch, losses, part):
    images = batch([INSIDE])
    kept = []
    for is_on in (False, True):
        model, sizes = build(**{part: is_on}), []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes=sizes: sizes.append(x.numel()) or x, lambda x: x
        ):
            losses(model, images)
        kept.append(sum(sizes))
    assert kept[1] < kept[0]


def test_no_config_asks_for_the_checkpointing_that_needs_fairscale():
    for path in sorted(CONFIGS.glob('*/dino*.py')):
        encoder = Config.fromfile(path).model.encoder
        assert encoder.get('num_cp', -1) <= 0, path


def test_fairscale_is_not_imported(build, batch, losses, monkeypatch):
    monkeypatch.setitem(sys.modules, 'fairscale', None)  # an import of it would fail
    model = build(**{'with_cp': True, 'backbone.with_cp': True})
    total(losses(model, batch([INSIDE]))).backward()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'bbox_head.type': 'DINOHead'}, 'bbox_head: expected a DefocusDINOHead, got DINOHead'),
        (
            {'dn_cfg.group_cfg': {'dynamic': False, 'num_groups': 5}},
            r'dn_cfg\.group_cfg: expected dynamic=True',
        ),
    ],
)
def test_bad_arguments_are_named(build, changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)
