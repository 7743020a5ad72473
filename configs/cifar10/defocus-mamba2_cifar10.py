# Mamba-2 with the filter, 0.7M parameters: 4 heads of 64 with 64 states.
_base_ = './defocus-mamba_cifar10.py'

model = dict(
    backbone=dict(
        type='DefocusMamba2',
        arch=dict(_delete_=True, embed_dims=128, depth=6, intermediate_size=256, state_size=64),
    ),
)
