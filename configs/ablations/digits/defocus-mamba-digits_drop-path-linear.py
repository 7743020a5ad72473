_base_ = './defocus-mamba-digits_ablation.py'

model = dict(backbone=dict(drop_path_rate=0.0))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='DropPathScheduleHook', start=0.1, end=0.7),
]
