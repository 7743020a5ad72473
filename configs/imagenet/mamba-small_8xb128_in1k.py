# De-focus Mamba without its filter.
_base_ = '../_base_/imagenet_baseline.py'

model = dict(
    backbone=dict(type='DefocusMamba', arch='small', rope='none'), head=dict(in_channels=384)
)
