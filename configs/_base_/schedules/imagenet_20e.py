# Table 8 of the paper: fine-tuning on ImageNet-1K for 20 epochs at batch 1024, without averaged
# weights. First and last rate are not in the table: as in 300 epochs, 1/1000 and 1/100 of the peak.
_base_ = './imagenet_300e.py'

optim_wrapper = dict(optimizer=dict(lr=4e-5))

param_scheduler = [
    dict(_base_.param_scheduler[0], end=2),
    dict(_base_.param_scheduler[1], begin=2),
]

train_cfg = dict(max_epochs=20)
custom_hooks = [hook for hook in _base_.custom_hooks if hook['type'] != 'EMAHook']
