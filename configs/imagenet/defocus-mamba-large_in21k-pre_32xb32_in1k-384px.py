_base_ = [
    '../_base_/models/defocus_mamba_large.py',
    '../_base_/datasets/imagenet_384.py',
    '../_base_/schedules/imagenet_20e.py',
]

# The model of pre-training with the 1,000 matching rows of both classifiers, as in the released
# run; made of its last checkpoint by `select_classes.py --auxiliary`, see docs/data.md.
load_from = 'work_dirs/defocus-mamba-large_32xb128_in21k-192px/in1k.pth'

# At r = 384 / 192 positions are divided by r² and time steps by r (Appendix B.2). The image is read
# in four sections of the size of pre-training, as Fig. 7 of the paper has it. The released weights
# were fine-tuned in raster order, whatever a comment in the released code says: to evaluate them,
# set token_order='raster'.
model = dict(backbone=dict(img_size=384, pretrain_img_size=192, token_order='sections'))
