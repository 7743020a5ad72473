_base_ = './mamba_cifar10.py'

model = dict(
    backbone=dict(
        type='DefocusViT',
        arch=dict(_delete_=True, embed_dims=96, depth=6, num_heads=3, feedforward_channels=384),
        decay='none',
    ),
    head=dict(in_channels=96),
)
