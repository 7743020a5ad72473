# The whole of De-focus for a ViT that is not causal, as in Table 1.
_base_ = './defocus-vit_cifar10.py'

model = dict(backbone=dict(causal=False))
