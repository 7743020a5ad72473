_base_ = './retnet_cifar10.py'

model = dict(backbone=dict(decay='learnable', rope='learnable'))
