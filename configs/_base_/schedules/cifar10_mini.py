# Table 5 of the paper for minutes on one thread: 3 epochs at batch 128. Rate and warm-up follow the
# number of steps; the averages have a memory of 100 of the 1,173 steps.
_base_ = '../default_runtime.py'

default_scope = 'mmpretrain'

optim_wrapper = dict(
    type='BFloat16OptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, betas=(0.9, 0.999), fused=True),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=1e-2,
        by_epoch=True,
        begin=1,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=3, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', momentum=1e-2, priority='ABOVE_NORMAL'),
]
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1, save_best=None))
visualizer = dict(type='UniversalVisualizer')

auto_scale_lr = dict(base_batch_size=128)
