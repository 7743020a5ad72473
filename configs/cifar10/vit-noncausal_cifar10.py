_base_ = './vit-causal_cifar10.py'

model = dict(backbone=dict(causal=False))
