# Causal Mamba with 0.7M parameters for images of 32 x 32, read as 64 patches and CLS.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='DefocusMamba',
        arch=dict(embed_dims=128, depth=6, intermediate_size=256, time_step_rank=8),
        img_size=32,
        patch_size=4,
        rope='none',
        out_type='cls_and_tokens',
    ),
    head=dict(
        type='DefocusClsHead',
        num_classes=10,
        in_channels=128,
        aux_loss_weight=0.0,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    ),
    # Half of the batches stay as they are; Table 5 mixes all of its 300 epochs.
    train_cfg=dict(
        augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)],
        probs=[0.25, 0.25],
    ),
)
