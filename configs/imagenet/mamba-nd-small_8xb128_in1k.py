# After Mamba-ND-Small of Table 1 (24M parameters, 79.4), with the recipe of the causal baselines.
_base_ = '../_base_/imagenet_baseline.py'

model = dict(backbone=dict(type='MambaND', arch='small', rope='none'), head=dict(in_channels=384))
