"""The hooks whose numbers change linearly, on a runner's counters and a model's modules."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mmpretrain.structures import DataSample
from torch import nn
from torch._dynamo.testing import CompileCounter

from mmdefocus.engine.hooks import AuxHeadHook, DropPathScheduleHook
from mmdefocus.models import DefocusClsHead, DefocusMamba

ARCH = {
    'embed_dims': 8,
    'depth': 3,
    'intermediate_size': 16,
    'state_size': 2,
    'time_step_rank': 2,
    'group_norm_size': 8,
}


class Wrapper(nn.Module):
    """Holds a model as DistributedDataParallel and FSDP do."""

    def __init__(self, module):
        super().__init__()
        self.module = module


@pytest.fixture
def runner():
    model = nn.Module()
    model.backbone = DefocusMamba(ARCH, img_size=16, patch_size=8)
    model.head = DefocusClsHead(3, 8)
    hub = MessageHub.get_instance('test_linear_hooks')
    return SimpleNamespace(
        model=Wrapper(model),
        message_hub=hub,
        train_loop=EpochBasedTrainLoop.__new__(EpochBasedTrainLoop),
        epoch=0,
        iter=0,
        max_epochs=7,
        max_iters=13,
        logger=SimpleNamespace(info=lambda message: None),
    )


def rates(runner):
    return [block.drop_path.rate for block in runner.model.module.backbone.blocks]


def test_the_rate_rises_from_the_first_epoch_to_the_last(runner):
    hook = DropPathScheduleHook(0.1, 0.7)
    seen = []
    for runner.epoch in range(7):
        hook.before_train_epoch(runner)
        seen.append(rates(runner)[-1])
        assert runner.message_hub.get_scalar('train/drop_path_rate').current() == seen[-1]
    torch.testing.assert_close(seen, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


def test_the_rate_may_rise_by_iteration(runner):
    hook = DropPathScheduleHook(0.0, 0.6, by_epoch=False)
    seen = []
    for runner.iter in (0, 6, 12):
        hook.before_train_epoch(runner)
        hook.before_train_iter(runner, batch_idx=0)
        seen.append(rates(runner)[-1])
    torch.testing.assert_close(seen, [0.0, 0.3, 0.6])


@pytest.fixture
def by_iteration(runner):
    """The runner of an iteration-based loop, which has one epoch for its hooks."""
    runner.train_loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    runner.max_epochs = 1
    return runner


def test_an_iteration_loop_raises_the_rate_by_iteration(by_iteration):
    hook = DropPathScheduleHook(0.0, 0.6)
    hook.before_train(by_iteration)
    hook.before_train_epoch(by_iteration)
    seen = []
    for by_iteration.iter in (0, 6, 12):
        hook.before_train_iter(by_iteration, batch_idx=0)
        seen.append(rates(by_iteration)[-1])
    torch.testing.assert_close(seen, [0.0, 0.3, 0.6])


def test_an_iteration_loop_changes_the_auxiliary_weight_by_iteration(by_iteration):
    hook = AuxHeadHook(start=1.0, end=0.4)
    hook.before_train_epoch(by_iteration)
    seen = []
    for by_iteration.iter in (0, 6, 12):
        hook.before_train_iter(by_iteration, batch_idx=0)
        seen.append(by_iteration.model.module.head.aux_loss_weight)
    torch.testing.assert_close(seen, [1.0, 0.7, 0.4])


def test_the_weight_of_the_head_is_scaled_and_not_replaced(runner):
    runner.model.module.head = head = DefocusClsHead(3, 8, aux_loss_weight=0.5)
    hook = AuxHeadHook(start=1.0, end=0.4)
    seen = []
    for runner.epoch in (0, 3, 6):
        hook.before_train_epoch(runner)
        seen.append(head.aux_loss_weight)
        assert runner.message_hub.get_scalar('train/aux_weight').current() == seen[-1]
    torch.testing.assert_close(seen, [0.5, 0.35, 0.2])


def test_schedules_from_0_on_compile_once(runner):
    torch.compiler.reset()
    model, counter = runner.model.module, CompileCounter()
    hooks = DropPathScheduleHook(0.0, 0.6), AuxHeadHook(start=1.0, end=0.4)
    for hook in hooks:
        hook.before_train(runner)
    layer, head = model.backbone.blocks[-1].drop_path, model.head

    def loss(tokens, targets):
        feats = ((layer(tokens[:, -1]), layer(tokens)),)
        return sum(head.loss(feats, targets).values())

    compiled = torch.compile(loss, backend=counter)
    targets = [DataSample().set_gt_label(label) for label in (0, 1, 2, 0)]
    runner.max_epochs = 12
    counts = []
    for runner.epoch in range(12):
        for hook in hooks:
            hook.before_train_epoch(runner)
        compiled(torch.ones(4, 5, 8), targets)
        counts.append(counter.frame_count)
    assert counts == [counts[0]] * 12


def test_the_rate_depends_on_the_counters_alone(runner):
    runner.epoch = 5
    hook = DropPathScheduleHook(0.1, 0.7)
    hook.before_train_epoch(runner)
    resumed = rates(runner)
    runner.epoch = 2
    hook.before_train_epoch(runner)
    runner.epoch = 5
    hook.before_train_epoch(runner)
    assert rates(runner) == resumed


def test_a_model_without_drop_path_is_an_error(runner):
    runner.model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match='no module of the model has set_drop_path_rate'):
        DropPathScheduleHook().before_train(runner)


@pytest.mark.parametrize(('name', 'value'), [('start', -0.1), ('end', 1.0)])
def test_rates_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f'{name} must be a rate'):
        DropPathScheduleHook(**{name: value})


def test_the_auxiliary_weight_is_scheduled(runner):
    hook = AuxHeadHook(start=1.0, end=0.4)
    seen = []
    for runner.epoch in (0, 3, 6):
        hook.before_train_epoch(runner)
        seen.append(runner.model.module.head.aux_loss_weight)
    torch.testing.assert_close(seen, [1.0, 0.7, 0.4])


def test_validation_counts_both_classifiers(runner):
    hook = AuxHeadHook()
    hook.before_val_epoch(runner)
    outputs = []
    for truth, cls, aux in [(0, 0, 1), (1, 1, 1), (2, 2, 0), (0, 1, 2)]:
        sample = DataSample().set_gt_label(truth).set_pred_label(cls)
        sample.set_field(torch.tensor(aux), 'aux_pred_label')
        outputs.append(sample)
    hook.after_val_iter(runner, 0, outputs=outputs)
    hook.after_val_epoch(runner)
    assert runner.message_hub.get_scalar('val/accuracy/cls_top1').current() == 75.0
    assert runner.message_hub.get_scalar('val/accuracy/aux_top1').current() == 25.0


def test_a_model_without_auxiliary_classifier_is_an_error(runner):
    runner.model.module.head = DefocusClsHead(3, 8, aux_loss_weight=0)
    with pytest.raises(ValueError, match='no auxiliary classifier'):
        AuxHeadHook().before_train(runner)


def test_published_weights_hold_no_optimizer_and_no_auxiliary_classifier(runner, tmp_path):
    model = runner.model.module
    state = {'meta': {'epoch': 3}, 'state_dict': model.state_dict(), 'optimizer': {'lr': 1}}
    torch.save(state, tmp_path / 'epoch_3.pth')
    runner.work_dir = str(tmp_path)
    runner.message_hub.update_info('last_ckpt', str(tmp_path / 'epoch_3.pth'))
    AuxHeadHook().after_train(runner)
    published = torch.load(tmp_path / 'inference.pth', weights_only=True)
    assert published.keys() == {'meta', 'state_dict'}
    expected = {k for k in model.state_dict() if not k.startswith('head.aux_fc')}
    assert published['state_dict'].keys() == expected
    assert sorted(p.name for p in tmp_path.iterdir()) == ['epoch_3.pth', 'inference.pth']
