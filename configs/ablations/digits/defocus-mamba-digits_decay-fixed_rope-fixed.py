_base_ = './defocus-mamba-digits_ablation.py'

model = dict(backbone=dict(decay='fixed', rope='fixed'))
