_base_ = [
    '../_base_/models/defocus_mamba_large.py',
    '../_base_/datasets/imagenet_384.py',
    '../_base_/schedules/imagenet_20e.py',
]

# Written at the end of pre-training; a checkpoint that from_official.py converted does as well.
pretrained = 'work_dirs/defocus-mamba-large_32xb128_in21k-192px/inference.pth'

# At r = 384 / 192 positions are divided by r² and time steps by r, and the image is read in four
# sections of the size of pre-training (Appendix B.2, Fig. 7).
model = dict(
    backbone=dict(
        img_size=384,
        pretrain_img_size=192,
        token_order='sections',
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='backbone.'),
    )
)
