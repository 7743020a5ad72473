# After Vision-RWKV-Base of Table 1 (93.7M parameters, 82.0); recipe of the causal baselines.
_base_ = '../_base_/imagenet_baseline.py'

model = dict(backbone=dict(type='VisionRWKV', arch='base'), head=dict(in_channels=768))
