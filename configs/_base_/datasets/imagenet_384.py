# ImageNet-1K at 384 x 384; batches of 32 an accelerator. Table 8 lists no augmentation of single
# images, so that there is a crop and a flip only.
_base_ = './imagenet_224.py'

load, crop, flip, *_, pack = _base_.train_pipeline
train_pipeline = [load, dict(crop, scale=384), flip, pack]
# The crop takes the same share of the image as at 224.
resize, crop, pack = _base_.crop_pipeline
crop_pipeline = [dict(resize, scale=438), dict(crop, crop_size=384), pack]
val_pipeline = [_base_.val_pipeline[0], *crop_pipeline]
test_pipeline = [_base_.test_pipeline[0], *crop_pipeline]

train_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler'),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
