# The whole of De-focus. 6 blocks and 3 epochs bear less drop path than 24 blocks and 300 epochs.
_base_ = './mamba-rope-aux_cifar10.py'

custom_hooks = [
    *_base_.custom_hooks,
    dict(type='DropPathScheduleHook', start=0.0, end=0.2, by_epoch=False),
]
