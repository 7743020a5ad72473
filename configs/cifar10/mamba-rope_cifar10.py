_base_ = './mamba_cifar10.py'

model = dict(backbone=dict(rope='learnable'))
