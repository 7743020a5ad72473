# Table 5 for models without scheduled drop path and auxiliary loss.
_base_ = './imagenet_300e.py'

custom_hooks = [
    hook
    for hook in _base_.custom_hooks
    if hook['type'] not in ('DropPathScheduleHook', 'AuxHeadHook')
]
