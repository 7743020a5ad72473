_base_ = './dino-4scale_defocus-mamba-base_8xb2-12e_coco.py'

pretrained = 'work_dirs/defocus-retnet-base_8xb128_in1k/inference.pth'

model = dict(backbone=dict(type='DefocusRetNet', init_cfg=dict(checkpoint=pretrained)))
