# De-focus ViT without its filter.
_base_ = '../_base_/imagenet_baseline.py'

model = dict(
    backbone=dict(type='DefocusViT', arch='small', decay='none', rope='none'),
    head=dict(in_channels=384),
)
