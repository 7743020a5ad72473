"""CLIP on CIFAR-10: the captions are templates with the names of the classes."""

_base_ = './defocus-mamba-digits.py'

data_preparation = (
    'Put CIFAR-10 under data/cifar10 as train/<class>/*.jpg and test/<class>/*.jpg; docs/data.md '
    'says how.'
)
work_dir = 'work_dirs/clip/cifar10'

img_size = 32
context_length = 16
max_epochs = 2
classes = (
    *('airplane', 'automobile', 'bird', 'cat', 'deer'),
    *('dog', 'frog', 'horse', 'ship', 'truck'),
)
templates = ('a photo of a {}', 'a blurry photo of a {}', 'a small picture of the {}', 'the {}')

model = dict(
    vision_backbone=dict(
        arch=dict(embed_dims=96, depth=3, intermediate_size=192, time_step_rank=6),
        img_size=img_size,
        patch_size=4,
    )
)

train_dataloader = dict(
    batch_size=100,
    dataset=dict(
        _delete_=True,
        type='DecodedFolders',
        data_root='data/cifar10/train',
        classes=classes,
        pipeline=[
            dict(type='RandomCrop', crop_size=img_size, padding=4),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='CaptionFromLabel', classes=classes, templates=templates),
            dict(type='TokenizeCaption', context_length=context_length),
            dict(type='PackPair', with_sample=False),
        ],
    ),
)
val_dataloader = dict(
    batch_size=250,
    dataset=dict(
        _delete_=True,
        type='FoldersByName',
        data_root='data/cifar10/test',
        classes=classes,
        pipeline=[
            dict(type='LoadImage'),
            dict(type='ResizeToSquare', size=img_size),
            dict(type='PackPair'),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type='ZeroShotAccuracy', classes=classes, templates=templates)]
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
