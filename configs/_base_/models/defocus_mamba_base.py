_base_ = './defocus_mamba_small.py'

model = dict(backbone=dict(arch='base'), head=dict(in_channels=768))
