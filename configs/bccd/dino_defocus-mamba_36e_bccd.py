# Photographs a little smaller and larger, cut to the size of the others, for 16 more epochs. Sizes
# are (width, height).
_base_ = './dino_defocus-mamba_bccd.py'

work_dir = 'work_dirs/bccd/detector_36e'
max_epochs = 36

load, boxes, resize, flip, pack = _base_.train_dataloader.dataset.pipeline
vary = [
    dict(type='RandomResize', scale=_base_.bccd_scale, ratio_range=(0.9, 1.2), keep_ratio=True),
    dict(type='RandomCrop', crop_size=_base_.bccd_scale),
]
train_dataloader = dict(dataset=dict(pipeline=[load, boxes, *vary, flip, pack]))
test_evaluator = dict(outfile_prefix=work_dir + '/predictions')
train_cfg = dict(max_epochs=max_epochs, val_interval=6)
