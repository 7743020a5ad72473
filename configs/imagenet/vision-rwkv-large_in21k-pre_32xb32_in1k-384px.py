# After Vision-RWKV-Large of Table 1 (334.9M parameters, 86.0), pre-trained at 192².
_base_ = [
    '../_base_/models/vision_rwkv_large.py',
    '../_base_/datasets/imagenet_384.py',
    '../_base_/schedules/imagenet_20e.py',
]

# made of the last checkpoint of pre-training by `select_classes.py`, see docs/data.md
load_from = 'work_dirs/vision-rwkv-large_32xb128_in21k-192px/in1k.pth'

model = dict(backbone=dict(img_size=384, pretrain_img_size=192))
custom_hooks = [
    hook
    for hook in _base_.custom_hooks
    if hook['type'] not in ('DropPathScheduleHook', 'AuxHeadHook')
]
