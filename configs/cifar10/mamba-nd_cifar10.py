# Directions that alternate, and no CLS token: the average of the tokens is classified.
_base_ = './mamba_cifar10.py'

model = dict(backbone=dict(type='MambaND'))
