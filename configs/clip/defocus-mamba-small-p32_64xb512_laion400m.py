_base_ = './defocus-mamba-base-p32_64xb512_laion400m.py'

# Ours: the paper has the base alone.
model = dict(vision_backbone=dict(arch='small'))
