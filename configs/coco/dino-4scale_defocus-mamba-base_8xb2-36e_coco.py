_base_ = './dino-4scale_defocus-mamba-base_8xb2-12e_coco.py'

train_cfg = dict(max_epochs=36)
param_scheduler = [dict(_base_.param_scheduler[0], end=36, milestones=[27, 33])]
