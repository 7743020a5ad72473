# CIFAR-10 for classifiers, decoded once; batches of 128. A crop of padded images and a flip are
# usual here; RandAugment and erasing of Table 5 need more epochs than the mini recipe has.
_base_ = './cifar10.py'

data_preprocessor = dict(
    num_classes=10, mean=[125.31, 122.95, 113.87], std=[62.99, 62.09, 66.70], to_rgb=True
)

train_pipeline = [
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
val_pipeline = [dict(type='PackInputs')]
# The inferencers look for mmcv's loader by its name.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(32, 32)),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    _base_.mini_train_loader,
    batch_size=128,
    dataset=dict(_base_.train_images, type='DecodedFolders', pipeline=train_pipeline),
)
val_dataloader = dict(
    _base_.test_loader,
    dataset=dict(_base_.test_images, type='DecodedFolders', pipeline=val_pipeline),
)
val_evaluator = dict(type='Accuracy', topk=(1,))
test_dataloader = dict(
    val_dataloader,
    dataset=dict(_base_.test_images, type='FoldersByName', pipeline=test_pipeline),
)
test_evaluator = val_evaluator
