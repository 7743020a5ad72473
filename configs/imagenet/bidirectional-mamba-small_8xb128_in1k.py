# After Vision Mamba-S of Table 1 (26M parameters), with the recipe of the causal baselines.
_base_ = '../_base_/imagenet_baseline.py'

model = dict(
    backbone=dict(
        type='BidirectionalMamba',
        arch=dict(embed_dims=384, depth=24, intermediate_size=768, time_step_rank=24),
        rope='none',
    ),
    head=dict(in_channels=384),
)
