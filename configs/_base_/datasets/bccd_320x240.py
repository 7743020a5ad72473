# BCCD, photographs of blood cells, at half their size, for any detector of mmdet. As is usual with
# Pascal VOC, a detector learns on `trainval` and is judged on `test`. Cells lie in any direction.
_base_ = '../loaders.py'

bccd_preparation = (
    'Put BCCD under data/bccd and run python tools/dataset_converters/voc_to_coco.py data/bccd; '
    'docs/data.md says where to get it.'
)
bccd_classes = ('Platelets', 'RBC', 'WBC')
bccd_scale = (320, 240)

bccd_images = dict(
    type='CocoByName',
    metainfo=dict(classes=bccd_classes),
    data_root='data/bccd/',
    data_prefix=dict(img='JPEGImages/'),
)
bccd_train_loader = dict(
    _base_.mini_train_loader,
    batch_size=4,
    dataset=dict(
        bccd_images,
        ann_file='coco/trainval.json',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='Resize', scale=bccd_scale, keep_ratio=True),
            dict(
                type='RandomFlip',
                prob=[0.25, 0.25, 0.25],
                direction=['horizontal', 'vertical', 'diagonal'],
            ),
            dict(type='PackDetInputs'),
        ],
    ),
)
# mmdet's DetInferencer looks for `LoadImageFromFile` by its name.
bccd_test_loader = dict(
    _base_.mini_eval_loader,
    batch_size=8,
    dataset=dict(
        bccd_images,
        ann_file='coco/test.json',
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='ResizeToPixels', scale=bccd_scale, keep_ratio=True),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='PackDetInputs',
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            ),
        ],
    ),
)
bccd_evaluator = dict(
    type='CocoMetricByName', ann_file='data/bccd/coco/test.json', metric='bbox', classwise=True
)
