# ImageNet-1K at 224 x 224 with the augmentation of Table 5; batches of 128 an accelerator.
_base_ = ['./imagenet_1k.py', '../loaders.py']

dataset = dict(type='ImageNet', data_root='data/imagenet')
data_preprocessor = dict(
    num_classes=1000,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

bgr_mean = data_preprocessor['mean'][::-1]
bgr_std = data_preprocessor['std'][::-1]

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    # In the released code timm takes both settings, but applies RandAugment alone.
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4),
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[round(x) for x in bgr_mean], interpolation='bicubic'),
    ),
    dict(
        type='RandomErasing',
        erase_prob=0.25,
        mode='rand',
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=bgr_mean,
        fill_std=bgr_std,
    ),
    dict(type='PackInputs'),
]

crop_pipeline = [
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
val_pipeline = [dict(type='LoadImage'), *crop_pipeline]
# The inferencers look for mmcv's loader by its name in the test pipeline.
test_pipeline = [dict(type='LoadImageFromFile'), *crop_pipeline]

train_dataloader = dict(
    _base_.train_loader,
    batch_size=128,
    sampler=dict(type='RepeatAugSampler', shuffle=True),
    dataset=dict(dataset, split='train', pipeline=train_pipeline),
)

val_dataloader = dict(
    _base_.eval_loader,
    batch_size=128,
    dataset=dict(dataset, split='val', pipeline=val_pipeline),
)
val_evaluator = dict(type='Accuracy', topk=(1, 5))

test_dataloader = dict(val_dataloader, dataset=dict(dataset, split='val', pipeline=test_pipeline))
test_evaluator = val_evaluator
