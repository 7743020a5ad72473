_base_ = './defocus-mamba-digits_ablation.py'

model = dict(backbone=dict(decay='none', rope='none'))
