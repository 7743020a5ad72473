"""The miniature of CLIP: scenes of one or two digits and their captions."""

_base_ = ['../_base_/default_runtime.py', '../_base_/loaders.py']

default_scope = 'mmpretrain'
data_preparation = 'python tools/dataset_converters/captioned_digits.py'
work_dir = 'work_dirs/clip/defocus-mamba'

img_size = 48
context_length = 16
max_epochs = 6
classes = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')
templates = ('a {}', 'the digit {}', 'a photo of the digit {}', 'a handwritten {}')

model = dict(
    type='DefocusCLIP',
    data_preprocessor=dict(
        type='mmengine.ImgDataPreprocessor', mean=[127.5] * 3, std=[64.0] * 3, bgr_to_rgb=True
    ),
    vision_backbone=dict(
        type='DefocusMamba',
        arch=dict(embed_dims=128, depth=4, intermediate_size=256, time_step_rank=8),
        img_size=img_size,
        patch_size=8,
    ),
    text_encoder=dict(
        type='OpenCLIPText', width=64, num_heads=4, depth=2, context_length=context_length
    ),
    embed_dims=128,
)

train_pipeline = [
    dict(type='DecodeImage'),
    dict(type='TokenizeCaption', context_length=context_length),
    dict(type='PackPair', with_sample=False),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeToSquare', size=img_size),
    dict(type='TokenizeCaption', context_length=context_length),
    dict(type='PackPair'),
]
train_dataloader = dict(
    _base_.train_loader,
    batch_size=50,
    num_workers=1,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='ImageTextShards',
        data_root='data/captioned_digits',
        shards='train-{0000..0023}.tar',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    _base_.eval_loader,
    batch_size=100,
    num_workers=0,
    dataset=dict(
        type='ImageTextPairs',
        data_root='data/captioned_digits',
        ann_file='val.json',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='ZeroShotAccuracy', classes=classes, templates=templates),
    dict(type='ImageTextRecall'),
]
test_evaluator = val_evaluator

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1, betas=(0.9, 0.98), fused=True),
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
    logger=dict(interval=120),
    checkpoint=dict(interval=2, max_keep_ckpts=1, save_best=None),
)
custom_hooks = [*_base_.custom_hooks, dict(type='ZeroShotHook'), dict(type='SampleOrderHook')]
