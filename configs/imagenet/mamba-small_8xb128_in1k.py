# De-focus Mamba without its filter.
_base_ = [
    '../_base_/models/causal_baseline.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_300e_baseline.py',
]

model = dict(
    backbone=dict(type='DefocusMamba', arch='small', rope='none'), head=dict(in_channels=384)
)
