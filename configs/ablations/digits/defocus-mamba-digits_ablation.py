"""The default setting of Table 4 in small: few scans to learn from, often on clutter.

350 scans are shown four times an epoch, in other sizes and places and on other grounds, as 64
patches and CLS.
"""

_base_ = '../../_base_/digits_classifier.py'

img_size = 48
max_epochs = 18

model = dict(backbone=dict(img_size=img_size, patch_size=6, drop_path_rate=0.4))

# A scan of 34 to 48 pixels stands near the middle of the canvas. Every other ground is plain.
place_on_canvas = [
    dict(type='RandomResize', scale=(img_size, img_size), ratio_range=(0.7, 1.0)),
    dict(type='RandomCrop', crop_size=img_size, padding=4, pad_if_needed=True),
    dict(type='WriteOnClutter', prob=0.5),
    dict(type='PackInputs'),
]

data_root = 'data/digits/classification/'
dataset = dict(type='FoldersByName', classes=_base_.classes)
few_scans = dict(
    dataset,
    data_root=data_root + 'train',
    indices=list(range(0, 1400, 4)),
    pipeline=[dict(type='LoadImage'), *place_on_canvas],
)
train_dataloader = dict(
    num_workers=0, dataset=dict(type='RepeatDataset', times=4, dataset=few_scans)
)
# Each scan that training does not see stands on three canvases, the same ones for all settings of a
# seed.
other_scans = dict(
    dataset,
    data_root=data_root + 'val',
    pipeline=[dict(type='LoadImageFromFile'), *place_on_canvas],
)
val_dataloader = dict(dataset=dict(type='RepeatDataset', times=3, dataset=other_scans))
test_dataloader = val_dataloader

optim_wrapper = dict(type='BFloat16OptimWrapper')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=1, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=3)

default_hooks = dict(
    logger=dict(interval=28),
    checkpoint=dict(interval=max_epochs, save_best=None),
)
custom_hooks = [*_base_.custom_hooks, dict(type='AuxHeadHook')]
