# A plain ViT of equal size, which sees all patches at once, beside the same text transformer.
_base_ = './clip_mini.py'

model = dict(
    vision_backbone=dict(
        _delete_=True,
        type='DefocusViT',
        arch=dict(embed_dims=128, depth=3, num_heads=4, feedforward_channels=344),
        img_size=_base_.img_size,
        patch_size=8,
        decay='none',
        rope='none',
        causal=False,
    )
)
