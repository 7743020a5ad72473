# A control: gated convolution alone (MambaOut, arXiv 2405.07992), wider for as many parameters. Its
# CLS token would see 18 patches, so that the average of all is classified.
_base_ = './loss-average_cifar10.py'

model = dict(
    backbone=dict(arch=dict(embed_dims=144, state_size=0), decay='none', rope='none'),
    head=dict(in_channels=144),
)
