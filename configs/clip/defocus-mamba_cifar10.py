"""CLIP on CIFAR-10: the captions are templates with the names of the classes."""

_base_ = [
    '../_base_/models/clip_mini.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/clip_mini.py',
]

work_dir = 'work_dirs/clip/cifar10'

img_size = 32
max_epochs = 2
templates = ('a photo of a {}', 'a blurry photo of a {}', 'a small picture of the {}', 'the {}')

model = dict(
    vision_backbone=dict(
        arch=dict(embed_dims=96, depth=3, intermediate_size=192, time_step_rank=6),
        img_size=img_size,
        patch_size=4,
    )
)

train_pipeline = [
    dict(type='RandomCrop', crop_size=img_size, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='CaptionFromLabel', classes=_base_.classes, templates=templates),
    dict(type='TokenizeCaption', context_length=_base_.context_length),
    dict(type='PackPair', with_sample=False),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeToSquare', size=img_size),
    dict(type='PackPair'),
]
train_dataloader = dict(
    _base_.pairs_train_loader,
    batch_size=100,
    num_workers=1,
    dataset=dict(_base_.train_images, type='DecodedFolders', pipeline=train_pipeline),
)
val_dataloader = dict(
    _base_.test_loader,
    dataset=dict(_base_.test_images, type='FoldersByName', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type='ZeroShotAccuracy', classes=_base_.classes, templates=templates)]
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
