_base_ = './defocus-mamba-base_ablation_8xb128_in1k.py'

model = dict(backbone=dict(decay='learnable', rope='none'))
