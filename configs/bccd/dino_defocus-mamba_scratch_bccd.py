_base_ = './dino_defocus-mamba_bccd.py'

work_dir = 'work_dirs/bccd/scratch'
model = dict(backbone=dict(init_cfg=None))
