_base_ = '../_base_/detectors/dino-4scale_plain_12e_coco.py'

# Its position embedding stays that of 224 pixels and is interpolated to the size of every image.
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.VisionTransformer',
        arch='deit-base',
        out_type='featmap',
        drop_path_rate=_base_.drop_path_rate,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/deit-base_8xb128_in1k/epoch_300.pth',
            prefix='backbone.',
        ),
    ),
)

# mmpretrain's backbone does not say by itself what must not decay; the rate is the backbone's
embeddings = dict(lr_mult=0.1, decay_mult=0.0)
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={'backbone.cls_token': embeddings, 'backbone.pos_embed': embeddings}
    )
)
