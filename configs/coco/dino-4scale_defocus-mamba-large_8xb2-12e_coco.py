_base_ = './dino-4scale_defocus-mamba-base_8xb2-12e_coco.py'

pretrained = 'work_dirs/defocus-mamba-large_in21k-pre_32xb32_in1k-384px/inference.pth'

# Its positions were learnt at 192 pixels and divided by 2² for the fine-tuning at 384.
model = dict(
    backbone=dict(arch='large', pretrain_img_size=192, init_cfg=dict(checkpoint=pretrained)),
    neck=dict(in_channels=1024),
)
