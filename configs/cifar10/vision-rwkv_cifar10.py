# Bidirectional WKV and no CLS token: the average of the tokens is classified.
_base_ = './mamba_cifar10.py'

model = dict(
    backbone=dict(
        type='VisionRWKV',
        arch=dict(_delete_=True, embed_dims=96, depth=6, feedforward_channels=384),
        rope='none',
    ),
    head=dict(in_channels=96),
)
