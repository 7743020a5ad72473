# Pre-training of Vision-RWKV-Large with the recipe of De-focus Mamba-Large, but for the scheduled
# drop path and the auxiliary loss.
_base_ = [
    '../_base_/models/vision_rwkv_large.py',
    '../_base_/datasets/imagenet21k_192.py',
    '../_base_/schedules/imagenet21k_90e.py',
]

model = dict(backbone=dict(img_size=192), head=dict(num_classes=_base_.num_classes))
custom_hooks = [
    hook
    for hook in _base_.custom_hooks
    if hook['type'] not in ('DropPathScheduleHook', 'AuxHeadHook')
]
