# The non-causal baseline of Table 1: mmpretrain's DeiT, with what Table 5 has and its small
# configuration lacks (averaged weights, repeated augmentation, drop path, colour jitter).
_base_ = [
    'mmpretrain::deit/deit-small_4xb256_in1k.py',
    '../_base_/datasets/imagenet_1k.py',
    '../_base_/imports.py',
]

model = dict(backbone=dict(drop_path_rate=0.1))

colour_jitter = dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4)
train_dataloader = dict(
    batch_size=128,
    sampler=dict(type='RepeatAugSampler', shuffle=True),
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            *_base_.train_pipeline[1:3],
            colour_jitter,
            *_base_.train_pipeline[3:],
        ]
    ),
)

# The gradient norm is bounded as for the De-focus models.
optim_wrapper = dict(
    type='BFloat16OptimWrapper', optimizer=dict(fused=True), clip_grad=dict(max_norm=20.0)
)
# mmpretrain's last rate is one number for all groups, whatever their `lr_mult`.
cosine = dict(
    type='CosineAnnealingLR',
    eta_min_ratio=1e-2,
    by_epoch=True,
    begin=20,
    convert_to_iter_based=True,
)
param_scheduler = [_base_.param_scheduler[0], cosine]
custom_hooks = [
    dict(type='NonFiniteLossHook'),
    dict(type='EpochSeedHook'),
    dict(type='EMAHook', momentum=1e-4, priority='ABOVE_NORMAL'),
]
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3, save_best='accuracy/top1'),
)
randomness = dict(seed=0)
