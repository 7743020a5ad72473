# Adventurer-Base (arXiv 2410.07599, 99M parameters) with the recipe of the causal baselines. It is
# not in Table 1.
_base_ = '../_base_/imagenet_baseline.py'

model = dict(backbone=dict(type='Adventurer', arch='base', rope='none'), head=dict(in_channels=768))
