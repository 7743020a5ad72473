_base_ = '../default_runtime.py'

default_scope = 'mmpretrain'

optim_wrapper = dict(
    type='BFloat16OptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1, betas=(0.9, 0.98), fused=True),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=1, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=6, val_interval=6)
val_cfg = {}
test_cfg = {}

default_hooks = dict(
    logger=dict(interval=120),
    checkpoint=dict(interval=2, max_keep_ckpts=1, save_best=None),
)
custom_hooks = [*_base_.custom_hooks, dict(type='ZeroShotHook'), dict(type='SampleOrderHook')]
