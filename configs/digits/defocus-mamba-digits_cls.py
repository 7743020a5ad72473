"""Pre-training of the miniature: a tiny DefocusMamba on the 1,400 scans of handwritten digits."""

_base_ = '../_base_/digits_classifier.py'

work_dir = 'work_dirs/demo/classifier'

img_size = 32
max_epochs = 24

model = dict(backbone=dict(img_size=img_size, patch_size=8))

# The scans are varied in size, tilt, place, colour and ground, as in the scenes of the detector.
# Those to validate fill their image, so some are larger here.
tilt = dict(
    type='Rotate',
    magnitude_range=(0, 12),  # degrees, either way
    magnitude_std='inf',
    pad_val=0,
    prob=1.0,
    interpolation='bilinear',
)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomResize', scale=(img_size, img_size), ratio_range=(0.8, 1.1)),
    tilt,
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
    num_workers=1,
    dataset=dict(
        type='FoldersByName',
        classes=_base_.classes,
        data_root='data/digits/classification/train',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='FoldersByName',
        classes=_base_.classes,
        data_root='data/digits/classification/val',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=2, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=12)

default_hooks = dict(
    logger=dict(interval=56),
    checkpoint=dict(interval=12, max_keep_ckpts=2, save_best=None),
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='DropPathScheduleHook', start=0.0, end=0.1),
    dict(type='AuxHeadHook'),
]
