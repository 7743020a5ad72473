_base_ = '../_base_/detectors/dino-4scale_defocus_12e_coco.py'

# Written at the end of pre-training; a checkpoint that from_official.py converted does as well.
pretrained = 'work_dirs/defocus-mamba-base_8xb128_in1k/inference.pth'

# Positions are divided by (1024 / 224)² and time steps by 1024 / 224. The released detector has
# rope_scale=20.0 and delta_scale=4.57; set both to evaluate its weights.
model = dict(backbone=dict(type='DefocusMamba', arch='base', init_cfg=dict(checkpoint=pretrained)))
