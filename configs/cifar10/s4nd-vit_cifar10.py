# Convolutions of state spaces and no CLS token: the average of the tokens is classified. There are
# as many states as an axis has patches.
_base_ = './vision-rwkv_cifar10.py'

model = dict(backbone=dict(type='S4NDViT', arch=dict(state_size=8)))
