_base_ = './mamba_small.py'

model = dict(backbone=dict(type='DefocusViT', decay='none'))
