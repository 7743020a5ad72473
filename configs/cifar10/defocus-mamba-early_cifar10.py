# De-focus Mamba for answers at any time: the loss of CLS after every row of patches, averaged.
_base_ = './defocus-mamba_cifar10.py'

model = dict(backbone=dict(out_type='cls_per_strip'), head=dict(early_every=1))
