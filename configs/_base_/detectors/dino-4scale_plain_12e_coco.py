# Table 6 of the paper: DINO on a backbone with one map, of stride 16. `improved` is mmdet's DINO
# with 300 denoising queries and lr 2e-4, the setting of the released detector.
_base_ = [
    'mmdet::dino/dino-4scale_r50_improved_8xb2-12e_coco.py',
    '../mmdefocus.py',
]

data_preparation = (
    'Put COCO 2017 under data/coco as train2017/, val2017/ and annotations/; '
    'docs/data.md says where to get it.'
)

# The table's input resolution, 1024 x 1024, is the size that positions are worked out for. The
# images themselves go through DINO's multi-scale pipeline (at most 1333 x 800) in the released
# configuration, as they do here.
img_size = 1024
drop_path_rate = 0.5

model = dict(
    type='DefocusDINO',
    bbox_head=dict(type='DefocusDINOHead'),
    neck=dict(
        _delete_=True,
        type='SimpleFPN',
        in_channels=768,
        out_channels=256,
        scales=(4, 2, 1, 0.5),
        num_outs=4,
    ),
)

# mmdet numbers labels in the order of the file; these go by the names.
load_image = dict(type='LoadImage')
# An image however thin keeps a pixel of each side.
resize = dict(_base_.test_pipeline[1], type='ResizeToPixels')
train_dataloader = dict(
    persistent_workers=False,
    dataset=dict(type='CocoByName', pipeline=[load_image, *_base_.train_pipeline[1:]]),
)
val_dataloader = dict(
    dataset=dict(type='CocoByName', pipeline=[load_image, resize, *_base_.test_pipeline[2:]])
)
# The test pipeline keeps mmcv's loader: the inferencers look for it by its name.
test_dataloader = dict(
    dataset=dict(
        type='CocoByName',
        pipeline=[_base_.test_pipeline[0], resize, *_base_.test_pipeline[2:]],
    )
)
val_evaluator = dict(type='CocoMetricByName')
test_evaluator = dict(type='CocoMetricByName')

optim_wrapper = dict(constructor='DefocusOptimWrapperConstructor', optimizer=dict(fused=True))

default_hooks = dict(checkpoint=dict(max_keep_ckpts=2, save_best='coco/bbox_mAP'))
