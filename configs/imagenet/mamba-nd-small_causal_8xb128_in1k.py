# After the causal Mamba-ND-Small of Table 1 (24M parameters, 76.4): row by row in every layer, and
# the average of the tokens is classified.
_base_ = '../_base_/imagenet_baseline.py'

model = dict(
    backbone=dict(
        rope='none',
        type='DefocusMamba',
        arch=dict(embed_dims=384, depth=24, intermediate_size=768, time_step_rank=24),
    ),
    head=dict(
        type='AverageClsHead',
        loss={{_base_.model.head.loss}},
        num_classes=1000,
        in_channels=384,
        _delete_=True,
    ),
)
