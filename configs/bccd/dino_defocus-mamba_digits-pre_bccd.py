# Starts from the classifier of configs/digits, with 6 blocks in place of 4.
_base_ = './dino_defocus-mamba_bccd.py'

work_dir = 'work_dirs/bccd/digits_pre'
model = dict(
    backbone=dict(
        pretrain_img_size=32,
        init_cfg=dict(checkpoint='work_dirs/bccd/digits/inference.pth'),
    ),
)
