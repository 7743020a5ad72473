# Narrower than the causal Mamba, so that both have 0.7M parameters.
_base_ = './mamba_cifar10.py'

model = dict(
    backbone=dict(type='BidirectionalMamba', arch=dict(embed_dims=112)),
    head=dict(in_channels=112),
)
