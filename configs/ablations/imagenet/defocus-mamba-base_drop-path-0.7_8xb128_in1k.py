_base_ = './defocus-mamba-base_ablation_8xb128_in1k.py'

model = dict(backbone=dict(drop_path_rate=0.7))
