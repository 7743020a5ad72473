_base_ = '../_base_/detectors/dino-4scale_plain_12e_coco.py'

# Written at the end of pre-training; a checkpoint that from_official.py converted does as well.
pretrained = 'work_dirs/defocus-mamba-base_8xb128_in1k/inference.pth'

# Positions are divided by (1024 / 224)² and time steps by 1024 / 224. The released detector has
# rope_scale=20.0 and delta_scale=4.57; set both to evaluate its weights.
model = dict(
    backbone=dict(
        _delete_=True,
        type='DefocusMamba',
        arch='base',
        img_size=_base_.img_size,
        pretrain_img_size=224,
        token_order='sections',
        out_type='featmap',
        drop_path_rate=_base_.drop_path_rate,
        final_norm_eps=1e-5,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='backbone.'),
    ),
)
