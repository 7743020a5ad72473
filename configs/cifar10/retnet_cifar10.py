# Without decay and rotary embedding: linear attention.
_base_ = './mamba_cifar10.py'

model = dict(
    backbone=dict(
        type='DefocusRetNet',
        arch=dict(
            _delete_=True,
            embed_dims=96,
            depth=6,
            num_heads=3,
            value_channels=192,
            feedforward_channels=232,
        ),
        decay='none',
    ),
    head=dict(in_channels=96),
)
