# After S4ND-ViT-Base of Table 1 (88.8M parameters, 80.4), with the recipe of the causal baselines.
_base_ = '../_base_/imagenet_baseline.py'

model = dict(backbone=dict(type='S4NDViT', arch='base'), head=dict(in_channels=768))
