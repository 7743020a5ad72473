_base_ = './defocus_mamba_base.py'

model = dict(backbone=dict(type='DefocusViT'))
