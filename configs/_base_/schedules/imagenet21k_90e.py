# Table 7 of the paper: 90 epochs on ImageNet-21K at batch 4096. What is not in the table (first and
# last rate, gradient norm) is as in 300 epochs on ImageNet-1K.
_base_ = './imagenet_300e.py'

param_scheduler = [
    dict(_base_.param_scheduler[0], end=5),
    dict(_base_.param_scheduler[1], begin=5),
]

train_cfg = dict(max_epochs=90)

# The released large configuration keeps its drop path at 0.4.
custom_hooks = [
    *(hook for hook in _base_.custom_hooks if hook['type'] != 'DropPathScheduleHook'),
    dict(type='DropPathScheduleHook', start=0.1, end=0.5),
]
auto_scale_lr = dict(base_batch_size=4096)

# There is no validation set.
val_cfg = None
test_cfg = None
default_hooks = dict(checkpoint=dict(save_best=None))
