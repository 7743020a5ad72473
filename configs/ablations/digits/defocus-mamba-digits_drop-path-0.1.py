_base_ = './defocus-mamba-digits_ablation.py'

model = dict(backbone=dict(drop_path_rate=0.1))
