# Table 5 of the paper for minutes on one thread: 3 epochs at batch 128. Rate and warm-up follow the
# number of steps; the averages have a memory of 100 of the 1,173 steps.
_base_ = './imagenet_300e_baseline.py'

optim_wrapper = dict(optimizer=dict(lr=2e-3), clip_grad=dict(max_norm=5.0))
warm_up, cosine = _base_.param_scheduler
param_scheduler = [dict(warm_up, end=1), dict(cosine, begin=1)]
train_cfg = dict(max_epochs=3)
custom_hooks = [
    dict(hook, momentum=1e-2) if hook['type'] == 'EMAHook' else hook for hook in _base_.custom_hooks
]
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1, save_best=None))

auto_scale_lr = dict(base_batch_size=128)
