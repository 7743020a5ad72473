"""The miniature detector: mmdet's DINO on the backbone that was pre-trained on single digits."""

_base_ = ['mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py', '../_base_/mmdefocus.py']

data_preparation = 'python tools/dataset_converters/digits.py'
work_dir = 'work_dirs/demo/detector'

img_size = 96
pretrain_img_size = 32
embed_dims = 128
num_levels = 2
max_epochs = 2

deformable_attention = dict(embed_dims=embed_dims, num_heads=4, num_levels=num_levels)
ffn = dict(embed_dims=embed_dims, feedforward_channels=256)
model = dict(
    type='DefocusDINO',
    num_queries=30,
    num_feature_levels=num_levels,
    data_preprocessor=dict(mean=[127.5] * 3, std=[64.0] * 3),
    backbone=dict(
        _delete_=True,
        type='DefocusMamba',
        arch=dict(embed_dims=128, depth=4, intermediate_size=256, time_step_rank=8),
        img_size=img_size,
        pretrain_img_size=pretrain_img_size,
        patch_size=8,
        token_order='sections',
        out_type='featmap',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/demo/classifier/inference.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(
        _delete_=True,
        type='SimpleFPN',
        in_channels=128,
        out_channels=embed_dims,
        scales=(1, 0.5),
        num_outs=num_levels,
    ),
    encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=deformable_attention, ffn_cfg=ffn)),
    decoder=dict(
        num_layers=2,
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=embed_dims, num_heads=4),
            cross_attn_cfg=deformable_attention,
            ffn_cfg=ffn,
        ),
    ),
    positional_encoding=dict(num_feats=embed_dims // 2),
    bbox_head=dict(
        type='DefocusDINOHead',
        num_classes=10,
        embed_dims=embed_dims,
        loss_cls=dict(loss_weight=4.0),
    ),
    dn_cfg=dict(group_cfg=dict(num_dn_queries=30)),
    test_cfg=dict(max_per_img=20),
)

classes = tuple('0123456789')
data_root = 'data/digits/detection/'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]
# mmdet's DetInferencer looks for `LoadImageFromFile` by its name.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeToPixels', scale=(img_size, img_size), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
dataset = dict(type='CocoByName', metainfo=dict(classes=classes), data_root=data_root)
train_images = dict(
    dataset,
    ann_file='annotations/train.json',
    data_prefix=dict(img='train/'),
    pipeline=train_pipeline,
)
val_images = dict(
    dataset, ann_file='annotations/val.json', data_prefix=dict(img='val/'), pipeline=test_pipeline
)
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(loader, batch_size=4, dataset=train_images)
val_dataloader = dict(loader, batch_size=20, dataset=val_images)
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetricByName', ann_file=data_root + 'annotations/val.json')
test_evaluator = dict(val_evaluator, outfile_prefix=work_dir + '/predictions')

optim_wrapper = dict(
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(lr=1.6e-3, fused=True),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=1.0)}),
)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True),
]

default_hooks = dict(
    logger=dict(interval=25),
    checkpoint=dict(max_keep_ckpts=2),
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='DropPathScheduleHook', start=0.0, end=0.1),
]
