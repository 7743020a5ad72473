# After Vision Mamba-S of Table 1 (26M parameters), with the recipe of the causal baselines.
_base_ = '../_base_/imagenet_baseline_small.py'

model = dict(backbone=dict(type='BidirectionalMamba'))
