# mmdet's Faster R-CNN without pre-trained weights: batch norm learns, AdamW in place of SGD for a
# short training, and anchors of 16 pixels and more, for cells of 20 to 100. An image takes 1.4 s of
# processor time, in DINO on De-focus Mamba 0.16 s: 3 epochs cost as much as its 20.
_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    '../_base_/mmdefocus.py',
    '../_base_/datasets/bccd_320x240.py',
]

data_preparation = _base_.bccd_preparation
work_dir = 'work_dirs/bccd/faster_rcnn'
max_epochs = 3

model = dict(
    backbone=dict(frozen_stages=-1, norm_eval=False, init_cfg=None),
    rpn_head=dict(anchor_generator=dict(scales=[4])),
    roi_head=dict(bbox_head=dict(num_classes=len(_base_.bccd_classes))),
    train_cfg=dict(rcnn=dict(sampler=dict(num=128))),
)

train_dataloader = dict(_delete_=True, **_base_.bccd_train_loader)
val_dataloader = dict(_delete_=True, **_base_.bccd_test_loader)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.bccd_evaluator)
test_evaluator = dict(val_evaluator, outfile_prefix=work_dir + '/predictions')

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=5.0),
)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True),
]
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(max_keep_ckpts=2))
