# ImageNet-21K at 192 x 192; batches of 128 an accelerator. Table 7 lists no augmentation of single
# images, so that there is a crop and a flip only. There is no validation set.
_base_ = '../loaders.py'

data_preparation = (
    'Put ImageNet-21K under data/imagenet21k as train/<wnid>/*.JPEG; docs/data.md says where to '
    'get ImageNet.'
)

# The paper does not name its number of classes: 21,841 are in the release of fall 2011.
num_classes = 21841
data_preprocessor = dict(
    num_classes=num_classes,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

train_dataloader = dict(
    _base_.train_loader,
    batch_size=128,
    dataset=dict(
        type='ImageNet21k',
        data_root='data/imagenet21k',
        split='train',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='RandomResizedCrop', scale=192, backend='pillow', interpolation='bicubic'),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = None
val_evaluator = None
test_dataloader = None
test_evaluator = None
