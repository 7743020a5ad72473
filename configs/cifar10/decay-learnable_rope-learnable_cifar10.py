_base_ = './mamba-rope-aux_cifar10.py'

model = dict(backbone=dict(decay='learnable', rope='learnable'))
