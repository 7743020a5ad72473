# After Vision-RWKV-Small of Table 1 (23.8M parameters, 80.1); recipe of the causal baselines.
_base_ = '../_base_/imagenet_baseline.py'

model = dict(backbone=dict(type='VisionRWKV', arch='small'), head=dict(in_channels=384))
