_base_ = './dino-4scale_r50_8xb2-12e_coco.py'

# The milestone is that of mmdet's configuration of 36 epochs.
train_cfg = dict(max_epochs=36)
param_scheduler = [dict(_base_.param_scheduler[0], end=36, milestones=[30])]
