# Eq. 4 as RetNet has it: decay and rotary embedding are there, but fixed.
_base_ = '../_base_/imagenet_baseline.py'

model = dict(
    backbone=dict(type='DefocusRetNet', arch='base', decay='fixed', rope='fixed'),
    head=dict(in_channels=768),
)
