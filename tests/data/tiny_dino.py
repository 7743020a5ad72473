"""A detector of the smallest sizes, for the tests."""

_base_ = '../../configs/digits/dino_defocus-mamba-digits.py'

model = dict(
    type='DefocusDINO',
    backbone=dict(
        arch=dict(
            embed_dims=16,
            depth=2,
            intermediate_size=32,
            state_size=4,
            time_step_rank=2,
            group_norm_size=16,
        ),
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
