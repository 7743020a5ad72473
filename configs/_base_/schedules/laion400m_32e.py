# Table 9 of the paper: 32 epochs at batch 32,768, 20,000 iterations of warm-up.
_base_ = '../default_runtime.py'

default_scope = 'mmpretrain'

max_epochs = 32
batch_size = 32_768
warm_up = 20_000
# The cosine ends with the training; give the number of pairs that you have.
num_pairs = 407_332_084

optim_wrapper = dict(
    type='BFloat16OptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.1, betas=(0.9, 0.98), fused=True),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / warm_up, by_epoch=False, end=warm_up),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        by_epoch=False,
        begin=warm_up,
        end=max_epochs * (num_pairs // batch_size),
    ),
]

train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = {}
test_cfg = {}
custom_hooks = [*_base_.custom_hooks, dict(type='ZeroShotHook'), dict(type='SampleOrderHook')]
default_hooks = dict(checkpoint=dict(save_best='zero_shot/top1'))

auto_scale_lr = dict(base_batch_size=batch_size)
