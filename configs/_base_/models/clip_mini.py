# De-focus Mamba of 0.5M parameters beside a text transformer, for pictures of 48 x 48 pixels.
img_size = 48
context_length = 16

model = dict(
    type='DefocusCLIP',
    data_preprocessor=dict(
        type='mmengine.ImgDataPreprocessor', mean=[127.5] * 3, std=[64.0] * 3, bgr_to_rgb=True
    ),
    vision_backbone=dict(
        type='DefocusMamba',
        arch=dict(embed_dims=128, depth=4, intermediate_size=256, time_step_rank=8),
        img_size=img_size,
        patch_size=8,
    ),
    text_encoder=dict(
        type='OpenCLIPText', width=64, num_heads=4, depth=2, context_length=context_length
    ),
    embed_dims=128,
)
