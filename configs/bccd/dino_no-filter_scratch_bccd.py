# The causal baseline: neither decay nor rotary embedding.
_base_ = './dino_defocus-mamba_scratch_bccd.py'

work_dir = 'work_dirs/bccd/no_filter'
model = dict(backbone=dict(decay='none', rope='none'))
