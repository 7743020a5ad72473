# What the classifiers of all families share. A model adds its backbone and the width of its head.
model = dict(
    type='ImageClassifier',
    backbone=dict(out_type='cls_and_tokens'),
    head=dict(
        type='DefocusClsHead',
        num_classes=1000,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)
