_base_ = './defocus-vit-base_8xb128_in1k.py'

model = dict(backbone=dict(causal=False))
