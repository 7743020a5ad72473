# The whole of De-focus, as in Table 1.
_base_ = './retnet-filter_cifar10.py'

model = dict(head=dict(aux_loss_weight=1.0))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='AuxHeadHook'),
    dict(type='DropPathScheduleHook', start=0.0, end=0.2, by_epoch=False),
]
