# LAION-400M as img2dataset writes it, 41,408 shards; zero-shot accuracy on ImageNet-1K.
_base_ = '../loaders.py'

data_preparation = 'see configs/clip/README.md'
img_size = 224

data_preprocessor = dict(
    type='mmengine.ImgDataPreprocessor',
    mean=[122.7709, 116.7460, 104.0937],  # those of OpenAI's CLIP
    std=[68.5005, 66.6322, 70.3232],
    bgr_to_rgb=True,
)

train_pipeline = [
    dict(type='DecodeImage'),
    # not in the paper: the one augmentation of open_clip
    dict(
        type='RandomResizedCrop',
        scale=img_size,
        crop_ratio_range=(0.9, 1.0),
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='TokenizeCaption'),
    dict(type='PackPair', with_sample=False),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='ResizeEdge',
        scale=img_size,
        edge='short',
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='CenterCrop', crop_size=img_size),
    dict(type='PackPair'),
]

train_dataloader = dict(
    _base_.pairs_train_loader,
    batch_size=512,
    pin_memory=True,
    drop_last=True,
    # a stream for each of the 64 devices; see "LAION-400M" in docs/data.md
    sampler=dict(_delete_=True, type='ShardSampler', streams=64),
    dataset=dict(
        type='ImageTextShards',
        data_root='data/laion400m',
        shards='{00000..41407}.tar',
        max_broken=1_000_000,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    _base_.eval_loader,
    batch_size=128,
    dataset=dict(type='ImageNet', data_root='data/imagenet', split='val', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='ZeroShotAccuracy', classes='imagenet', templates='imagenet', topk=(1, 5))
]
test_evaluator = val_evaluator
