_base_ = '../_base_/detectors/dino-4scale_defocus_12e_coco.py'

pretrained = 'work_dirs/defocus-vit-base_8xb128_in1k/inference.pth'

model = dict(backbone=dict(type='DefocusViT', arch='base', init_cfg=dict(checkpoint=pretrained)))
