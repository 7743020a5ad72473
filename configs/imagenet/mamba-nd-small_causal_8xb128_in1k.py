# After the causal Mamba-ND-Small of Table 1 (24M parameters, 76.4): row by row in every layer, and
# the average of the tokens is classified.
_base_ = '../_base_/imagenet_baseline_small.py'

model = dict(
    backbone=dict(type='DefocusMamba'),
    head=dict(
        _delete_=True,
        type='AverageClsHead',
        num_classes=1000,
        in_channels=384,
        loss={{_base_.model.head.loss}},
    ),
)
