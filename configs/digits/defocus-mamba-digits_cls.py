"""Pre-training of the miniature: a tiny DefocusMamba on the 1,400 scans of handwritten digits."""

_base_ = '../_base_/default_runtime.py'

default_scope = 'mmpretrain'
data_preparation = 'python tools/dataset_converters/digits.py'
work_dir = 'work_dirs/demo/classifier'

img_size = 32
max_epochs = 24
classes = tuple('0123456789')  # the folders of the images

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(num_classes=10, mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True),
    backbone=dict(
        type='DefocusMamba',
        arch=dict(embed_dims=128, depth=4, intermediate_size=256, time_step_rank=8),
        img_size=img_size,
        patch_size=8,
        out_type='cls_and_tokens',
    ),
    head=dict(type='DefocusClsHead', num_classes=10, in_channels=128),
)

# The scans are varied in size, place, colour and ground, as in the scenes of the detector.
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomResize', scale=(img_size, img_size), ratio_range=(0.7, 1.0)),
    dict(type='RandomCrop', crop_size=img_size, padding=3, pad_if_needed=True),
    dict(type='WriteOnClutter', prob=0.5),
    dict(type='PackInputs'),
]
# mmpretrain's ImageClassificationInferencer looks for `LoadImageFromFile` by its name.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(img_size, img_size)),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    batch_size=25,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='FoldersByName',
        classes=classes,
        data_root='data/digits/classification/train',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='FoldersByName',
        classes=classes,
        data_root='data/digits/classification/val',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=2, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=12)
val_cfg = {}
test_cfg = {}

default_hooks = dict(
    logger=dict(interval=56),
    checkpoint=dict(interval=12, max_keep_ckpts=2, save_best=None),
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='DropPathScheduleHook', start=0.0, end=0.1),
    dict(type='AuxHeadHook'),
]
