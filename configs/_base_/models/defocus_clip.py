# De-focus Mamba-B/32 beside the text tower of OpenAI's ViT-B/32.
model = dict(
    type='DefocusCLIP',
    vision_backbone=dict(type='DefocusMamba', arch='base', img_size=224, patch_size=32),
    text_encoder=dict(type='OpenCLIPText', width=512, num_heads=8, depth=12),
    loss=dict(type='SoftmaxContrastiveLoss'),
    embed_dims=512,
)
