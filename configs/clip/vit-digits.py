"""The miniature with a plain ViT of equal size, which sees all patches at once."""

_base_ = './defocus-mamba-digits.py'

work_dir = 'work_dirs/clip/vit'

model = dict(
    vision_backbone=dict(
        _delete_=True,
        type='DefocusViT',
        arch=dict(embed_dims=128, depth=3, num_heads=4, feedforward_channels=344),
        img_size=48,
        patch_size=8,
        decay='none',
        rope='none',
        causal=False,
    )
)
# the best of 3e-4, 5e-4 and 1e-3
optim_wrapper = dict(optimizer=dict(lr=5e-4))
