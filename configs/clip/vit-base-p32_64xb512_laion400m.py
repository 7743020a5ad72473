_base_ = './defocus-mamba-base-p32_64xb512_laion400m.py'

# The baseline of Table 3: OpenAI's ViT-B/32.
model = dict(vision_backbone=dict(_delete_=True, type='OpenCLIPViT', img_size=224, patch_size=32))
