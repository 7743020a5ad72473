# ImageNet-1K at 384 x 384; batches of 32 an accelerator. Table 8 lists no augmentation of single
# images, so that there is a crop and a flip only.
_base_ = './imagenet_224.py'

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomResizedCrop', scale=384, backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
# The crop takes the same share of the image as at 224.
crop_pipeline = [
    dict(type='ResizeEdge', scale=438, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=384),
    dict(type='PackInputs'),
]
val_pipeline = [dict(type='LoadImage'), *crop_pipeline]
test_pipeline = [dict(type='LoadImageFromFile'), *crop_pipeline]

train_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler'),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
