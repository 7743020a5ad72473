_base_ = './mamba-rope-aux_cifar10.py'

custom_hooks = [
    *_base_.custom_hooks,
    dict(type='DropPathScheduleHook', start=0.1, end=0.7, by_epoch=False),
]
