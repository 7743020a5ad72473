# Patches headed by their average and read to and fro; half as many layers, each with a network.
_base_ = './mamba_cifar10.py'

model = dict(
    backbone=dict(
        type='Adventurer',
        arch=dict(
            _delete_=True, embed_dims=128, depth=3, intermediate_size=256, feedforward_channels=320
        ),
    ),
)
