# Goes on from the detector of 320 x 240 for a few epochs of larger images, as the paper goes on from
# a classifier of 224 x 224 pixels.
_base_ = './dino_defocus-mamba_bccd.py'

work_dir = 'work_dirs/bccd/detector_384x288'
load_from = 'work_dirs/bccd/detector/epoch_20.pth'
scale = (384, 288)
max_epochs = 6


train_pipeline, test_pipeline = (
    [dict(step, scale=scale) if 'scale' in step else step for step in loader.dataset.pipeline]
    for loader in (_base_.train_dataloader, _base_.test_dataloader)
)

model = dict(backbone=dict(img_size=scale[0], init_cfg=None))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_evaluator = dict(outfile_prefix=work_dir + '/predictions')

optim_wrapper = dict(optimizer=dict(lr=4e-4))
train_cfg = dict(max_epochs=max_epochs, val_interval=3)
custom_hooks = [
    dict(hook, start=0.1) if hook['type'] == 'DropPathScheduleHook' else hook
    for hook in _base_.custom_hooks
]
