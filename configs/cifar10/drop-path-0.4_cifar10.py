_base_ = './mamba-rope-aux_cifar10.py'

model = dict(backbone=dict(drop_path_rate=0.4))
