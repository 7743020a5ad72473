"""The default setting of Table 4 in small: few scans to learn from, read as a long sequence.

350 scans are shown four times an epoch, in other sizes and places and on other grounds, in patches
so small that an image is 144 of them.
"""

_base_ = '../../_base_/default_runtime.py'

default_scope = 'mmpretrain'
data_preparation = 'python tools/dataset_converters/digits.py'

img_size = 48
max_epochs = 6
classes = tuple('0123456789')  # the folders of the images

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(num_classes=10, mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True),
    backbone=dict(
        type='DefocusMamba',
        arch=dict(embed_dims=128, depth=4, intermediate_size=256, time_step_rank=8),
        img_size=img_size,
        patch_size=4,
        out_type='cls_and_tokens',
        drop_path_rate=0.4,
    ),
    head=dict(type='DefocusClsHead', num_classes=10, in_channels=128),
)

# A scan of 34 to 48 pixels stands near the middle of the canvas. Every other ground is plain.
place_on_canvas = [
    dict(type='RandomResize', scale=(img_size, img_size), ratio_range=(0.7, 1.0)),
    dict(type='RandomCrop', crop_size=img_size, padding=4, pad_if_needed=True),
    dict(type='WriteOnClutter', prob=0.5),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    batch_size=25,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='RepeatDataset',
        times=4,
        dataset=dict(
            type='FoldersByName',
            classes=classes,
            data_root='data/digits/classification/train',
            indices=list(range(0, 1400, 4)),
            pipeline=[dict(type='LoadImage'), *place_on_canvas],
        ),
    ),
)
# Each scan that training does not see stands on three canvases, the same ones for all settings of a
# seed.
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='RepeatDataset',
        times=3,
        dataset=dict(
            type='FoldersByName',
            classes=classes,
            data_root='data/digits/classification/val',
            pipeline=[dict(type='LoadImageFromFile'), *place_on_canvas],
        ),
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=1, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=max_epochs)
val_cfg = {}
test_cfg = {}

default_hooks = dict(
    logger=dict(interval=28),
    checkpoint=dict(interval=max_epochs, save_best=None),
)
custom_hooks = [*_base_.custom_hooks, dict(type='AuxHeadHook')]
