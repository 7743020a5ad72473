# For a GPU: 3.0M parameters, 100 epochs, workers that load, the mixtures of Table 5 in every batch.
_base_ = './mamba-rope-aux_cifar10.py'

model = dict(
    backbone=dict(arch=dict(embed_dims=192, depth=12, intermediate_size=384, time_step_rank=12)),
    head=dict(in_channels=192),
    train_cfg=dict(probs=[0.5, 0.5]),
)
train_dataloader = dict(batch_size=256, num_workers=8)
val_dataloader = dict(num_workers=2)

param_scheduler = [
    dict(_base_.param_scheduler[0], end=5),
    dict(_base_.param_scheduler[1], begin=5),
]
train_cfg = dict(max_epochs=100)
custom_hooks = [
    *(hook for hook in _base_.custom_hooks if hook['type'] != 'EMAHook'),
    dict(type='EMAHook', momentum=1e-3, priority='ABOVE_NORMAL'),
    dict(type='DropPathScheduleHook', start=0.0, end=0.3),
]
auto_scale_lr = dict(base_batch_size=256)
