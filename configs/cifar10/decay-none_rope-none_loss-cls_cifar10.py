# Neither filter nor auxiliary loss: what the loss alone does, decay-none_rope-none tells beside it.
_base_ = './mamba_cifar10.py'

model = dict(backbone=dict(decay='none'))
