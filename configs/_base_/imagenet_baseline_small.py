# A Mamba baseline of Table 1 as large as Vision Mamba-S. A model adds its type.
_base_ = './imagenet_baseline.py'

model = dict(
    backbone=dict(
        arch=dict(embed_dims=384, depth=24, intermediate_size=768, time_step_rank=24),
        rope='none',
    ),
    head=dict(in_channels=384),
)
