# A De-focus backbone under DINO. A detector adds the family, its size and its pre-trained weights.
_base_ = './dino-4scale_plain_12e_coco.py'

model = dict(
    backbone=dict(
        _delete_=True,
        img_size=_base_.img_size,
        pretrain_img_size=224,
        token_order='sections',
        out_type='featmap',
        drop_path_rate=_base_.drop_path_rate,
        final_norm_eps=1e-5,
        init_cfg=dict(type='Pretrained', prefix='backbone.'),
    ),
)
