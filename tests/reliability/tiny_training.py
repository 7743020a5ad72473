"""A training of 20 steps on 12 images: a base for the configs of `kills.py`."""

_base_ = '../data/tiny_arch.py'
custom_imports = dict(
    imports=['mmdefocus.models', 'mmdefocus.engine', 'mmdefocus.datasets'],
    allow_failed_imports=False,
)
default_scope = 'mmpretrain'
randomness = dict(seed=0)
env_cfg = dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(timeout=60))

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(num_classes=2, mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True),
    backbone=dict(
        type='DefocusMamba',
        arch=_base_.arch,
        img_size=16,
        patch_size=8,
        drop_path_rate=0.3,
        out_type='cls_and_tokens',
    ),
    head=dict(type='DefocusClsHead', num_classes=2, in_channels=16),
)
train_dataloader = dict(
    batch_size=3,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset',
        data_root='data',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='ColorJitter', brightness=0.5),
            dict(type='PackInputs'),
        ],
    ),
)
train_cfg = dict(by_epoch=True, max_epochs=5)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.1),
)
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', interval=3, by_epoch=False, max_keep_ckpts=2),
)
custom_hooks = [
    dict(type='NonFiniteLossHook'),
    dict(type='DropPathScheduleHook', start=0.1, end=0.5, by_epoch=False),
]
