"""A detector of the smallest sizes, for the tests."""

_base_ = ['../../configs/digits/dino_defocus-mamba-digits.py', './tiny_arch.py']

model = dict(
    type='DefocusDINO',
    backbone=dict(
        arch=_base_.arch,
        init_cfg=None,
    ),
    neck=dict(in_channels=16),
    num_queries=10,
    encoder=dict(num_layers=1),
    decoder=dict(num_layers=2),
    bbox_head=dict(type='DefocusDINOHead'),
    dn_cfg=dict(group_cfg=dict(num_dn_queries=30)),
    test_cfg=dict(max_per_img=10),
)
